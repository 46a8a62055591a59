"""Writing: a first sync, one that finds nothing new, and two in which the vendor changed its mind."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

from ledger.charge import Charge
from tests.bench.baseline import RawCopy, Row, ready_rows
from tests.bench.bill import Bill, one_in_a_hundred, ready
from tests.bench.figure import Figure, Times
from tests.bench.ground import Ground, changes, ground, synced

Batches = Sequence[Sequence[Charge]]

BOOKKEEPING: Final = frozenset(
    {"lease", "piece", "provider", "sync_run", "vendor_call", "sync_request", "evaluation_due"}
)
"""What every sync writes about itself, `evaluation_due` among it: the mark by which alerts learn of it."""


async def figures(server_url: str, rows: int, rounds: int) -> AsyncIterator[Figure]:
    """The figures of a bill of `rows` charges over thirty days."""
    bench = Ingest(Bill(rows))
    async with ground(server_url) as held:
        await bench.run(held, rounds)
    for figure in bench.figures():
        yield figure


class Ingest:
    """One bill in four states, synced one after the other, and the baseline beside it, round by round."""

    def __init__(self, bill: Bill) -> None:
        self.bill = bill
        self.states: dict[str, Batches] = {}
        self.times = Times()
        self.notes: dict[str, dict[str, Any]] = {}

    async def run(self, held: Ground, rounds: int) -> None:
        self.times = Times(held.server_cpu)
        self._prepare()
        raw = RawCopy(held)
        await raw.make(self.bill.window)
        rows = ready_rows(self.states["first"])
        gc.collect()
        gc.freeze()  # what lies ready is the benchmark's, and is not to be looked through again and again
        try:
            for number in range(rounds):
                await self._round(held, raw, rows, baseline_first=number % 2 == 0)
        finally:
            gc.unfreeze()

    def figures(self) -> list[Figure]:
        times = self.times
        unchanged, restated = self.notes["unchanged"], self.notes["restated"]
        changed = len(range(37, self.bill.rows, 100))
        stored = restated["written"].get("charge", {"inserted": 0, "deleted": 0})
        strays = sum(sum(counts.values()) for name, counts in unchanged["written"].items() if name not in BOOKKEEPING)
        dead = sum(max(counts["dead"], 0) for name, counts in unchanged["written"].items() if name not in BOOKKEEPING)
        beyond = sum(size for name, size in unchanged["log"].items() if _is_data(name))
        return [
            _figure("first_ingest", times, "copy", "first", 0.9),
            _figure("unchanged", times, "copy", "unchanged", 3.0),
            Figure(name="unchanged_rows_written", ratio=strays, goal=0, at_most=True, detail=unchanged),
            Figure(name="unchanged_dead_tuples", ratio=dead, goal=0, at_most=True, detail=unchanged),
            Figure(name="unchanged_wal_beyond_bookkeeping", ratio=beyond, goal=0, at_most=True, detail=unchanged),
            _figure("restated_1_percent", times, "first", "restated", 1.0),
            Figure(
                name="restated_rows_written",
                ratio=max(stored["inserted"], stored["deleted"]) / max(changed, 1),
                goal=1.0,
                at_most=True,
                detail=restated,
            ),
            Figure(
                name="restated_one_day",
                ratio=times.ratio("one_day", "unchanged"),
                goal=1.5,
                at_most=True,
                detail=times.detail("one_day", "unchanged"),
            ),
        ]

    def _prepare(self) -> None:
        bill = self.bill
        day = bill.window.start.replace(day=15).date()

        def later(number: int, start: datetime) -> bool:
            return one_in_a_hundred(number, start) or start.date() == day

        self.states["first"] = self.states["unchanged"] = list(bill.batches())
        self.states["restated"] = _merged(self.states["first"], bill, one_in_a_hundred)
        self.states["one_day"] = _merged(self.states["restated"], bill, later)

    async def _round(self, held: Ground, raw: RawCopy, rows: Sequence[Row], *, baseline_first: bool) -> None:
        if baseline_first:
            await self._baseline(held, raw, rows)
        for state in self.states:
            await self._sync(held, state)
        await held.clear()
        if not baseline_first:
            await self._baseline(held, raw, rows)

    async def _baseline(self, held: Ground, raw: RawCopy, rows: Sequence[Row]) -> None:
        await held.calm()
        with self.times.clocked("copy"):
            await raw.write(rows)
        await raw.clear()

    async def _sync(self, held: Ground, state: str) -> None:
        await held.vacuum()
        await held.calm()
        before, wal = await held.written(), await held.wal()
        async with held.writer() as db:
            with self.times.clocked(state):
                await synced(db, self.bill.window, ready(self.states[state]))
        self.notes[state] = {"written": changes(before, await held.written()), "log": await held.logged(wal)}


def _is_data(table: str) -> bool:
    """Whether a table is neither bookkeeping nor the server's own; "" are commits."""
    return table not in BOOKKEEPING and not table.startswith(("pg_", "sync_run_id")) and table != ""


def _merged(before: Batches, bill: Bill, restated: Any) -> Batches:
    """The batches with the restated rows; all others are those that lie there already."""
    return [
        [old if old == new else new for old, new in zip(olds, news, strict=True)]
        for olds, news in zip(before, bill.batches(restated), strict=True)
    ]


def _figure(name: str, times: Times, baseline: str, measured: str, goal: float) -> Figure:
    return Figure(name=name, ratio=times.ratio(baseline, measured), goal=goal, detail=times.detail(baseline, measured))
