"""Periods of reports: how they are cut into buckets, and which period one is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Final

from ledger.errors import InvalidQuestion

EARLIEST: Final = date(1900, 1, 1)
LATEST: Final = date(2200, 1, 1)
"""Periods lie within these; whatever is computed from them is still a date."""


class Granularity(Enum):
    """How long a bucket is."""

    TOTAL = "total"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Comparison(Enum):
    """Which earlier period a period is compared with."""

    PREVIOUS_PERIOD = "previous_period"
    PREVIOUS_YEAR = "previous_year"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole UTC days [first, after_last). Raises InvalidQuestion when it is empty or absurd."""

    first: date
    after_last: date

    def __post_init__(self) -> None:
        if self.after_last <= self.first:
            raise InvalidQuestion(
                f"the period ends before it has a day: from {self.first} to {self.after_last}, and `to` is the first "
                "day that is not part of it",
                "period",
            )
        if self.first < EARLIEST or self.after_last > LATEST:
            raise InvalidQuestion(f"a period lies between {EARLIEST} and {LATEST}", "period")

    def buckets(self, granularity: Granularity) -> list[date]:
        """The first day of every bucket; the first bucket begins with the period, however long it then is."""
        return list(self._buckets(granularity))

    def bucket(self, granularity: Granularity, day: date) -> date:
        """The first day of the bucket that `day` lies in."""
        return max(self.first, truncate(day, granularity)) if granularity is not Granularity.TOTAL else self.first

    def before(self, comparison: Comparison) -> Period:
        """The period to compare with.

        The previous period of whole months is as many whole months, else as many days. A year earlier means the
        same dates; a period from the 29th of February begins on the 28th, one up to it ends with the 28th.
        """
        if comparison is Comparison.PREVIOUS_YEAR:
            return Period(_year_earlier(self.first, 28), _year_earlier(self.after_last, 29))
        if self.first.day == self.after_last.day == 1:
            months = (self.after_last.year - self.first.year) * 12 + self.after_last.month - self.first.month
            return Period(_months_earlier(self.first, months), self.first)
        return Period(self.first - (self.after_last - self.first), self.first)

    def _buckets(self, granularity: Granularity) -> Iterator[date]:
        day = self.first
        while day < self.after_last:
            yield day
            day = self.after_last if granularity is Granularity.TOTAL else following(day, granularity)


def truncate(day: date, granularity: Granularity) -> date:
    """The first day of the calendar's day, week (Monday), month, quarter or year that `day` lies in."""
    match granularity:
        case Granularity.WEEK:
            return day - timedelta(days=day.weekday())
        case Granularity.MONTH:
            return day.replace(day=1)
        case Granularity.QUARTER:
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case Granularity.YEAR:
            return day.replace(month=1, day=1)
        case _:
            return day


def following(day: date, granularity: Granularity) -> date:
    """The first day of the calendar's day, week, month, quarter or year after the one that `day` lies in."""
    longest = {Granularity.DAY: 1, Granularity.WEEK: 7, Granularity.MONTH: 31, Granularity.QUARTER: 92}
    return truncate(truncate(day, granularity) + timedelta(days=longest.get(granularity, 366)), granularity)


def _year_earlier(day: date, leap_day: int) -> date:
    if (day.month, day.day) != (2, 29):
        return day.replace(year=day.year - 1)
    return date(day.year - 1, 2, 28) + timedelta(days=leap_day - 28)


def _months_earlier(first: date, months: int) -> date:
    years, month = divmod(first.year * 12 + first.month - 1 - months, 12)
    return date(years, month + 1, 1)
