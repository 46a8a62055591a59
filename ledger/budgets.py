"""How budgets stand by what the ledger holds: any number of them with the same few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Self

from ledger.alerts.rule import BudgetPeriod, CostMetric, Scope
from ledger.alerts.sums import Ask, ScopeSums, earliest, sums
from ledger.budget import Spending, Standing, period_of, previous_of, standing
from ledger.database import Connection
from ledger.money import amount
from ledger.reads.periods import Period

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a budget says: `amount` of `currency` in a period of the calendar, over a scope of one namespace."""

    amount: Decimal
    currency: str
    period: BudgetPeriod
    metric: CostMetric
    scope: Scope

    @classmethod
    def of_spec(cls, spec: Mapping[str, Any]) -> Self:
        """From the spec of a Budget that was found good, as manifests write it."""
        scope = spec.get("scope") or {}
        return cls(
            amount(spec["amount"]),
            spec["currency"],
            spec.get("period", "Monthly"),
            spec.get("metric", "BilledCost"),
            Scope(
                providers=tuple(scope.get("providers") or ()) or None,
                labels=(scope.get("selector") or {}).get("matchLabels", {}),
                services=tuple(scope.get("services") or ()) or None,
                sub_accounts=tuple(scope.get("subAccounts") or ()) or None,
                tags=scope.get("tags") or {},
            ),
        )


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """How a budget stands, its spend by day of the period, and what the period cost in other currencies."""

    standing: Standing
    days: Mapping[date, Decimal]
    others: Mapping[str, Decimal]
    providers: int
    """How many providers the scope has now."""


async def standings(
    connection: Connection, asked: Sequence[tuple[str, Terms]], today: date
) -> Sequence[BudgetStanding]:
    """How the budgets of these namespaces stand in the period that `today` lies in, in their order."""
    asks = [_ask(namespace, terms, today) for namespace, terms in asked]
    found = await sums(connection, asks)
    return [_stood(terms, held, today) for (_, terms), held in zip(asked, found, strict=True)]


def _ask(namespace: str, terms: Terms, today: date) -> Ask:
    first = earliest(period_of(terms.period, today), previous_of(terms.period, today))
    return Ask(namespace, terms.scope, terms.metric, first, today + _DAY)


def _stood(terms: Terms, held: ScopeSums, today: date) -> BudgetStanding:
    period = period_of(terms.period, today)
    spending = Spending(held.amounts.get(terms.currency, {}), held.through if held.providers else None, held.since)
    days = {day: cost for day, cost in sorted(spending.days.items()) if day >= period.first}
    others = _others(held, terms.currency, period)
    return BudgetStanding(standing(terms.amount, period, spending, today), days, others, held.providers)


def _others(held: ScopeSums, currency: str, period: Period) -> Mapping[str, Decimal]:
    totals = {
        other: Spending(days).sum(period.first, period.after_last)
        for other, days in sorted(held.amounts.items())
        if other != currency
    }
    return {other: total for other, total in totals.items() if total}
