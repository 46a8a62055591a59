"""Spans, what is due, and what is complete, against definitions that look at each day by itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.window import (
    DAY,
    Piece,
    Span,
    by_month,
    complete_through,
    due,
    midnight,
    month_start,
    next_month,
    whole_months,
)

START = date(2026, 1, 30)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

PIECES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 80)), max_size=31, unique_by=lambda pair: pair[0]).map(
    lambda pairs: [_piece(day, midnight(START) + timedelta(days=day, hours=read)) for day, read in pairs]
)


def _piece(day: int, read_at: datetime) -> Piece:
    return Piece(_day(day), read_at, 0, 0)


def _day(number: int) -> Span:
    start = midnight(START) + number * DAY
    return Span(start, start + DAY)


def test_a_span_needs_utc_and_an_end_after_its_start() -> None:
    """Anything else is a mistake in the code that made it."""
    with pytest.raises(ValueError, match="ends after"):
        Span(NOW, NOW)
    with pytest.raises(ValueError, match="UTC"):
        Span(NOW.replace(tzinfo=None), NOW.replace(tzinfo=None) + DAY)


def test_pieces_are_cut_at_utc_midnights() -> None:
    """A span of a vendor's own days gives partial days at both ends."""
    span = Span(midnight(START) + timedelta(hours=7), midnight(START) + timedelta(hours=55))

    hours = [(p.start - midnight(START), p.end - p.start) for p in span.pieces()]

    hour = timedelta(hours=1)
    assert hours == [(7 * hour, 17 * hour), (24 * hour, 24 * hour), (48 * hour, 7 * hour)]


@given(st.integers(0, 40), st.integers(1, 60), st.integers(1, 40))
def test_windows_by_month_cover_what_is_due_once_newest_first(first: int, length: int, longest: int) -> None:
    """No day twice, none missed, none crossing a month, none longer than allowed."""
    span = Span(_day(first).start, _day(first + length).start)

    windows = by_month([span], longest * DAY)

    assert [w.start for w in windows] == sorted((w.start for w in windows), reverse=True)
    assert sorted(p.start for w in windows for p in w.span.pieces()) == [p.start for p in span.pieces()]
    assert all(w.end <= next_month(w.start) and w.end - w.start <= longest * DAY for w in windows)


@given(st.lists(st.tuples(st.integers(-60, 99), st.integers(1, 40)), max_size=4), st.integers(0, 80))
def test_whole_months_cover_what_is_due_and_the_rest_of_its_months(pairs: list[tuple[int, int]], length: int) -> None:
    """Each month that is due is one window, which holds all of its due days and all that the history has of it."""
    spans = [Span(_day(first).start, _day(first + days).start) for first, days in pairs]
    history = Span(_day(0).start, _day(length + 1).start)

    windows = whole_months(spans, history)

    assert [w.start for w in windows] == sorted((w.start for w in windows), reverse=True)
    assert {month_start(w.start) for w in windows} == {month for span in spans for month in span.months()}
    read = {piece.start for w in windows for piece in w.span.pieces()}
    assert read >= {piece.start for span in spans for piece in span.pieces()}
    assert read >= {
        p.start for p in history.pieces() if month_start(p.start) in {month_start(w.start) for w in windows}
    }
    assert all(w.end <= next_month(w.start) for w in windows)


@given(PIECES, st.integers(0, 5))
def test_due_is_every_day_not_read_after_it_stopped_moving(pieces: list[Piece], moving: int) -> None:
    """A day is due exactly when no reading of it came `moving` after its end, or later."""
    wanted = Span(_day(0).start, _day(31).start)
    settled = {p.span.start for p in pieces if p.read_at >= p.span.end + moving * DAY}

    spans = due(wanted, pieces, moving * DAY)

    days = [piece.start for span in spans for piece in span.pieces()]
    assert days == [day.start for day in wanted.pieces() if day.start not in settled]
    assert all(a.end < b.start for a, b in pairwise(spans))


def test_days_asked_for_by_hand_are_due_whatever_is_known() -> None:
    """Also days before the history, and days that were read long after they stopped moving."""
    known = [_piece(day, NOW) for day in range(5)]

    spans = due(Span(_day(0).start, _day(5).start), known, timedelta(), again=[Span(_day(-2).start, _day(1).start)])

    assert spans == [Span(_day(-2).start, _day(1).start)]


@given(PIECES, st.integers(0, 48))
def test_complete_through_is_the_end_of_the_first_run_of_whole_days(pieces: list[Piece], settling: int) -> None:
    """Never ahead of a day that was not read, or not late enough, from the first day known on."""
    known = {piece.span.start: piece for piece in pieces}
    expected = None
    if pieces:
        day = min(known)
        while day in known and known[day].read_at >= day + DAY + timedelta(hours=settling):
            expected = day.date()
            day += DAY

    assert complete_through(pieces, timedelta(hours=settling)) == expected


def test_partial_days_at_the_edge_are_not_whole() -> None:
    """Half a day read late is still half a day."""
    half = Piece(Span(_day(0).start + timedelta(hours=12), _day(1).start), NOW, 0, 0)

    assert complete_through([half], timedelta()) is None
    assert complete_through([half, _piece(1, NOW)], timedelta()) == _day(1).start.date()
