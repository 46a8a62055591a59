"""Rows out of Postgres by COPY, as it writes them, at the pace of whoever takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.filters import Parameters

AHEAD: Final = 2
"""Chunks that Postgres may be ahead of the reader."""
CHUNK: Final = 128 * 1024
"""Bytes of a chunk, or a few more. Postgres sends eight kilobytes at a time, which take as long to pass on."""


async def copy_out(
    connection: AsyncConnection, statement: str, parameters: Parameters, **options: Any
) -> AsyncGenerator[bytes]:
    """The answer to `statement` in chunks of whole rows, in the format of COPY's `options`.

    Ending the iterator early cancels the statement and gives the connection up: rows may still be on their way.
    """
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    query, values = _numbered(connection, statement, parameters)
    handover = _Handover()
    task = asyncio.create_task(driver.copy_from_query(query, *values, output=handover.put, **options), name="copy")
    task.add_done_callback(handover.end)
    try:
        async for chunk in handover.chunks():
            yield chunk
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            await connection.invalidate()


class _Handover:
    """Joins what comes to chunks, passes them on, and lets the one side wait for the other."""

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(AHEAD)
        self._parts: list[bytes] = []
        self._size = 0

    async def put(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size >= CHUNK:
            await self._room.acquire()
            self._hand_over()

    def end(self, _task: object) -> None:
        if self._parts:
            self._hand_over()
        self._chunks.put_nowait(None)

    async def chunks(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            self._room.release()
            yield chunk

    def _hand_over(self) -> None:
        self._chunks.put_nowait(b"".join(self._parts))
        self._parts, self._size = [], 0


def _numbered(connection: AsyncConnection, statement: str, parameters: Parameters) -> tuple[str, list[Any]]:
    """The statement as the driver wants it: $1, $2 and the values in this order."""
    compiled = text(statement).bindparams(**parameters.values).compile(dialect=connection.dialect)
    return str(compiled), [parameters.values[name] for name in compiled.positiontup or ()]
