"""Calls are counted, written down and kept within the day's budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.connectors.meter import MemoryBook, Meter, utc_now
from reconciler.errors import RetryLater


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def test_calls_and_bytes_add_up() -> None:
    """A meter without a budget counts, and writes every call into its book."""
    book = MemoryBook()
    meter = Meter(book=book)
    for _ in range(3):
        await meter.before_call()
    meter.received(10)
    meter.received(5)

    assert (meter.calls, meter.bytes, book.calls) == (3, 15, 3)


async def test_the_budget_ends_the_day() -> None:
    """With earlier syncs' calls counted, the call beyond the budget is refused, not counted, and told the reset."""
    book = MemoryBook()
    meter = Meter(per_day=5, spent_today=3, book=book, clock=Clock())
    await meter.before_call()
    await meter.before_call()

    with pytest.raises(RetryLater, match="5 calls a day is used up; it resets at 2026-11-22T00:00Z") as caught:
        await meter.before_call()

    assert caught.value.reason == "CallBudgetSpent"
    assert caught.value.after == timedelta(hours=1, minutes=30)
    assert (meter.calls, book.calls) == (2, 2)


async def test_the_next_day_starts_afresh() -> None:
    """A sync that runs past midnight UTC has the new day's budget."""
    clock = Clock()
    meter = Meter(per_day=1, spent_today=1, clock=clock)
    clock.now += timedelta(hours=2)

    await meter.before_call()

    with pytest.raises(RetryLater):
        await meter.before_call()


async def test_a_budget_of_nothing_allows_nothing() -> None:
    """perDay 0 is a budget too."""
    with pytest.raises(RetryLater):
        await Meter(per_day=0).before_call()


def test_the_worlds_clock_is_in_utc() -> None:
    """The clock that is used where none is passed tells UTC."""
    assert utc_now().utcoffset() == timedelta(0)
