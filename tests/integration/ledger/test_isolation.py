"""Row-level security: a reader sees the namespaces it was told, in every table, whatever it tries."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger.database import ReaderDB, WriterDB
from ledger.schema import TENANT_TABLES
from tests.integration.ledger.conftest import READ_AT, Desk, charge, days


@pytest.fixture
async def stranger(writer: WriterDB, namespace: str) -> Desk:
    """A second team with charges of its own."""
    desk = Desk(writer, f"{namespace}-other")
    await desk.open()
    return desk


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_every_table_forces_row_level_security(reader: ReaderDB, table: str) -> None:
    """Also for the tables' owner."""
    async with reader.transaction([]) as connection:
        found = await connection.execute(
            text("select relrowsecurity, relforcerowsecurity from pg_class where oid = cast(:t as regclass)"),
            {"t": table},
        )
        assert found.one() == (True, True)


async def test_no_table_of_the_schema_is_forgotten(reader: ReaderDB) -> None:
    """Whatever a migration adds is either a tenant table with its policy, a partition, or Alembic's own."""
    async with reader.transaction([]) as connection:
        found = await connection.execute(
            text(
                "select relname from pg_class where relnamespace = 'public'::regnamespace "
                "and relkind in ('r', 'p') and not relispartition and relname <> 'alembic_version' "
                "and not (relrowsecurity and relforcerowsecurity)"
            )
        )
        assert list(found.scalars()) == []


async def test_a_reader_sees_its_namespaces_only(reader: ReaderDB, desk: Desk, stranger: Desk) -> None:
    """Charges, history, rollup, runs: those of other teams are not there."""
    for owner, amount in ((desk, "1"), (stranger, "2")):
        await owner.sync(days(0, 2), [charge(0, "a", amount)])
        await owner.sync(days(0, 2), [charge(0, "a", f"{amount}.5")], at=READ_AT.replace(hour=13))

    for table in ("charge", "charge_history", "daily_cost", "provider", "sync_run", "restatement", "piece", "lease"):
        async with reader.transaction([desk.namespace]) as connection:
            seen = set((await connection.execute(text(f"select distinct namespace from {table}"))).scalars())
        assert seen == {desk.namespace}, table


async def test_a_reader_without_namespaces_sees_nothing(reader: ReaderDB, desk: Desk) -> None:
    """No setting, no rows: a forgotten setting fails closed."""
    await desk.sync(days(0, 2), [charge(0, "a", "1")])

    async with reader.transaction([]) as connection:
        assert (await connection.execute(text("select count(*) from charge"))).scalar() == 0
    async with reader.engine.connect() as connection:
        assert (await connection.execute(text("select count(*) from charge"))).scalar() == 0


@pytest.mark.parametrize("trick", ["*", "a,*", "team' or 'a'='a", "{team}", "TEAM", "a, b"])
async def test_names_that_are_no_namespaces_open_nothing(reader: ReaderDB, desk: Desk, trick: str) -> None:
    """A caller's text cannot become the wildcard or a second name."""
    await desk.sync(days(0, 2), [charge(0, "a", "1")])

    async with reader.transaction([trick]) as connection:
        assert (await connection.execute(text("select count(*) from charge"))).scalar() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "select * from charge_2026_09",
        "update charge set billed_cost = 0",
        "delete from daily_cost",
        """insert into provider (namespace, name, kind, type, labels, suspended, created_at)
           values (:ns, 'x', 'Provider', 'openai', '{}', false, now())""",
        "alter table charge disable row level security",
        "set role costhook_writer; select 1",
        "select make_partitions('2026-01-01')",
    ],
)
async def test_a_reader_can_neither_write_nor_go_around(reader: ReaderDB, desk: Desk, statement: str) -> None:
    """Partitions, which have no policy of their own, are closed to it; so is every table for writing."""
    await desk.sync(days(0, 2), [charge(0, "a", "1")])

    with pytest.raises(DBAPIError, match=r"permission denied|must be owner|cannot insert multiple commands"):
        async with reader.transaction([desk.namespace]) as connection:
            await connection.execute(text(statement), {"ns": desk.namespace} if ":ns" in statement else {})


async def test_a_reader_may_ask_for_syncs_of_its_own_only(reader: ReaderDB, desk: Desk, stranger: Desk) -> None:
    """The one thing it writes is bound to its namespaces too."""
    ask = text(
        "insert into sync_request (namespace, provider, requested_at, requested_by) values (:ns, 'vendor', now(), 'x')"
    )
    async with reader.transaction([desk.namespace]) as connection:
        await connection.execute(ask, {"ns": desk.namespace})

    with pytest.raises(DBAPIError, match="row-level security"):
        async with reader.transaction([desk.namespace]) as connection:
            await connection.execute(ask, {"ns": stranger.namespace})
