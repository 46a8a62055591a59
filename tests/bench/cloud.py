"""A cloud's export: a month of AWS's FOCUS data in a bucket, from its files to the ledger.

The bucket is moto's, a process of its own on this machine. Five million rows take minutes each time, so that they are
synced once, whatever the number of rounds, by a fresh process whose peak of memory is noted, too. COPY's rows lie ready
part by part: all at once they would take more memory than the machine may have.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

from ledger.charge import Charge
from ledger.database import WriterDB, connect_writer
from ledger.window import Span
from reconciler.connectors.aws import Aws, AwsSettings
from reconciler.connectors.base import Context, Credentials
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient
from reconciler.sync import Ending, Sync, Terms
from tests.bench.baseline import RawCopy, ready_rows
from tests.bench.bill import Bill
from tests.bench.delivered import deliver
from tests.bench.figure import Figure, Times
from tests.bench.ground import READ_AT, Ground, ground, worked
from tests.bench.memory import KILO, peak_kib, told
from tests.integration.connectors import aws_moto
from tests.integration.connectors.aws_exports import Account
from tests.integration.connectors.aws_vendor import KEY_ID, SECRET

TERMS: Final = Terms(timedelta(days=90), Aws.traits.moving, Aws.traits.settling)
PART: Final = 100_000
"""Rows that lie ready for COPY at once."""
SYNCED: Final = "aws_export"


async def figures(server_url: str, rows: int, folder: Path) -> AsyncIterator[Figure]:
    """An export of `rows` rows, compared with COPY of the same rows, and once more with nothing new in it."""
    with aws_moto.running() as url:
        bill = Bill(rows)
        billed = deliver(Account(url), bill, folder)
        async with ground(server_url) as held:
            times = Times(held.server_cpu)
            await _copy(held, url, bill, times)
            peak = await _first(held, url, times)
            assert await _stored(held) == (rows, billed)
            ratio, detail = times.ratio("copy", SYNCED), times.detail("copy", SYNCED)
            yield Figure(name=SYNCED, ratio=ratio, goal=0.7, detail=detail)
            yield Figure(name=f"{SYNCED}_peak_mib", ratio=peak, goal=400, at_most=True)
            await _again(held, url, times)
            seconds, detail = times.median("unchanged"), times.detail("unchanged")
            yield Figure(name=f"{SYNCED}_unchanged_seconds", ratio=seconds, goal=5, at_most=True, detail=detail)


async def _copy(held: Ground, url: str, bill: Bill, times: Times) -> None:
    """COPY of what the connector makes of the export."""
    raw = RawCopy(held)
    await raw.make(bill.window)
    await held.calm()
    async for part in _parts(_charges(url)):
        ready = ready_rows([part])
        gc.collect()
        gc.freeze()
        try:
            with times.clocked("copy"):
                await raw.write(ready)
        finally:
            gc.unfreeze()
    times.join("copy")
    await raw.clear()


async def _first(held: Ground, url: str, times: Times) -> float:
    """The first sync, by a fresh process; the most MiB that it took."""
    await held.calm()
    before = held.server_cpu()
    said = await told("tests.bench.cloud", held.url, url)
    times.note(SYNCED, said["seconds"], (said["cpu"], held.server_cpu() - before))
    return float(said["kib"]) / KILO


async def _again(held: Ground, url: str, times: Times) -> None:
    await held.calm()
    async with held.writer() as db:
        with times.clocked("unchanged"):
            ending = await _synced(db, url)
    assert ending.windows == 0


async def _stored(held: Ground) -> tuple[int, Decimal]:
    """Rows in the ledger, and what they bill."""
    row = await held.owner.fetchrow("select count(*), sum(billed_cost) from charge")
    return row[0], row[1]


async def _synced(db: WriterDB, url: str) -> Ending:
    """One sync of the bucket as the reconciler does it, from looking into it to the commit."""

    async def work(sync: Sync) -> Ending:
        async with _connector(url, sync.turn.memory) as aws:
            return await sync.read_due(aws, TERMS)

    return await worked(db, work)


async def _charges(url: str) -> AsyncIterator[Sequence[Charge]]:
    async with _connector(url, {}) as aws:
        for window in await aws.windows([], Span(READ_AT - timedelta(days=90), READ_AT)):
            async for batch in aws.charges(window):
                yield batch


async def _parts(batches: AsyncIterator[Sequence[Charge]]) -> AsyncIterator[Sequence[Charge]]:
    part: list[Charge] = []
    async for batch in batches:
        part += batch
        if len(part) >= PART:
            yield part
            part = []
    if part:
        yield part


@asynccontextmanager
async def _connector(url: str, memory: Any) -> AsyncIterator[Aws]:
    export = {"bucket": "acme-billing", "prefix": "billing/daily", "name": "focus", "region": "eu-central-1"}
    given = {"source": "export", "identity": "Secret", "baseURL": url, "export": export}
    keys = {"accessKeyID": KEY_ID, "secretAccessKey": SECRET}
    async with VendorClient(base_url=url, policy=EgressPolicy(allow_loopback=True), meter=Meter()) as http:
        yield Aws(AwsSettings.model_validate(given), Context(http, Credentials(keys), READ_AT, memory))


async def _work(ledger_url: str, url: str) -> dict[str, float]:
    db = connect_writer(ledger_url)
    begun = perf_counter(), process_time()
    await _synced(db, url)
    took = {"seconds": perf_counter() - begun[0], "cpu": process_time() - begun[1]}
    await db.close()
    return {**took, "kib": peak_kib()}


def main(arguments: Sequence[str]) -> None:
    ledger_url, url = arguments
    sys.stdout.write(json.dumps(asyncio.run(_work(ledger_url, url))))


if __name__ == "__main__":
    main(sys.argv[1:])
