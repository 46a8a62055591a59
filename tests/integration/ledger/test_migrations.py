"""The schema's steps: up, down and up again with data, and the same as the program's own picture of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from ledger.database import connect_owner, connect_writer
from ledger.errors import SchemaBehind
from ledger.schema import metadata
from ledger.window import DAY
from migrations.step import require
from migrations.upgrade import downgrade, is_ours, newest, upgrade
from tests.integration.conftest import make_database
from tests.integration.ledger.conftest import START, Desk, charge, days


@pytest.fixture
async def empty(server_url: str) -> AsyncIterator[tuple[str, AsyncEngine]]:
    """A database without a schema: its URL and an engine as its owner."""
    url = await make_database(server_url)
    engine = connect_owner(url)
    yield url, engine
    await engine.dispose()


async def test_up_down_and_up_again_with_data(empty: tuple[str, AsyncEngine]) -> None:
    """Every step can be undone on a database in use, and done again."""
    url, engine = empty
    for _ in range(2):
        await upgrade(engine)
        await upgrade(engine)
        writer = connect_writer(url)
        desk = Desk(writer, "team-a")
        await desk.open()
        await desk.sync(days(0, 3), [charge(0, "a", "1"), charge(2, "b", "2")])
        assert len(await desk.charges()) == 2
        await writer.close()
        await downgrade(engine, "base")
    async with engine.connect() as connection:
        left = await connection.execute(
            text(
                "select relname from pg_class "
                "where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'S')"
            )
        )
        assert list(left.scalars()) == ["alembic_version"]


async def test_the_rollup_by_service_begins_with_what_is_there(empty: tuple[str, AsyncEngine]) -> None:
    """What was synced before the step is summed by it, and what empties the daily rollup empties this one, too."""
    url, engine = empty
    await upgrade(engine, "0006")
    writer = connect_writer(url)
    desk = Desk(writer, "team-a")
    await desk.open()
    await desk.sync(days(0, 3), [charge(0, "a", "1"), charge(0, "b", "2"), charge(2, "b", None)])

    await upgrade(engine)

    sums = "select day, billed_cost, charges, unpriced from daily_service_cost order by day"
    first, third = START, START + 2 * DAY
    assert await desk.rows(sums) == [(first, Decimal(3), 2, 0), (third, Decimal(0), 1, 1)]
    assert await desk.rollup() == {(first, "S", "USD"): (Decimal(3), 2), (third, "S", "USD"): (Decimal(0), 1)}
    async with engine.begin() as connection:
        await connection.execute(text("truncate daily_cost"))
    assert await desk.rows(sums) == []
    await writer.close()


async def test_the_program_knows_the_schema(empty: tuple[str, AsyncEngine]) -> None:
    """Tables and columns that the migrations make are those that ledger.schema names."""
    _, engine = empty
    await upgrade(engine)

    def differences(connection: Connection) -> list[object]:
        options = {"include_name": is_ours}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_schema_that_is_behind_is_told(empty: tuple[str, AsyncEngine]) -> None:
    """With the command that mends it."""
    url, engine = empty
    with pytest.raises(SchemaBehind, match="costhook migrate"):
        await require(url)

    await upgrade(engine)

    await require(url)
    assert newest().isdigit()


def test_every_step_has_timeouts() -> None:
    """A migration that waits for a lock must not stop the program that runs beside it."""
    steps = sorted((Path(migrations.__file__).parent / "versions").glob("[0-9]*.py"))

    assert steps
    for step in steps:
        source = step.read_text()
        for way in ("def upgrade", "def downgrade"):
            body = source[source.index(way) :]
            assert "lock_timeout" in body[:200], f"{step.name}: {way} sets no lock_timeout"
            assert "statement_timeout" in body[:250], f"{step.name}: {way} sets no statement_timeout"
