"""Recurring amounts on the calendar."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.recurrence import Entry, Recurrence, Spread, parts, periods

TODAY = date(2026, 11, 21)


def _entry(
    start: date, recurrence: Recurrence, spread: Spread = "Whole", end: date | None = None, amount: str = "45.00"
) -> Entry:
    return Entry(Decimal(amount), "USD", start, end, recurrence, spread)


@pytest.mark.parametrize(
    ("start", "recurrence", "starts"),
    [
        (date(2026, 8, 31), "Monthly", [date(2026, 8, 31), date(2026, 9, 30), date(2026, 10, 31)]),
        (date(2024, 2, 29), "Yearly", [date(2024, 2, 29), date(2025, 2, 28), date(2026, 2, 28)]),
        (date(2026, 3, 31), "Quarterly", [date(2026, 3, 31), date(2026, 6, 30), date(2026, 9, 30)]),
        (date(2026, 11, 1), "Weekly", [date(2026, 11, 1), date(2026, 11, 8), date(2026, 11, 15)]),
        (date(2026, 11, 20), "Daily", [date(2026, 11, 20), date(2026, 11, 21)]),
        (date(2026, 11, 20), "None", [date(2026, 11, 20)]),
        (date(2026, 11, 22), "Monthly", []),
        (date(2026, 11, 22), "None", []),
    ],
)
def test_periods_are_counted_from_the_anchor(start: date, recurrence: Recurrence, starts: list[date]) -> None:
    """Short months clip the day and do not move later ones; a period that has not begun is not there."""
    assert [first for first, _ in periods(_entry(start, recurrence), TODAY)] == starts


def test_an_open_entry_goes_to_the_end_of_its_current_period() -> None:
    """Today's period is there whole, with its days that are still to come."""
    laid_out = list(parts(_entry(date(2026, 11, 1), "Monthly", "Daily"), TODAY))

    assert (laid_out[0].start, laid_out[-1].end) == (date(2026, 11, 1), date(2026, 12, 1))
    assert sum(part.amount for part in laid_out) == Decimal("45.00")


def test_a_spread_entry_ends_on_its_day() -> None:
    """A subscription cancelled within a period it is spread over costs the days until then."""
    laid_out = list(parts(_entry(date(2026, 11, 1), "Monthly", "Daily", end=date(2026, 11, 11)), TODAY))

    assert len(laid_out) == 10
    assert sum(part.amount for part in laid_out) == Decimal("15.00")


def test_a_whole_entry_is_paid_for_the_period_it_ends_in() -> None:
    """As subscriptions paid in advance are."""
    entry = _entry(date(2026, 9, 1), "Monthly", end=date(2026, 10, 2))

    assert [part.start for part in parts(entry, TODAY)] == [date(2026, 9, 1), date(2026, 10, 1)]


def test_a_one_off_entry_is_spread_to_its_end() -> None:
    """From its start to the day before its end, the days adding up to the amount."""
    entry = _entry(date(2026, 1, 1), "None", "Daily", end=date(2027, 1, 1), amount="1000")

    laid_out = list(parts(entry, TODAY))

    assert len(laid_out) == 365
    assert sum(part.amount for part in laid_out) == Decimal(1000)


@given(
    st.dates(date(2019, 1, 1), date(2026, 11, 21)),
    st.sampled_from(["Daily", "Weekly", "Monthly", "Quarterly", "Yearly"]),
    st.decimals(places=2, min_value=-1000, max_value=10**6),
)
def test_every_period_adds_up_to_the_cent(start: date, recurrence: Recurrence, amount: Decimal) -> None:
    """Whatever the month's length and in leap years: the days of a period sum to its amount, gaplessly."""
    entry = Entry(amount, "USD", start, None, recurrence, "Daily")

    laid_out = list(parts(entry, TODAY))
    bounds = list(periods(entry, TODAY))

    assert [p.start for p in laid_out] == [start + timedelta(days=n) for n in range(len(laid_out))]
    assert laid_out[-1].end == bounds[-1][1] > TODAY
    period_of = {
        start + timedelta(days=n): i
        for i, (s, e) in enumerate(bounds)
        for n in range((s - start).days, (e - start).days)
    }
    for _, days in groupby(laid_out, key=lambda part: period_of[part.start]):
        assert sum(part.amount for part in days) == amount
