"""Recurring amounts laid out on the calendar: billing periods from an anchor day, and their daily parts.

A monthly period that starts on the 31st starts on the last day of shorter months and returns to the 31st after
(as subscriptions do): the k-th period is always counted from the anchor, so that clipping does not accumulate.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Final, Literal

from ledger.money import minor_digits, split

Recurrence = Literal["None", "Daily", "Weekly", "Monthly", "Quarterly", "Yearly"]
Spread = Literal["Whole", "Daily"]

_MONTHS: Final = {"Monthly": 1, "Quarterly": 3, "Yearly": 12}
_DAYS: Final = {"Daily": 1, "Weekly": 7}


@dataclass(frozen=True, slots=True)
class Entry:
    """An amount that is due once, or again and again from `start`. `end` is the first day not included."""

    amount: Decimal
    currency: str
    start: date
    end: date | None = None
    recurrence: Recurrence = "None"
    spread: Spread = "Whole"


@dataclass(frozen=True, slots=True)
class Part:
    """The amount of the half-open days [start, end)."""

    start: date
    end: date
    amount: Decimal


def periods(entry: Entry, today: date) -> Iterator[tuple[date, date]]:
    """The entry's billing periods that have begun by `today`, oldest first, each half-open.

    Open-ended entries go up to the end of the period that `today` lies in. A one-off entry is one period: to
    its `end`, or its one day.
    """
    if entry.recurrence == "None":
        if entry.start <= today:
            yield entry.start, entry.end or entry.start + timedelta(days=1)
        return
    for nth in count():
        start, end = _boundary(entry, nth), _boundary(entry, nth + 1)
        if start > today or (entry.end is not None and start >= entry.end):
            return
        yield start, end


def parts(entry: Entry, today: date) -> Iterator[Part]:
    """What the entry costs, period by period, or day by day when it is spread.

    The days of a period add up to its amount exactly. An entry that ends within a period it is spread over costs
    its days up to the end; one that is not spread costs the whole period in which it ends, as subscriptions
    paid in advance do.
    """
    for start, end in periods(entry, today):
        if entry.spread == "Whole":
            yield Part(start, end, entry.amount)
        else:
            yield from _days(entry, start, end)


def _days(entry: Entry, start: date, end: date) -> Iterator[Part]:
    length = (end - start).days
    shares = split(entry.amount, [1] * length, minor_digits(entry.currency))
    for nth, share in enumerate(shares):
        day = start + timedelta(days=nth)
        if entry.end is not None and day >= entry.end:
            return
        yield Part(day, day + timedelta(days=1), share)


def _boundary(entry: Entry, nth: int) -> date:
    if entry.recurrence in _DAYS:
        return entry.start + timedelta(days=nth * _DAYS[entry.recurrence])
    months = entry.start.year * 12 + entry.start.month - 1 + nth * _MONTHS[entry.recurrence]
    year, month = divmod(months, 12)
    return date(year, month + 1, min(entry.start.day, monthrange(year, month + 1)[1]))
