"""Connections: one that the server ended is no error, and what is a single statement holds without being committed."""

from __future__ import annotations

import asyncio

import asyncpg
from sqlalchemy import text

from ledger.database import WriterDB

PATIENCE = 20
NOTE = text("insert into connector_memory (namespace, provider, key, value) values (:namespace, 'vendor', :key, '1')")
NOTES = text("select count(*) from connector_memory where namespace = :namespace")


async def test_a_connection_that_the_server_ended_is_replaced(writer: WriterDB, database_url: str) -> None:
    """Whoever comes after a restart of the server is given a fresh connection, and notices nothing."""
    ended = await _backend(writer)
    owner = await asyncpg.connect(database_url)
    await owner.execute("select pg_terminate_backend($1)", ended)
    async with asyncio.timeout(PATIENCE):
        while await owner.fetchval("select count(*) from pg_stat_activity where pid = $1", ended):
            await asyncio.sleep(0.01)
    await owner.close()

    assert await _backend(writer) != ended


async def test_a_single_statement_commits_itself(writer: WriterDB, namespace: str) -> None:
    """What it wrote is there for others at once; a transaction on the same connection is one again afterwards."""
    async with writer.statement() as connection:
        backend = (await connection.execute(text("select pg_backend_pid()"))).scalar_one()
        await connection.execute(NOTE, {"namespace": namespace, "key": "a"})
        assert await _notes(writer, namespace) == 1

    async with writer.transaction() as connection:
        assert (await connection.execute(text("select pg_backend_pid()"))).scalar_one() == backend
        await connection.execute(NOTE, {"namespace": namespace, "key": "b"})
        assert await _notes(writer, namespace) == 1
    assert await _notes(writer, namespace) == 2


async def _backend(db: WriterDB) -> int:
    async with db.transaction() as connection:
        return int((await connection.execute(text("select pg_backend_pid()"))).scalar_one())


async def _notes(db: WriterDB, namespace: str) -> int:
    async with db.transaction() as connection:
        return int((await connection.execute(NOTES, {"namespace": namespace})).scalar_one())
