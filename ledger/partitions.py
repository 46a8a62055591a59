"""Monthly partitions of charges and their history: made as data comes, dropped whole when no longer kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.database import WriterDB
from ledger.window import midnight

_EXISTING = text("select to_regclass(:name) is not null")
_MAKE = text("select make_partitions(:month)")


def name(month: datetime) -> str:
    """The partition of `charge` that holds a UTC month. Its writer is the only one who may name it."""
    return f"charge_{month:%Y_%m}"


async def ensure(db: WriterDB, months: Iterable[datetime]) -> None:
    """Make the partitions of these months that are missing.

    Each is made in a transaction of its own, before the window's: a writer that holds rows never waits for the
    lock under which partitions are made, so two writers cannot deadlock.
    """
    for month in months:
        async with db.statement() as connection:
            if not (await connection.execute(_EXISTING, {"name": name(month)})).scalar():
                await connection.execute(_MAKE, {"month": month.date()})


async def drop_before(owner: AsyncEngine, month: date) -> list[str]:
    """Drop every whole month before `month`, for all namespaces, with its rollup and pieces; returns the tables.

    Needs the owner's connection. A month is dropped in one transaction, so readers never see half of one.
    """
    first = month.replace(day=1)
    async with owner.begin() as connection:
        await connection.execute(text("set local lock_timeout = '5s'"))
        found = await connection.execute(
            text("""
                select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where i.inhparent in ('charge'::regclass, 'charge_history'::regclass)
                  and right(c.relname, 7) < to_char(cast(:first as date), 'YYYY_MM')
                order by 1
            """),
            {"first": first},
        )
        names = list(found.scalars())
        for table in names:
            await connection.execute(text(f'drop table "{table}"'))
        await connection.execute(text("set local role costhook_writer"))
        await connection.execute(text("delete from daily_cost where day < :first"), {"first": first})
        await connection.execute(text("delete from piece where ends_at <= :first"), {"first": midnight(first)})
    return names
