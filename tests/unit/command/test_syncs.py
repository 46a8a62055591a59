"""Syncs as a person sees them go by: a bar while one runs, a line once it ended, and nothing left behind."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from api.terminal.syncs import Bars, told
from ledger.reads.runs import SyncRun

RUN = SyncRun(
    namespace="team-a",
    id=7,
    provider="openai",
    trigger="Schedule",
    outcome="Running",
    reason=None,
    error=None,
    started_at=datetime(2026, 11, 21, tzinfo=UTC),
    finished_at=None,
    windows_total=3,
    windows_done=1,
    rows_read=1200,
    rows_inserted=20,
    rows_changed=3,
    rows_removed=1,
    calls=9,
    bytes_read=9000,
    cancel_requested=False,
)
DONE = replace(RUN, outcome="Succeeded", windows_done=3)
FAILED = replace(RUN, outcome="Failed", reason="Unauthorized", error="the key is refused")


def terminal(*, width: int = 80) -> tuple[Console, io.StringIO]:
    screen = io.StringIO()
    return Console(file=screen, force_terminal=True, width=width, color_system=None), screen


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (DONE, "team-a/openai: synced 3 windows, 1,200 rows (+20 ~3 -1)"),
        (replace(DONE, windows_total=0), "team-a/openai: synced; there was nothing new to read"),
        (FAILED, "team-a/openai: failed: Unauthorized: the key is refused"),
        (replace(RUN, outcome="Abandoned"), "team-a/openai: abandoned"),
    ],
)
def test_how_a_sync_ended(run: SyncRun, line: str) -> None:
    """One line says what a sync did, or why it did not."""
    assert told(run).plain == line


def test_a_bar_while_it_runs() -> None:
    """A running sync has a bar with its windows and rows, on a line no wider than the terminal."""
    console, screen = terminal()
    with Bars(console) as bars:
        bars.show([RUN])
        assert bars.busy
        line = screen.getvalue().splitlines()[-1]

    assert "openai" in line
    assert "1/3 windows" in line
    assert "1,200 rows" in line
    assert len(line) <= 90  # with what moves the cursor


def test_a_line_takes_the_place_of_the_bar() -> None:
    """When lines are told, a sync that ended well leaves one and no bar; one that failed leaves neither."""
    console, screen = terminal()
    with Bars(console, tell=True) as bars:
        bars.show([RUN])
        bars.show([DONE])
        assert not bars.busy
        last = screen.getvalue().rpartition("synced 3 windows")[2]
        bars.show([replace(FAILED, id=8)])
        bars.show([DONE, replace(FAILED, id=8)])

    assert "windows" not in last
    assert screen.getvalue().count("synced 3 windows") == 1
    assert "refused" not in screen.getvalue()


def test_no_bars_in_a_file() -> None:
    """Where no terminal is there are lines only."""
    screen = io.StringIO()
    with Bars(Console(file=screen, width=120), tell=True) as bars:
        bars.show([RUN])
        bars.show([DONE])

    assert screen.getvalue() == "team-a/openai: synced 3 windows, 1,200 rows (+20 ~3 -1)\n"


def test_a_failure_shows_in_its_bar() -> None:
    """Without lines, a bar stays and says how the sync ended."""
    console, screen = terminal()
    with Bars(console) as bars:
        bars.show([FAILED])

    assert "failed: Unauthorized" in screen.getvalue()
