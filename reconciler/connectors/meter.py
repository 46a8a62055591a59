"""Counting what a provider's syncs ask of its vendor, and holding the budget of calls that was declared for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Protocol

from ledger.window import DAY, midnight
from reconciler.errors import RetryLater


def utc_now() -> datetime:
    """The present moment in UTC: the clock that is passed in where no test brings its own."""
    return datetime.now(UTC)


class CallBook(Protocol):
    """Where calls are written down so that the day's count outlives the process."""

    async def spend(self, calls: int) -> None:
        """Add `calls` to what the provider has used of the current UTC day."""


class MemoryBook:
    """A call book that forgets: for tests, and for callers that keep no ledger."""

    def __init__(self) -> None:
        self.calls = 0

    async def spend(self, calls: int) -> None:
        self.calls += calls


class Meter:
    """Calls and bytes of one sync, and the budget of calls per UTC day that they count against.

    `spent_today` is what earlier syncs used of the day on which the meter is made; `per_day` of None means that
    no budget was declared. `calls` and `bytes` count this meter's own.
    """

    def __init__(
        self,
        *,
        per_day: int | None = None,
        spent_today: int = 0,
        book: CallBook | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.per_day = per_day
        self.calls = 0
        self.bytes = 0
        self._spent = spent_today
        self._book = book or MemoryBook()
        self._clock = clock
        self._day = clock().date()

    async def before_call(self) -> None:
        """Count one call; raise RetryLater (CallBudgetSpent), counting none, when the day's budget is used up."""
        now = self._clock()
        self._turn(now.date())
        if self.per_day is not None and self._spent >= self.per_day:
            raise self._used_up(now, self.per_day)
        self._spent += 1
        self.calls += 1
        await self._book.spend(1)

    def received(self, size: int) -> None:
        """Count `size` bytes of an answer's body, as they came over the wire."""
        self.bytes += size

    def _turn(self, day: date) -> None:
        if day != self._day:
            self._day, self._spent = day, 0

    @staticmethod
    def _used_up(now: datetime, per_day: int) -> RetryLater:
        resets = midnight(now.date()) + DAY
        return RetryLater(
            f"the call budget of {per_day} calls a day is used up; it resets at {resets:%Y-%m-%dT%H:%MZ}."
            " Raise spec.callBudget.perDay, or lengthen spec.interval, if that is too late",
            reason="CallBudgetSpent",
            after=resets - now,
        )
