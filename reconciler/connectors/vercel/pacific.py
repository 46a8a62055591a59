"""Vercel's own calendar: its days run from midnight to midnight in Los Angeles, summer time included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from ledger.window import DAY, Span

ZONE: Final = ZoneInfo("America/Los_Angeles")


def midnight(day: date) -> datetime:
    """The instant in UTC at which Vercel's `day` begins: 07:00 in summer, 08:00 in winter."""
    return datetime.combine(day, time.min, tzinfo=ZONE).astimezone(UTC)


def last_midnight(now: datetime) -> datetime:
    """The end of the newest day of Vercel's that is over at `now`."""
    return midnight(now.astimezone(ZONE).date())


def trailing_days(count: int, now: datetime) -> Span:
    """The newest `count` days of Vercel's that are over at `now`."""
    today = now.astimezone(ZONE).date()
    return Span(midnight(today - count * DAY), midnight(today))


def months(spans: Iterable[Span], now: datetime) -> list[Span]:
    """Every month of Vercel's that touches one of `spans`, as far as its days are over at `now`; newest first."""
    end = last_midnight(now)
    starts = {first for span in spans for first in _firsts(span)}
    whole = ((midnight(first), min(midnight(_following(first)), end)) for first in sorted(starts, reverse=True))
    return [Span(start, until) for start, until in whole if start < until]


def _firsts(span: Span) -> Iterator[date]:
    """The first day of every month of Vercel's that `span` touches."""
    first = span.start.astimezone(ZONE).date().replace(day=1)
    while midnight(first) < span.end:
        yield first
        first = _following(first)


def _following(first: date) -> date:
    return (first + 31 * DAY).replace(day=1)
