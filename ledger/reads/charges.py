"""Single charges, page by page.

A page begins behind the row that the one before ended with (keyset): rows that come and go meanwhile never make a
row appear twice, nor hide one that was there throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.cost_rows import charges_source, within
from ledger.reads.filters import EVERYTHING, ChargeFilter, Parameters, where
from ledger.reads.periods import Period
from ledger.window import DAY


class ChargeOrder(Enum):
    """By time or by billed cost. Charges without a billed cost count as 0 here."""

    NEWEST = "newest"
    OLDEST = "oldest"
    LARGEST = "largest"
    SMALLEST = "smallest"


_TIE: Final = ("charge_period_start", "namespace", "provider", "row_id", "copy")
_KINDS: Final[Mapping[str, str]] = {
    "charge_period_start": "timestamptz",
    "coalesce(billed_cost, 0)": "numeric",
    "row_id": "uuid",
    "copy": "integer",
}
_COST: Final = "coalesce(billed_cost, 0)"
_ORDERS: Final = {
    ChargeOrder.NEWEST: (_TIE, "desc", "<"),
    ChargeOrder.OLDEST: (_TIE, "asc", ">"),
    ChargeOrder.LARGEST: ((_COST, *_TIE), "desc", "<"),
    ChargeOrder.SMALLEST: ((_COST, *_TIE), "asc", ">"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeQuestion:
    """Which charges, in which order, as believed when."""

    period: Period
    filter: ChargeFilter = EVERYTHING
    order: ChargeOrder = ChargeOrder.NEWEST
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands in any order: everything that orders compare by."""

    start: datetime
    namespace: str
    provider: str
    row_id: UUID
    copy: int
    cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCharge:
    """A charge as the ledger holds it; see ledger.charge.Charge for what the fields mean."""

    namespace: str
    provider: str
    charge_period_start: datetime
    row_id: UUID
    copy: int
    believed_from: datetime
    charge_period_end: datetime
    billing_currency: str
    x_origin: str
    service_name: str
    service_provider_name: str
    charge_category: str
    charge_class: str | None
    charge_frequency: str | None
    charge_description: str | None
    service_category: str | None
    billing_account_id: str | None
    sub_account_id: str | None
    region_id: str | None
    resource_id: str | None
    sku_id: str | None
    x_model: str | None
    x_token_type: str | None
    consumed_unit: str | None
    pricing_unit: str | None
    sub_account_name: str | None
    resource_name: str | None
    billed_cost: Decimal | None
    effective_cost: Decimal | None
    list_cost: Decimal | None
    contracted_cost: Decimal | None
    consumed_quantity: Decimal | None
    pricing_quantity: Decimal | None
    tags: Mapping[str, Any] | None
    extra: Mapping[str, Any] | None

    @property
    def place(self) -> Place:
        cost = Decimal(0) if self.billed_cost is None else self.billed_cost
        return Place(self.charge_period_start, self.namespace, self.provider, self.row_id, self.copy, cost)


_SHOWN: Final = ", ".join(f"c.{field.name}" for field in fields(StoredCharge))


async def charges(
    connection: AsyncConnection, question: ChargeQuestion, *, first: int, after: Place | None = None
) -> Sequence[StoredCharge]:
    """The next `first` charges behind `after`."""
    rows: list[StoredCharge] = []
    for part in _parts(question, after):
        rows += await _page(connection, replace(question, period=part), first - len(rows), after)
        if len(rows) == first:
            break
    return rows


def _parts(question: ChargeQuestion, after: Place | None) -> Iterator[Period]:
    """The period in the parts in which to look: by time from the page's end on, each twice as long as the last.

    A page is mostly found in the first month or two, so that the others need not be sorted for it.
    """
    first, after_last = question.period.first, question.period.after_last
    days = 31
    if question.order is ChargeOrder.NEWEST:
        end = min(after_last, max(first, after.start.date()) + DAY) if after else after_last
        while first < end:
            start = max(first, end - timedelta(days=days)) if (end - first).days > days else first
            yield Period(start, end)
            end, days = start, 2 * days
    elif question.order is ChargeOrder.OLDEST:
        start = max(first, min(after_last, after.start.date())) if after else first
        while start < after_last:
            end = start + timedelta(days=days) if (after_last - start).days > days else after_last
            yield Period(start, end)
            start, days = end, 2 * days
    else:
        yield question.period


async def _page(
    connection: AsyncConnection, question: ChargeQuestion, first: int, after: Place | None
) -> list[StoredCharge]:
    parameters = Parameters()
    source = charges_source(question.as_of, parameters)
    columns, direction, beyond = _ORDERS[question.order]
    conditions = [within(question.period, parameters), where(question.filter, parameters, "c")]
    if after is not None:
        conditions.append(_behind(columns, beyond, after, parameters))
    statement = f"""
        select {_SHOWN} from {source}
        where {" and ".join(conditions)}
        order by {", ".join(f"{column} {direction}" for column in columns)}
        limit {parameters.add(first)}
    """
    rows = await connection.execute(text(statement), parameters.values)
    return [StoredCharge(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name for it


async def count_charges(connection: AsyncConnection, question: ChargeQuestion) -> int:
    """How many charges the question means."""
    parameters = Parameters()
    source = charges_source(question.as_of, parameters)
    statement = f"""
        select count(*) from {source}
        where {within(question.period, parameters)} and {where(question.filter, parameters, "c")}
    """
    return int((await connection.execute(text(statement), parameters.values)).scalar_one())


def _behind(columns: Sequence[str], beyond: str, place: Place, parameters: Parameters) -> str:
    held = {"charge_period_start": place.start, _COST: place.cost}
    values = [held.get(column, getattr(place, column, None)) for column in columns]
    names = [
        f"cast({parameters.add(value)} as {_KINDS.get(column, 'text')})"
        for column, value in zip(columns, values, strict=True)
    ]
    return f"({', '.join(columns)}) {beyond} ({', '.join(names)})"
