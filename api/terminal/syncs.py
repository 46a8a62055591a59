"""Syncs as they go: a bar for each that runs, and a line for each that ended.

What is shown is read from the ledger, so it does not matter which process syncs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from api.terminal.layout import count
from ledger.database import ReaderDB
from ledger.errors import DatabaseUnavailable
from ledger.reads.runs import RunFilter, SyncRun, sync_runs

LOOK: Final = 0.2
"""Seconds between two looks at the ledger."""
AT_ONCE: Final = 200
"""Runs looked at, newest first."""
RUNNING: Final = "Running"


async def newest(db: ReaderDB) -> int:
    """The number of the newest run there is; 0 before the first."""
    async with db.transaction(None) as connection:
        found = await sync_runs(connection, RunFilter(), first=1)
    return found[0].id if found else 0


async def since(db: ReaderDB, after: int) -> list[SyncRun]:
    """The runs begun after that one, oldest first."""
    async with db.transaction(None) as connection:
        found = await sync_runs(connection, RunFilter(), first=AT_ONCE)
    return [run for run in reversed(found) if run.id > after]


async def follow(db: ReaderDB, after: int, over: asyncio.Event, show: Callable[[Sequence[SyncRun]], None]) -> None:
    """Show the runs begun after that one, again and again until `over` is set, and then once more.

    While the database cannot be reached what was shown stays.
    """
    last = False
    while not last:
        last = over.is_set()
        with suppress(DatabaseUnavailable):
            show(await since(db, after))
        await pause(over)


async def pause(over: asyncio.Event, seconds: float = LOOK) -> None:
    """Wait a little, or until `over` is set."""
    if over.is_set():
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await over.wait()


def told(run: SyncRun) -> Text:
    """How a run ended, in one line."""
    name = f"{run.namespace}/{run.provider}"
    if run.outcome == "Succeeded" and not run.windows_total:
        return Text(f"{name}: synced; there was nothing new to read")
    if run.outcome == "Succeeded":
        changes = f"+{run.rows_inserted:,} ~{run.rows_changed:,} -{run.rows_removed:,}"
        return Text(f"{name}: synced {count(run.windows_done, 'window')}, {count(run.rows_read, 'row')} ({changes})")
    why = f": {run.reason}: {run.error}" if run.error else ""
    return Text(f"{name}: {run.outcome.lower()}{why}", style="red" if run.outcome == "Failed" else "yellow")


class Bars:
    """A bar for each sync, on a terminal; nothing elsewhere. Use it as a context manager.

    With `tell`, a sync that ended well leaves a line instead of its bar, on any console; one that failed leaves
    nothing. Runs of which it is known that they `ended` are not shown.
    """

    def __init__(self, console: Console, *, tell: bool = False, ended: frozenset[int] = frozenset()) -> None:
        self._console = console
        self._tell = tell
        self._tasks: dict[int, TaskID] = {}
        self._ended = set(ended)
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            _Said(),
            TimeElapsedColumn(),
            console=console,
            transient=tell,
            disable=not console.is_terminal,
            auto_refresh=False,
            expand=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._progress.stop()

    @property
    def ended(self) -> frozenset[int]:
        """Numbers of the runs of which nothing more is to be shown."""
        return frozenset(self._ended)

    @property
    def busy(self) -> bool:
        """Whether any sync runs."""
        return bool(self._tasks)

    def show(self, runs: Sequence[SyncRun]) -> None:
        """Bring the bars up to date."""
        fresh = [run for run in runs if run.id not in self._ended]
        for run in fresh:
            self._show(run)
        if fresh:
            self._progress.refresh()

    def _show(self, run: SyncRun) -> None:
        if run.outcome != RUNNING and self._tell:
            self._end(run)
            return
        if run.id not in self._tasks:
            self._tasks[run.id] = self._progress.add_task(run.provider, total=None)
        task = self._tasks[run.id]
        self._progress.update(task, **_progress(run))
        if run.outcome != RUNNING:
            self._ended.add(run.id)
            self._progress.stop_task(task)

    def _end(self, run: SyncRun) -> None:
        self._ended.add(run.id)
        if run.id in self._tasks:
            self._progress.remove_task(self._tasks.pop(run.id))
            self._progress.refresh()
        if run.outcome != "Failed":
            self._console.print(told(run))


class _Said(ProgressColumn):
    """Windows and rows so far, or how it ended."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True, justify="right"))

    def render(self, task: Task) -> Text:
        run: SyncRun | None = task.fields.get("run")
        if run is None:
            return Text("")
        if run.outcome not in (RUNNING, "Succeeded"):
            return Text(f"{run.outcome.lower()}: {run.reason}" if run.reason else run.outcome.lower(), style="red")
        windows = f"{run.windows_done}/{run.windows_total} windows" if run.windows_total else ""
        return Text(f"{windows} {run.rows_read:>9,} rows")


def _progress(run: SyncRun) -> dict[str, Any]:
    over = run.outcome != RUNNING
    total = run.windows_total or (1 if over else None)
    done = total if run.outcome == "Succeeded" else run.windows_done
    return {"total": total, "completed": done or 0, "run": run}
