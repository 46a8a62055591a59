"""How far the data of the providers behind an answer is whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.filters import ChargeFilter, Parameters, where


@dataclass(frozen=True, slots=True)
class Whole:
    """The last day through which one provider's data is whole; None while it has none."""

    namespace: str
    provider: str
    through: date | None


@dataclass(frozen=True, slots=True)
class Completeness:
    """Every provider that an answer may draw on, and how far the answer is whole."""

    providers: Sequence[Whole]

    @property
    def through(self) -> date | None:
        """The day through which every provider is whole; None when one has no data yet, or there is none."""
        days = [provider.through for provider in self.providers]
        known = [day for day in days if day is not None]
        return min(known) if known and len(known) == len(days) else None


async def completeness(
    connection: AsyncConnection, chosen: ChargeFilter, *, as_of: datetime | None = None
) -> Completeness:
    """Completeness of the providers that the filter may mean.

    Left out are providers that were removed, and suspended ones that never had data: nothing is to come from
    them. Of a past moment (`as_of`) completeness is not known, so no provider is named.
    """
    if as_of is not None:
        return Completeness(())
    parameters = Parameters()
    statement = f"""
        select namespace, name, complete_through from provider p
        where deleted_at is null and not (suspended and complete_through is null)
            and {where(chosen, parameters, "p", "accounts")}
        order by namespace, name
    """
    rows = await connection.execute(text(statement), parameters.values)
    return Completeness([Whole(row.namespace, row.name, row.complete_through) for row in rows])
