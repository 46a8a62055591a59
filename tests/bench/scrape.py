"""What Prometheus gets, with very many providers: how long one scrape takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import perf_counter

import httpx

from tests.bench.bill import Bill, ready
from tests.bench.figure import Figure, percentile
from tests.bench.ground import ground, synced
from tests.bench.serving import served


async def figures(server_url: str, providers: int, asked: int) -> AsyncIterator[Figure]:
    """`/metrics` of a ledger with so many providers, each with a month of charges; the 95th percentile."""
    bill = Bill(60)
    batches = list(bill.batches())
    async with ground(server_url) as held:
        async with held.writer() as db:
            for number in range(providers):
                await synced(db, bill.window, ready(batches), f"vendor-{number}")
        await held.vacuum()
        async with served(held.url) as api, httpx.AsyncClient(base_url=api.url, timeout=60) as client:
            took = [await _scrape(client, providers) for _ in range(asked + 1)][1:]
    detail = {"milliseconds": took, "providers": providers}
    yield Figure(name="metrics_p95_ms", ratio=percentile(took, 0.95), goal=100, at_most=True, detail=detail)


async def _scrape(client: httpx.AsyncClient, providers: int) -> float:
    begun = perf_counter()
    answer = await client.get("/metrics")
    took = (perf_counter() - begun) * 1000
    assert answer.status_code == 200
    assert f"vendor-{providers - 1}" in answer.text
    return took
