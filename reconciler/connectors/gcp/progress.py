"""What is remembered of a table between syncs, and which days to read again.

Google only ever adds rows: late usage, corrections and credits of days long past come with a new time of export. So the
rows exported since are counted by day and by hour of export, and days that gained some are read again, whole. Times of
export need not arrive in their order: the last hours that were seen are counted once more, and compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from ledger.window import DAY, Span, Window, midnight

KEY: Final = "export"
"""The key of the memory."""
OVERLAP: Final = timedelta(hours=6)
"""How much earlier than the newest export a row may be dated that arrives after it."""
NEAR: Final = 7 * DAY
"""Days that lie no further apart are read by one query: each reads all that was loaded since its first day."""

Counts = Mapping[str, Mapping[str, int]]
"""Rows by hour of export and by day, both as ISO texts, so that they can be remembered."""


class Found(NamedTuple):
    """How many rows of a day were exported within an hour, and when the last of them was."""

    day: date
    hour: datetime
    seen: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class Known:
    """What was believed of a table: the newest export seen, from which day on it counts, and what is yet to be read."""

    table: str
    seen: datetime
    from_day: datetime
    counts: Counts
    unread: Sequence[Span]

    @property
    def since(self) -> datetime:
        """The hour of export from which on rows are counted next time."""
        return _hour(self.seen) - OVERLAP

    @classmethod
    def remembered(cls, memory: Mapping[str, Any], table: str) -> Known | None:
        """What `memory` knows of `table`; None if nothing, or only of another table."""
        value = memory.get(KEY)
        if not isinstance(value, Mapping) or value.get("table") != table:
            return None
        unread = [Span(_moment(start), _moment(end)) for start, end in value["unread"]]
        return cls(table, _moment(value["seen"]), _moment(value["from"]), value["counts"], unread)


class Reading:
    """The windows of one sync, and what is to be remembered as they are stored one by one."""

    def __init__(self, known: Known | None, table: str, found: Sequence[Found], from_day: datetime) -> None:
        self._known = known
        newest = [each.seen for each in found] + ([known.seen] if known else [])
        self.seen = max(newest)
        self._changed = set(_changed(found, known.counts if known else {}))
        self._unread: list[list[str]] = []
        self._memory = {
            "table": table,
            "seen": self.seen.isoformat(),
            "from": from_day.isoformat(),
            "counts": _counts(found, _hour(self.seen) - OVERLAP),
            "unread": self._unread,
        }

    def windows(self, due: Sequence[Span], settling: timedelta, first: datetime, longest: timedelta) -> list[Window]:
        """The days to read, none of them before `first`, in windows of at most `longest`, newest first."""
        days = {midnight(day) for day in self._changed} if self._known else set()
        days |= {piece.start for span in self._known.unread for piece in span.pieces()} if self._known else set()
        days |= {piece.start for span in due for piece in span.pieces() if self._is_wanted(piece, settling)}
        spans = list(_stretches(_joined(day for day in days if day >= first), longest))
        self._unread[:] = [[span.start.isoformat(), span.end.isoformat()] for span in spans]
        return [Window(span, seen_until=self.seen, remember={KEY: self._memory}) for span in spans]

    def note(self, span: Span) -> None:
        """Say that a window was read: what is remembered with it, and with later ones, no longer lists it."""
        self._unread[:] = [each for each in self._unread if each[0] != span.start.isoformat()]

    def _is_wanted(self, day: Span, settling: timedelta) -> bool:
        """Whether reading a day that is due may tell anything new.

        Days that Google is not done with are due until it is, and of no interest while it has exported nothing.
        """
        known = self._known
        return known is None or bool(self._changed) or self.seen > known.seen or day.end + settling <= known.seen


def _changed(found: Iterable[Found], before: Counts) -> Iterator[date]:
    for each in found:
        if each.rows != before.get(each.hour.isoformat(), {}).get(each.day.isoformat(), 0):
            yield each.day


def _counts(found: Iterable[Found], since: datetime) -> Counts:
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for each in found:
        if each.hour >= since:
            counts[each.hour.isoformat()][each.day.isoformat()] = each.rows
    return counts


def _joined(days: Iterable[datetime]) -> list[Span]:
    """The shortest spans that hold the days, where days that are near one another are in one."""
    joined: list[Span] = []
    for day in sorted(days):
        if joined and day - joined[-1].end <= NEAR:
            joined[-1] = Span(joined[-1].start, day + DAY)
        else:
            joined.append(Span(day, day + DAY))
    return joined


def _stretches(spans: Sequence[Span], longest: timedelta) -> Iterator[Span]:
    """`spans` cut from their ends into stretches of at most `longest`, newest first."""
    for span in reversed(spans):
        end = span.end
        while end > span.start:
            start = max(span.start, end - longest)
            yield Span(start, end)
            end = start


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
