"""Periods of reports: buckets, and what they are compared with."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidQuestion
from ledger.reads.charges import ChargeOrder, ChargeQuestion, _parts
from ledger.reads.periods import Comparison, Granularity, Period, truncate

days = st.dates(date(1990, 1, 1), date(2100, 1, 1))
periods = st.tuples(days, st.integers(1, 800)).map(lambda held: Period(held[0], held[0] + timedelta(days=held[1])))


@given(periods, st.sampled_from(Granularity))
def test_buckets_cover_the_period_without_overlap(period: Period, granularity: Granularity) -> None:
    """Every day lies in exactly one bucket, the last that begins on it or before, and no bucket is empty."""
    buckets = period.buckets(granularity)

    assert buckets == sorted(set(buckets))
    assert buckets[0] == period.first
    day = period.first
    seen = set()
    while day < period.after_last:
        seen.add(period.bucket(granularity, day))
        assert period.bucket(granularity, day) == max(start for start in buckets if start <= day)
        day += timedelta(days=1)
    assert seen == set(buckets)


@given(days, st.sampled_from(Granularity))
def test_buckets_begin_where_calendars_do(day: date, granularity: Granularity) -> None:
    """Weeks begin on Monday, months on the first, quarters in January, April, July and October, years in January."""
    start = truncate(day, granularity)

    assert start <= day
    assert truncate(start, granularity) == start
    rules = {
        Granularity.WEEK: start.weekday() == 0,
        Granularity.MONTH: start.day == 1,
        Granularity.QUARTER: start.day == 1 and start.month in (1, 4, 7, 10),
        Granularity.YEAR: (start.month, start.day) == (1, 1),
    }
    assert rules.get(granularity, start == day)


@given(periods)
def test_the_previous_period_ends_where_this_one_begins(period: Period) -> None:
    """Days are compared with as many days, whole months with as many months."""
    before = period.before(Comparison.PREVIOUS_PERIOD)

    assert before.after_last == period.first
    if not period.first.day == period.after_last.day == 1:
        assert before.after_last - before.first == period.after_last - period.first


@pytest.mark.parametrize(
    ("first", "after_last", "comparison", "expected"),
    [
        ("2026-03-01", "2026-04-01", Comparison.PREVIOUS_PERIOD, ("2026-02-01", "2026-03-01")),
        ("2026-01-01", "2026-03-01", Comparison.PREVIOUS_PERIOD, ("2025-11-01", "2026-01-01")),
        ("2026-01-01", "2027-01-01", Comparison.PREVIOUS_PERIOD, ("2025-01-01", "2026-01-01")),
        ("2026-03-10", "2026-03-17", Comparison.PREVIOUS_PERIOD, ("2026-03-03", "2026-03-10")),
        ("2026-03-01", "2026-04-01", Comparison.PREVIOUS_YEAR, ("2025-03-01", "2025-04-01")),
        ("2024-02-29", "2024-03-01", Comparison.PREVIOUS_YEAR, ("2023-02-28", "2023-03-01")),
        ("2024-02-01", "2024-02-29", Comparison.PREVIOUS_YEAR, ("2023-02-01", "2023-03-01")),
    ],
)
def test_what_a_period_is_compared_with(
    first: str, after_last: str, comparison: Comparison, expected: tuple[str, str]
) -> None:
    """Examples that are easily got wrong: ends of years, lengths of months, leap days."""
    period = Period(date.fromisoformat(first), date.fromisoformat(after_last))
    before = period.before(comparison)

    assert (before.first.isoformat(), before.after_last.isoformat()) == expected


@pytest.mark.parametrize(
    ("first", "after_last"),
    [
        ("2026-01-02", "2026-01-01"),
        ("2026-01-01", "2026-01-01"),
        ("1899-12-31", "2026-01-01"),
        ("2026-01-01", "2200-01-02"),
    ],
)
def test_periods_that_are_none(first: str, after_last: str) -> None:
    """A period has at least a day and lies where dates can be reckoned with."""
    with pytest.raises(InvalidQuestion):
        Period(date.fromisoformat(first), date.fromisoformat(after_last))


@given(periods, st.sampled_from([ChargeOrder.NEWEST, ChargeOrder.OLDEST]))
def test_pages_are_looked_for_in_the_whole_period(period: Period, order: ChargeOrder) -> None:
    """The parts in which a page is looked for lie one behind the other, in order, and make the whole period."""
    parts = list(_parts(ChargeQuestion(period=period, order=order), None))
    forward = parts if order is ChargeOrder.OLDEST else parts[::-1]

    assert (forward[0].first, forward[-1].after_last) == (period.first, period.after_last)
    assert all(one.after_last == two.first for one, two in itertools.pairwise(forward))
