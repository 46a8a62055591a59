"""Times at which syncs come due: spread over the interval, and kept."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reconciler.rhythm import next_due, phase

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

moments = st.integers(0, 20 * 365 * 86_400_000).map(lambda count: NOW + timedelta(milliseconds=count))
intervals = st.timedeltas(timedelta(minutes=1), timedelta(days=40))
phases = st.floats(0, 1, exclude_max=True)


@given(moments, intervals, phases)
def test_the_next_sync_is_neither_at_once_nor_late(now: datetime, interval: timedelta, part: float) -> None:
    """A tenth of an interval passes at least, and one and a tenth at most."""
    wait = next_due(now, interval, part) - now

    assert 0.1 * interval <= wait <= 1.1 * interval


@given(moments, intervals, phases, st.floats(0, 0.8))
def test_a_provider_keeps_its_times(now: datetime, interval: timedelta, part: float, late: float) -> None:
    """However long a sync takes or waits, the next one is due an interval after the last one was."""
    due = next_due(now, interval, part)

    assert abs(next_due(due + late * interval, interval, part) - due - interval) <= timedelta(microseconds=2)


def test_a_fleet_that_synced_at_once_is_spread_over_the_interval() -> None:
    """Of a thousand providers, none of the tenths of an interval has half as many again as its share."""
    due = [next_due(NOW, 6 * HOUR, phase("team-a", f"provider-{n}")) - NOW for n in range(1_000)]
    tenths = Counter(int((wait - 0.6 * HOUR) / (0.6 * HOUR)) for wait in due)

    assert sorted(tenths) == list(range(10))
    assert max(tenths.values()) < 150


def test_a_name_has_one_time_in_every_process() -> None:
    """It does not depend on Python's salted hashes, so that a restart changes nothing."""
    assert round(phase("team-a", "openai"), 6) == 0.949217
    assert phase("team-a", "openai") != phase("team-b", "openai")
