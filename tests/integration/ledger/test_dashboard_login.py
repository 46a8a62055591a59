"""The login of Postgres that docs/operations.md gives Grafana: it sees its teams, and can do nothing about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.database import WriterDB, connect_owner
from tests import grafana
from tests.integration.ledger.conftest import READ_AT, Desk, charge, days


async def run(engine: AsyncEngine, script: str) -> None:
    """A script of several statements, as psql sends them."""
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.execute(script)


@pytest.fixture
async def teams(writer: WriterDB, namespace: str) -> list[Desk]:
    """Two teams with a charge each."""
    made = [Desk(writer, namespace), Desk(writer, f"{namespace}-other")]
    for desk in made:
        await desk.open()
        await desk.sync(days(0, 1), [charge(0, "a", "5")], at=READ_AT + timedelta(hours=1))
    return made


@pytest.fixture
async def grafanas(database_url: str, teams: list[Desk]) -> AsyncIterator[tuple[AsyncEngine, AsyncEngine]]:
    """Logins made as documented: one that sees everything, and one that sees the first team."""
    owner, names = connect_owner(database_url), [f"grafana_{uuid4().hex[:12]}" for _ in range(2)]
    await run(owner, grafana.login(names[0]))
    await run(owner, grafana.login(names[1], f"$a$ namespace in ('{teams[0].namespace}', 'nobody') $a$"))
    engines = [connect_owner(grafana.as_login(database_url, name)) for name in names]
    yield engines[0], engines[1]
    for engine, name in zip(engines, names, strict=True):
        await engine.dispose()
        await run(owner, f"drop owned by {name}; drop role {name}")  # as documented: nothing of it stays
    await owner.dispose()


async def seen(engine: AsyncEngine, table: str, *settings: str) -> set[str]:
    """The namespaces that a login finds in a table."""
    async with engine.connect() as connection:
        for setting in settings:
            await connection.execute(text(setting))
        return {row[0] for row in await connection.execute(text(f"select namespace from {table}"))}


async def test_it_sees_its_teams_whatever_it_sets(grafanas: tuple[AsyncEngine, AsyncEngine], teams: list[Desk]) -> None:
    """Rows of other teams stay hidden, also from a session that claims to be somebody else's."""
    everything, one_team = grafanas
    for table in ("daily_cost", "provider", "sync_run"):
        assert {desk.namespace for desk in teams} <= await seen(everything, table)
        assert await seen(one_team, table) == {teams[0].namespace}
        assert await seen(one_team, table, "set costhook.namespaces = '*'") == {teams[0].namespace}


@pytest.mark.parametrize(
    "statement",
    [
        "insert into sync_request (namespace, provider, requested_at, requested_by) values ('a', 'b', now(), 'c')",
        "update sync_run set cancel_requested = true",
        "update notification set state = 'Waiting'",
        "delete from daily_cost",
        "select * from charge",
        "select * from resource",
        "select * from api_token",
        "select * from audit_entry",
        "select * from connector_memory",
        "set role costhook_reader",
        "set role costhook_writer",
    ],
)
async def test_it_can_do_nothing_else(grafanas: tuple[AsyncEngine, AsyncEngine], statement: str) -> None:
    """What dashboards do not read it may not read, it writes nothing, and it takes on no other role."""
    async with grafanas[0].connect() as connection:
        with pytest.raises(DBAPIError, match="permission denied"):
            await connection.execute(text(statement))
