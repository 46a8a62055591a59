"""Shorthand for tests of the ledger: charges, one sync of one window, and what the tables then hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from ledger import accounts, leases, replacement, runs
from ledger.accounts import Account
from ledger.charge import Charge
from ledger.database import WriterDB
from ledger.intake import MEMORY, Memory
from ledger.money import amount
from ledger.replacement import WindowReport
from ledger.schema import COSTS, SERVICE_DIMENSIONS
from ledger.window import DAY, Span, Window, midnight

START = date(2026, 9, 28)
READ_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTLING = timedelta(hours=24)


def charge(
    day: int, sku: str, billed: str | None, *, currency: str = "USD", hour: int = 0, service: str = "S"
) -> Charge:
    """A charge on the `day`-th day from START."""
    start = midnight(START) + day * DAY + timedelta(hours=hour)
    figure = None if billed is None else amount(billed)
    return Charge(start, start + DAY, currency, figure, "api", service, "Vendor", sku_id=sku)


def days(first: int, after_last: int) -> Span:
    """Days counted from START, half-open."""
    return Span(midnight(START) + first * DAY, midnight(START) + after_last * DAY)


async def batches(charges: Sequence[Charge], size: int = 2) -> AsyncIterator[Sequence[Charge]]:
    """The charges as a connector yields them."""
    for at in range(0, len(charges), size):
        yield charges[at : at + size]


@dataclass
class Desk:
    """One provider of one namespace, and the ways to work on it."""

    db: WriterDB
    namespace: str
    name: str = "vendor"

    async def open(self) -> None:
        await accounts.register(self.db, Account(self.namespace, self.name, "Provider", "openai"), READ_AT)

    async def take(self) -> leases.Lease:
        lease = await leases.take(self.db, self.namespace, self.name, "me", timedelta(seconds=30))
        assert lease is not None
        return lease

    async def sync(
        self,
        window: Window | Span,
        charges: Sequence[Charge] | AsyncIterator[Sequence[Charge]],
        at: datetime = READ_AT,
        memory: Memory = MEMORY,
    ) -> WindowReport:
        window = window if isinstance(window, Window) else Window(window)
        source = batches(charges) if isinstance(charges, Sequence) else charges
        lease = await self.take()
        run = await runs.start(self.db, self.namespace, self.name, "First", at)
        try:
            reading = replacement.Reading(lease, run.id, at, SETTLING)
            return await replacement.replace(self.db, reading, window, source, memory)
        finally:
            await leases.give_back(self.db, lease)

    async def rows(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        async with self.db.transaction() as connection:
            bound = {"ns": self.namespace, "name": self.name, **values}
            return [tuple(row) for row in await connection.execute(text(statement), bound)]

    async def charges(self, as_of: datetime | None = None) -> list[Charge]:
        """The charges believed now, or at a moment, with the fields that these tests use."""
        now = "select *, null::timestamptz as believed_to from charge where namespace = :ns and provider = :name"
        then = """
            select *, null::timestamptz as believed_to from charge
            where namespace = :ns and provider = :name and believed_from <= :at
            union all
            select * from charge_history
            where namespace = :ns and provider = :name and believed_from <= :at and :at < believed_to
        """
        fields = ", ".join(Charge._fields)
        statement = f"select {fields} from ({now if as_of is None else then}) believed"
        return [Charge(*row) for row in await self.rows(statement, at=as_of)]  # type: ignore[arg-type]

    async def rollup(self) -> dict[tuple[date, str, str], tuple[Decimal, int]]:
        """Amount and number of charges by day, service and currency, from the daily rollup, with which others agree."""
        assert await self.rows(APART) == []
        found = await self.rows(
            """select day, service_name, billing_currency, sum(billed_cost), sum(charges)::bigint
               from daily_cost where namespace = :ns and provider = :name group by 1, 2, 3"""
        )
        return {(row[0], row[1], row[2]): (row[3], row[4]) for row in found}  # type: ignore[misc]


_LINES = f"namespace, provider, day, {', '.join(SERVICE_DIMENSIONS)}"
_SUMS = (*COSTS, "charges", "unpriced")
_FINE = f"select {_LINES}, {', '.join(f'sum({name})' for name in _SUMS)} from daily_cost where namespace = :ns"
_COARSE = f"select {_LINES}, {', '.join(_SUMS)} from daily_service_cost where namespace = :ns"
APART = f"""
    with fine as ({_FINE} group by {_LINES}), coarse as ({_COARSE})
    (select * from fine except all select * from coarse) union all (select * from coarse except all select * from fine)
"""
"""Rows in which the rollup by service is not the sum of the daily rollup."""


@pytest.fixture
async def desk(writer: WriterDB, namespace: str) -> Desk:
    made = Desk(writer, namespace)
    await made.open()
    return made
