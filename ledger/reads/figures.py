"""What each provider cost, in the few figures that a table shows: all of its data, this month, the last 30 days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.providers import Name

RECENT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Billed costs of one provider in one currency. `recent` is the last 30 UTC days, today the last of them."""

    currency: str
    first_day: date
    last_day: date
    total: Decimal
    month_to_date: Decimal
    recent: Decimal
    origins: Sequence[str]
    charges: int
    unpriced: int
    """Charges without a billed cost: what they cost is in no sum."""


_FIGURES: Final = text("""
    select namespace, provider, billing_currency as currency, min(day) as first_day, max(day) as last_day,
        sum(billed_cost) as total,
        coalesce(sum(billed_cost) filter (where day >= :month and day <= :today), 0) as month_to_date,
        coalesce(sum(billed_cost) filter (where day > :before and day <= :today), 0) as recent,
        array_agg(distinct x_origin order by x_origin) as origins,
        sum(charges)::bigint as charges, sum(unpriced)::bigint as unpriced
    from daily_service_cost group by 1, 2, 3 order by 1, 2, 3
""")


async def figures(connection: AsyncConnection, today: date) -> Mapping[Name, Sequence[Figures]]:
    """The figures of every provider that has any, by namespace and name, one for each currency."""
    found: dict[Name, list[Figures]] = {}
    values = {"today": today, "month": today.replace(day=1), "before": today - RECENT}
    for row in await connection.execute(_FIGURES, values):
        fields = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
        name = (fields.pop("namespace"), fields.pop("provider"))
        found.setdefault(name, []).append(Figures(**fields))
    return found
