"""What a connector found out about its account and the price of its calls, as the Provider's status has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from ledger.money import plain
from reconciler.connectors.base import Account, SyncPrice
from reconciler.kinds.provider import MAX_NAME, MAX_NOTE, MAX_NOTES
from reconciler.status import moment

MONTH: Final = timedelta(days=30)
CENT: Final = Decimal("0.01")


def account(found: Account, clean: Callable[[str], str], at: datetime) -> dict[str, Any] | None:
    """`status.account`, with secrets taken out by `clean` and everything as short as the CRD wants it."""
    names = {"id": found.id, "name": found.name}
    said: dict[str, Any] = {name: _cut(clean(text), MAX_NAME) for name, text in names.items() if text}
    if found.notes:
        said["notes"] = [_cut(clean(note), MAX_NOTE) for note in found.notes[:MAX_NOTES]]
    return {**said, "checkedAt": moment(at)} if said else None


def cost(price: SyncPrice | None) -> dict[str, Any] | None:
    """`status.syncCost` but for the month; None where calls are free."""
    return None if price is None else {"calls": price.calls, "perSync": _money(price.amount, price.currency)}


def monthly(cost: Mapping[str, Any] | None, interval: timedelta) -> dict[str, Any] | None:
    """`status.syncCost` with what a month of syncs costs, one every `interval`."""
    if cost is None:
        return None
    each = cost["perSync"]
    syncs = Decimal(MONTH // timedelta(microseconds=1)) / Decimal(interval // timedelta(microseconds=1))
    month = (Decimal(each["amount"]) * syncs).quantize(CENT, ROUND_HALF_UP)
    return {**cost, "perMonth": _money(month, each["currency"])}


def _money(amount: Decimal, currency: str) -> dict[str, str]:
    return {"amount": plain(amount), "currency": currency}


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
