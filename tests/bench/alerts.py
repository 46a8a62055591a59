"""A thousand alerts after one sync: how long judging them takes, beside one query that adds up the same sums."""

from __future__ import annotations

import json
import statistics
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any, Final

from sqlalchemy import text

from ledger.alerts import book
from ledger.alerts.book import Name
from ledger.alerts.evaluation import evaluate
from ledger.alerts.rule import Level, Rule, Scope
from ledger.database import WriterDB
from tests.bench.bill import PROJECTS, SERVICES, Bill, made
from tests.bench.figure import Figure
from tests.bench.ground import NAMESPACE, PROVIDER, ground, synced

NOW: Final = datetime(2026, 9, 30, 12, tzinfo=UTC)

_SAME_SUMS: Final = text("""
    select s.name, d.billing_currency, sum(d.billed_cost)
    from jsonb_to_recordset(cast(:scopes as jsonb)) as s(name text, services text[], sub_accounts text[])
    join daily_cost d on d.namespace = :namespace and d.service_name = any(s.services)
        and d.sub_account_id = any(s.sub_accounts) and d.day >= '2026-09-01' and d.day < '2026-10-01'
    group by 1, 2
""")


async def figures(server_url: str, rows: int, alerts: int, rounds: int) -> AsyncIterator[Figure]:
    """Seconds from a sync's mark until every alert that it touches is judged; each alert has a scope of its own."""
    bill = Bill(rows)
    async with ground(server_url) as held, held.writer() as db:
        await synced(db, bill.window, made(bill.batches()))
        await _declare(db, alerts)
        while await evaluate(db, NOW):
            pass
        await held.vacuum()
        judged, summed = [], []
        for each in range(rounds):
            judged.append(await _judged(db, NOW + timedelta(seconds=each + 1), alerts))
            summed.append(await _summed(db, alerts))
    seconds, baseline = statistics.median(judged), statistics.median(summed)
    detail = {"alerts": alerts, "charges": rows, "seconds": judged, "seconds of the query": summed}
    yield Figure(name="alerts_judged_seconds", ratio=seconds, goal=1.0, at_most=True, detail=detail)
    yield Figure(name="alerts_judged", ratio=seconds / baseline, goal=3.0, at_most=True, detail=detail)


def _scope(number: int) -> Scope:
    """One service and two projects: of a thousand, no two are the same."""
    count = len(PROJECTS)
    first, second = PROJECTS[number % count], PROJECTS[(number // count + number % count + 1) % count]
    return Scope(services=(SERVICES[number % len(SERVICES)],), sub_accounts=(first, second))


async def _declare(db: WriterDB, alerts: int) -> None:
    levels = tuple(Level(f"{percent}%", "warning", percent=Decimal(percent)) for percent in (70, 90, 100))
    async with db.transaction() as connection:
        for number in range(alerts):
            rule = Rule(
                kind="Spend",
                scope=_scope(number),
                levels=levels,
                budget="b",
                currency="USD",
                period="Monthly",
                amount=Decimal(1_000_000),
            )
            await book.keep(connection, Name(NAMESPACE, f"alert-{number:05d}"), 1, rule, NOW)


async def _judged(db: WriterDB, now: datetime, alerts: int) -> float:
    async with db.transaction() as connection:
        await book.mark(connection, "Provider", Name(NAMESPACE, PROVIDER), now)
    begun = perf_counter()
    judged = await evaluate(db, now)
    taken = perf_counter() - begun
    assert len(judged.alerts) == alerts
    return taken


async def _summed(db: WriterDB, alerts: int) -> float:
    scopes: list[dict[str, Any]] = [{"name": str(number), **_scope(number).document()} for number in range(alerts)]
    begun = perf_counter()
    async with db.transaction() as connection:
        found = await connection.execute(_SAME_SUMS, {"scopes": json.dumps(scopes), "namespace": NAMESPACE})
        assert found.all()
    return perf_counter() - begun
