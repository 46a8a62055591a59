"""The ledger in a few plain lines, to hold the real one against: lists of charges, and a copy after each change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from ledger.charge import Charge
from ledger.window import Span

Sums = dict[tuple[date, str, str], tuple[Decimal, int]]


@dataclass
class Oracle:
    """What one provider's ledger must hold."""

    charges: list[Charge] = field(default_factory=list)
    beliefs: list[tuple[datetime, list[Charge]]] = field(default_factory=list)

    def replace(self, window: Span, charges: Sequence[Charge], at: datetime) -> None:
        """The vendor says now that the window holds exactly these charges."""
        kept = [c for c in self.charges if not window.start <= c.charge_period_start < window.end]
        self.charges = kept + list(charges)
        self.beliefs.append((at, list(self.charges)))

    def as_of(self, moment: datetime) -> list[Charge]:
        """What was believed at `moment`."""
        believed = [charges for at, charges in self.beliefs if at <= moment]
        return believed[-1] if believed else []


def multiset(charges: Sequence[Charge]) -> Counter[tuple[datetime, str, str, Decimal | None]]:
    """Charges by what tells them apart in these tests."""
    return Counter((c.charge_period_start, c.sku_id or "", c.billing_currency, c.billed_cost) for c in charges)


def sums(charges: Sequence[Charge]) -> Sums:
    """Amount and number of charges by day, service and currency."""
    found: Sums = {}
    for charge in charges:
        key = (charge.charge_period_start.astimezone(UTC).date(), charge.service_name, charge.billing_currency)
        amount, rows = found.get(key, (Decimal(0), 0))
        found[key] = (amount + (charge.billed_cost or 0), rows + 1)
    return found
