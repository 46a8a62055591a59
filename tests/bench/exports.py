"""Files: a month of charges over HTTP, beside psql's own copying of the same rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from ledger.programs import programs
from tests.bench.bill import FIRST, Bill, made
from tests.bench.figure import Figure, Times
from tests.bench.ground import Ground, ground, synced
from tests.bench.memory import KILO, peak_kib
from tests.bench.serving import Served, served

FORMATS: Final = ("csv", "jsonl")


async def figures(server_url: str, rows: int, rounds: int) -> AsyncIterator[Figure]:
    """A month of `rows` charges as CSV and JSON lines, and `\\copy` of its rows as they are stored."""
    bill, first_bytes = Bill(rows), []
    async with ground(server_url) as held:
        times = Times(held.server_cpu)
        async with held.writer() as db:
            await synced(db, bill.window, made(bill.batches()))
        await held.vacuum()
        async with served(held.url) as api:
            await _export(api, "csv", days=3)
            before = peak_kib(api.process)
            for _ in range(rounds):
                with times.clocked("psql"):
                    await _psql(held)
                for format_ in FORMATS:
                    with times.clocked(format_):
                        first_bytes.append(await _export(api, format_, days=bill.days))
            after = peak_kib(api.process)
    for format_, goal in zip(FORMATS, (0.8, 0.5), strict=True):
        detail = times.detail("psql", format_)
        yield Figure(name=f"export_{format_}", ratio=times.ratio("psql", format_), goal=goal, detail=detail)
    yield Figure(name="export_first_byte_ms", ratio=max(first_bytes) * 1000, goal=100, at_most=True)
    mib = [before / KILO, after / KILO]
    detail = {"peak in MiB after a tenth and after all": mib}
    yield Figure(name="export_memory_growth", ratio=after / before, goal=1.1, at_most=True, detail=detail)


async def _export(api: Served, format_: str, days: int) -> float:
    """Take the file; seconds until its first byte."""
    after = FIRST + timedelta(days=days)
    done = await api.download(f"/export/charges.{format_}?from={FIRST}&to={after}")
    assert done.status == 200
    return done.first_byte


async def _psql(held: Ground) -> None:
    data = Path(await held.owner.fetchval("show data_directory"))
    psql = str(programs(data).folder / "psql")
    chosen = f"charge_period_start >= '{FIRST} 00:00+00'"
    command = f"\\copy (select * from charge where {chosen}) to '/dev/null' csv"
    process = await asyncio.create_subprocess_exec(psql, "-q", "-X", held.url, "-c", command)
    assert await process.wait() == 0
