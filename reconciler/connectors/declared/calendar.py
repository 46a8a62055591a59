"""A vendor's own calendar: its days in its time zone, how it writes moments, and the windows that follow its days."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from ledger.window import DAY, Span

Grain = Literal["Hour", "Day", "Month", "Line"]

MILLIS_FROM: Final = 100_000_000_000
"""Numbers from here on count milliseconds: as seconds they would be after the year 5000."""
MOMENT: Final = timedelta(seconds=1)
KNOWN: Final = 10_000
"""Moments that are kept as they were read: rows of a day all name it."""


class Calendar:
    """Days and months as the vendor counts them."""

    def __init__(self, zone: ZoneInfo, grain: Grain, written: str | None = None) -> None:
        self._zone, self._grain, self._written = zone, grain, written
        self._read = lru_cache(maxsize=KNOWN)(self._moment)
        self.end = lru_cache(maxsize=KNOWN)(self._end)
        """The end of the charge that starts then, by the grain."""

    def moment(self, value: Any) -> datetime:
        """The instant in UTC that a vendor's value names; a day or month names its beginning. Raises ValueError."""
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise ValueError("gives neither a text nor a number")
        return self._read(value)

    def _moment(self, value: str | int | Decimal) -> datetime:
        if not isinstance(value, str):
            return _of_unix(Decimal(value))
        if self._written is not None:
            return self._utc(datetime.strptime(value, self._written))  # noqa: DTZ007  # the zone is added
        if re.fullmatch(r"[0-9]{9,}", value):
            return _of_unix(Decimal(value))
        return self._utc(datetime.fromisoformat(f"{value}-01" if re.fullmatch(r"[0-9]{4}-[0-9]{2}", value) else value))

    def _end(self, start: datetime) -> datetime:
        day = start.astimezone(self._zone).date()
        match self._grain:
            case "Hour":
                return start + timedelta(hours=1)
            case "Day":
                return self.midnight(day + DAY)
            case "Month":
                return self.midnight(_following(day.replace(day=1)))
            case "Line":
                return start + MOMENT

    def midnight(self, day: date) -> datetime:
        """The instant in UTC at which the vendor's `day` begins."""
        return datetime.combine(day, time.min, tzinfo=self._zone).astimezone(UTC)

    def spans(self, due: Sequence[Span], now: datetime, longest: int) -> list[Span]:
        """The vendor's days, or months, that `due` touches, at most `longest` days each; newest first."""
        tomorrow = now.astimezone(self._zone).date() + DAY
        days = sorted({day for span in due for day in self._days(span) if day < tomorrow})
        runs = _months(days, tomorrow) if self._grain == "Month" else _runs(days, longest)
        return [Span(self.midnight(first), self.midnight(end)) for first, end in reversed(list(runs))]

    def _utc(self, moment: datetime) -> datetime:
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).astimezone(UTC)

    def _days(self, span: Span) -> Iterator[date]:
        day = span.start.astimezone(self._zone).date()
        while self.midnight(day) < span.end:
            yield day
            day += DAY


def _of_unix(number: Decimal) -> datetime:
    seconds = number / 1000 if abs(number) >= MILLIS_FROM else number
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(seconds * 1_000_000))
    except OverflowError:
        raise ValueError("no time of this age") from None


def _runs(days: Iterable[date], longest: int) -> Iterator[tuple[date, date]]:
    """Days that follow one another, cut at the first of a month and after `longest`."""
    first = end = None
    for day in days:
        if first is None or end is None or day != end or day.day == 1 or (day - first).days >= longest:
            if first is not None and end is not None:
                yield first, end
            first = day
        end = day + DAY
    if first is not None and end is not None:
        yield first, end


def _months(days: Iterable[date], tomorrow: date) -> Iterator[tuple[date, date]]:
    """Every month of `days`, whole, as far as it has come."""
    for first in sorted({day.replace(day=1) for day in days}):
        yield first, min(_following(first), tomorrow)


def _following(first: date) -> date:
    return (first + 31 * DAY).replace(day=1)
