"""The API as a process of its own, over a ledger of a benchmark: `python -m tests.bench.serving URL`."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final
from urllib.parse import urlsplit

from api.app import create_app
from api.server import listening
from api.settings import ApiSettings
from ledger.database import connect_reader
from migrations.step import last

CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Download:
    """What came of one request, and how many seconds the first byte of the body took."""

    status: int
    bytes: int
    first_byte: float


@dataclass(frozen=True, slots=True)
class Served:
    """A running API."""

    url: str
    process: int

    async def download(self, path: str) -> Download:
        """Take a file as fast as it comes and keep nothing of it, as psql does: even to count rows takes a while."""
        address = urlsplit(self.url)
        begun = perf_counter()
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=CHUNK)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        chunk = await reader.read(CHUNK)
        first_byte, size, end = perf_counter() - begun, 0, b""
        while chunk:
            size, end = size + len(chunk), end[-8:] + chunk[-8:]
            chunk = await reader.read(CHUNK)
        writer.close()
        assert end.endswith(b"0\r\n\r\n"), "the file was broken off"
        return Download(int(head.split()[1]), size, first_byte)


@asynccontextmanager
async def served(database_url: str) -> AsyncIterator[Served]:
    """The API in a process of its own while the block runs."""
    command = [sys.executable, "-m", "tests.bench.serving", database_url]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Served((await process.stdout.readline()).decode().strip(), process.pid)
    finally:
        process.stdin.close()
        await process.wait()


async def _serve(database_url: str) -> None:
    db = connect_reader(database_url)
    app = create_app(ApiSettings(host="127.0.0.1", schema_step=last()), db)
    async with listening(app, "127.0.0.1", 0) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
    await db.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
