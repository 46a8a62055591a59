"""Monthly partitions: made as data comes, by writers who do not get into each other's way, and dropped whole."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

from sqlalchemy import text

from ledger import partitions
from ledger.database import WriterDB, connect_owner, connect_writer
from ledger.window import midnight
from tests.integration.conftest import make_ledger
from tests.integration.ledger.conftest import Desk, charge, days
from tests.integration.ledger.oracle import multiset

FAR = date(2031, 1, 1)


async def test_writers_making_the_same_months_do_not_deadlock(writer: WriterDB, namespace: str) -> None:
    """Many first syncs over the same new months, in opposite orders, all go through."""
    desks = [Desk(writer, f"{namespace}-{n}") for n in range(4)]
    for desk in desks:
        await desk.open()
    far = (FAR - date(2026, 9, 28)).days

    async def fill(desk: Desk, first: int) -> None:
        for month in range(6):
            at = far + 31 * (month if first == 0 else 5 - month)
            await desk.sync(days(at, at + 1), [charge(at, "a", "1")])

    async with asyncio.timeout(60):
        await asyncio.gather(*(fill(desk, n % 2) for n, desk in enumerate(desks)))

    for desk in desks:
        assert len(await desk.charges()) == 6


async def test_reads_go_on_while_a_partition_is_made(desk: Desk) -> None:
    """Making one waits for no reader, and no reader waits for it."""
    await desk.sync(days(0, 1), [charge(0, "a", "1")])
    async with desk.db.transaction() as connection:
        await connection.execute(text("select count(*) from charge"))
        async with asyncio.timeout(10):
            await partitions.ensure(desk.db, [midnight(date(2035, 5, 1))])


async def test_a_month_is_dropped_whole(server_url: str) -> None:
    """Charges, history, rollup and pieces of months before the one named go; the others stay as they are."""
    url = await make_ledger(server_url)
    owner, writer = connect_owner(url), connect_writer(url)
    desk = Desk(writer, "team-a")
    await desk.open()
    kept = [charge(5, "october", "3")]
    await desk.sync(days(0, 6), [charge(0, "september", "1"), charge(2, "september", "2"), *kept])

    dropped = await partitions.drop_before(owner, date(2026, 10, 15))

    assert dropped == ["charge_2026_09", "charge_history_2026_09"]
    assert multiset(await desk.charges()) == multiset(kept)
    assert sum(rows for _, rows in (await desk.rollup()).values()) == 1
    assert await desk.rows("select min(starts_at) from piece") == [(midnight(date(2026, 10, 1)),)]
    assert await partitions.drop_before(owner, date(2026, 10, 15) - timedelta(days=60)) == []
    await writer.close()
    await owner.dispose()
