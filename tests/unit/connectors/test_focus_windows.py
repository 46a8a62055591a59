"""Which windows are read when files change: whole files, whole months, and no more than that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from ledger.window import Span, Window
from reconciler.connectors.focus.coverage import Coverage, month, runs
from reconciler.connectors.focus.files import Version
from reconciler.connectors.focus.tracking import PREFIX, Known, Tracked, Unplaced, remembered, windows
from reconciler.errors import BadData

HISTORY = Span(datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
MONTHS = list(HISTORY.months())


def a_month(number: int) -> Span:
    return month(MONTHS[number], UTC)


spans = st.sets(st.integers(0, 23), max_size=4).map(lambda numbers: tuple(a_month(n) for n in sorted(numbers)))


def known(months: tuple[Span, ...], digest: str = "a") -> Known:
    until = max((span.end for span in months), default=None)
    return Known(Version(digest, {"size": 1}), "1 UTC any", Coverage(months, until))


states = st.one_of(st.none(), st.builds(known, spans, st.sampled_from("ab")))


@st.composite
def tracked(draw: st.DrawFn) -> Tracked:
    before, now = draw(states), draw(states)
    problem = draw(st.sampled_from([None, None, BadData("broken")]))
    return Tracked(draw(st.uuids()).hex, before=before, now=now, problem=problem)


@given(st.lists(spans, max_size=8))
def test_runs_hold_files_whole(changed: list[tuple[Span, ...]]) -> None:
    """Runs do not overlap, come newest first, hold every changed file whole, and begin and end with one."""
    found = runs(changed)
    assert all(later.start >= earlier.end for later, earlier in pairwise(found))
    for months in filter(None, changed):
        assert any(run.start <= months[0].start and months[-1].end <= run.end for run in found)
    assert {run.start for run in found} <= {months[0].start for months in changed if months}
    assert {run.end for run in found} <= {months[-1].end for months in changed if months}


def is_broken(window: Window, files: Sequence[Tracked]) -> bool:
    return isinstance(window, Unplaced) or any(file.problem and file.touches(window.span) for file in files)


@given(st.lists(tracked(), max_size=6))
def test_windows_settle_what_changed(files: list[Tracked]) -> None:
    """Windows that cannot be read come last; once the others were stored, only those are left to read."""
    found = windows(files, HISTORY)
    assert sorted(found, key=lambda window: is_broken(window, files)) == found
    memory: dict[str, object] = {PREFIX + file.name: file.before.to_json() for file in files if file.before}
    for window in found:
        memory |= {} if is_broken(window, files) else window.remember
    known_now = remembered({key: value for key, value in memory.items() if value is not None})
    again = [replace(file, before=known_now.get(file.name)) for file in files]
    assert all(is_broken(window, again) for window in windows(again, HISTORY))


@given(st.lists(tracked(), max_size=6))
def test_every_problem_has_a_window(files: list[Tracked]) -> None:
    """A problem is told by a window that cannot be read: that of its months, or one for lack of any."""
    found = windows(files, HISTORY)
    for file in files:
        if file.problem is not None:
            assert any((isinstance(w, Unplaced) and w.problem is file.problem) or file.touches(w.span) for w in found)


@given(st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # as asked for
def test_months_of_a_zone(moment: datetime) -> None:
    """A month is that of the zone's calendar, and holds the moment; the next begins where it ends."""
    for zone in (UTC, ZoneInfo("America/Los_Angeles"), ZoneInfo("Pacific/Kiritimati")):
        span = month(moment, zone)
        assert span.start <= moment < span.end
        assert span.start.astimezone(zone).replace(tzinfo=None) == moment.astimezone(zone).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None
        )
        assert month(span.end, zone).start == span.end
        assert month(span.end - timedelta(microseconds=1), zone) == span


@given(states)
def test_memory_is_json(state: Known | None) -> None:
    """What is remembered survives being stored."""
    if state is not None:
        assert remembered({PREFIX + "a": state.to_json(), "other": 1}) == {"a": state}


def test_empty_months_are_known_as_far_as_the_files() -> None:
    """What the last file took along leaves a window of which nothing is known."""
    gone = Tracked("a.csv", before=known((a_month(3),)))
    empty = Tracked("b.csv", before=known(()), now=known(()))
    assert [window.seen_until for window in windows([gone, empty], HISTORY)] == [a_month(3).start]
