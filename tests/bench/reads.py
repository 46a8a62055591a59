"""Questions over HTTP to ledgers of a year: how long the answers take, and whether size matters."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import date, timedelta
from time import perf_counter
from typing import Final

import httpx

from ledger.database import WriterDB
from ledger.window import DAY, Span
from tests.bench.bill import Bill, made
from tests.bench.figure import Figure, percentile
from tests.bench.ground import Ground, ground, synced
from tests.bench.serving import served

FIRST: Final = date(2025, 9, 1)
DAYS: Final = 365
TENFOLD: Final = 10

_COSTS: Final = "completeThrough buckets totals { currency amounts total previous change charges unpriced }"
_SERIES: Final = "series { key { by value } currency amounts total previous share origins { origin amount } }"
QUESTIONS: Final[Mapping[str, str]] = {
    "month_summary": f"""{{ costs(period: {{from: "2026-08-01", to: "2026-09-01"}}, compareTo: PREVIOUS_PERIOD) {{
        {_COSTS} }} }}""",
    "by_service": f"""{{ costs(period: {{from: "2026-08-01", to: "2026-09-01"}}, groupBy: [{{dimension: SERVICE}}],
        compareTo: PREVIOUS_PERIOD) {{ {_COSTS} {_SERIES} }} }}""",
    "timeline": f"""{{ costs(period: {{from: "2025-09-01", to: "2026-09-01"}}, groupBy: [{{dimension: SERVICE}}],
        granularity: DAY) {{ {_COSTS} {_SERIES} }} }}""",
}

Answers = dict[tuple[str, int], list[float]]


async def figures(server_url: str, rows: int, asked: int) -> AsyncIterator[Figure]:
    """Answers at `rows` charges and at ten times as many; each question is put `asked` times to both in turns."""
    sizes = (rows, rows * TENFOLD)
    answers: Answers = {}
    async with AsyncExitStack() as stack:
        clients = {}
        for size in sizes:
            held = await stack.enter_async_context(ground(server_url))
            await fill(held, size)
            api = await stack.enter_async_context(served(held.url))
            clients[size] = await stack.enter_async_context(httpx.AsyncClient(base_url=api.url, timeout=60))
        for name, question in QUESTIONS.items():
            for size, client in clients.items():
                await _ask(client, question, size)
            for _ in range(asked):
                for size, client in clients.items():
                    answers.setdefault((name, size), []).append(await _ask(client, question, size))
    for name in QUESTIONS:
        small, large = (percentile(answers[name, size], 0.95) for size in sizes)
        detail = {"charges": sizes, "p95 in ms": [small, large], "asked": asked}
        yield Figure(name=f"{name}_p95_ms", ratio=large, goal=50, at_most=True, detail=detail)
        yield Figure(name=f"{name}_tenfold", ratio=large / small, goal=1.3, at_most=True, detail=detail)


async def fill(held: Ground, rows: int) -> None:
    """Sync a year of charges month by month, and look after the tables as autovacuum would."""
    year = Span.of_days(FIRST, FIRST + timedelta(days=DAYS))
    async with held.writer() as db:
        for month in year.months():
            await _fill_month(db, month.date(), rows)
    await held.vacuum()


async def _fill_month(db: WriterDB, first: date, rows: int) -> None:
    after = (first + 31 * DAY).replace(day=1)
    days = (after - first).days
    bill = Bill(rows * days // DAYS, first, days)
    await synced(db, bill.window, made(bill.batches()))


async def _ask(client: httpx.AsyncClient, question: str, size: int) -> float:
    """Milliseconds until the whole answer is there."""
    body = json.dumps({"query": question})
    begun = perf_counter()
    answer = await client.post("/graphql", content=body, headers={"content-type": "application/json"})
    took = (perf_counter() - begun) * 1000
    [total] = answer.json()["data"]["costs"]["totals"]
    assert 0 < int(total["charges"]) <= size
    return took
