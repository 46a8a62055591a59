"""Periods of billing data: windows, the pieces of them the ledger keeps track of, and what is due to be read.

A window is what one sync reads whole and replaces whole. It need not follow UTC days (some vendors bill by
their own), so the ledger remembers pieces: a window cut at every UTC midnight inside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def midnight(day: date) -> datetime:
    """The instant at which the UTC `day` begins."""
    return datetime.combine(day, time.min, tzinfo=UTC)


def month_start(moment: datetime) -> datetime:
    """Midnight of the first day of `moment`'s UTC month."""
    return midnight(moment.date().replace(day=1))


def next_month(moment: datetime) -> datetime:
    """Midnight of the first day of the UTC month after `moment`'s."""
    return month_start(month_start(moment) + 31 * DAY)


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """A half-open stretch of UTC time [start, end)."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.utcoffset() != timedelta(0) or self.end.utcoffset() != timedelta(0):
            raise ValueError("a span is in UTC")
        if self.end <= self.start:
            raise ValueError(f"a span ends after it starts: {self.start} to {self.end}")

    @classmethod
    def of_days(cls, first: date, after_last: date) -> Span:
        """The span from the beginning of `first` to the beginning of `after_last`."""
        return cls(midnight(first), midnight(after_last))

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end

    def pieces(self) -> Iterator[Span]:
        """This span cut at every UTC midnight inside it, in order."""
        start = self.start
        while start < self.end:
            end = min(midnight(start.date()) + DAY, self.end)
            yield Span(start, end)
            start = end

    def months(self) -> Iterator[datetime]:
        """The first instant of every UTC month this span touches, in order."""
        month = month_start(self.start)
        while month < self.end:
            yield month
            month = next_month(month)


@dataclass(frozen=True, slots=True)
class Window:
    """What one sync reads whole and replaces whole: every charge that starts in `span`.

    `seen_until` is the instant up to which the source can have known anything (a file's newest charge); None
    means the moment of reading. `remember` is what the connector wants kept beside the window: keys with JSON
    values, None to forget a key, saved in the transaction that stores the window.
    """

    span: Span
    seen_until: datetime | None = None
    remember: Mapping[str, object] = field(default_factory=dict)

    @property
    def start(self) -> datetime:
        return self.span.start

    @property
    def end(self) -> datetime:
        return self.span.end


@dataclass(frozen=True, slots=True)
class Piece:
    """A span within one UTC day as it was last read: when, and what the sum of its rows' hashes was."""

    span: Span
    read_at: datetime
    digest: int
    rows: int


def due(wanted: Span, known: Iterable[Piece], moving: timedelta, *, again: Sequence[Span] = ()) -> list[Span]:
    """The whole UTC days of `wanted` that still have to be read, and those of `again`, joined into spans, in order.

    A day is due until it has been read, whole, at least once after its figures stopped moving: `moving` after
    its end. Days of `again` are read whatever is known of them, inside `wanted` or not.
    """
    settled = _union(p.span for p in known if p.read_at >= p.span.end + moving)
    unread = [day for day in _days(wanted) if not _covers(settled, day)]
    return _union([*unread, *(day for span in again for day in _days(span))])


def _days(span: Span) -> Iterator[Span]:
    for piece in span.pieces():
        first = midnight(piece.start.date())
        yield Span(first, first + DAY)


def by_month(spans: Iterable[Span], longest: timedelta) -> list[Window]:
    """`spans` cut at month starts and into windows of at most `longest`, newest first."""
    windows = []
    for span in spans:
        start = span.start
        while start < span.end:
            end = min(next_month(start), start + longest, span.end)
            windows.append(Window(Span(start, end)))
            start = end
    return sorted(windows, key=lambda window: window.start, reverse=True)


def whole_months(spans: Sequence[Span], history: Span) -> list[Window]:
    """A window for each UTC month that `spans` touch, newest first: as much of it as `history` and they cover.

    For vendors that answer by the month, where the rest of a month costs no further call.
    """
    kept = _union([history, *spans])
    windows = []
    for month in sorted({month for span in spans for month in span.months()}, reverse=True):
        whole = Span(month, next_month(month))
        parts = [span for span in kept if span.overlaps(whole)]
        windows.append(Window(Span(max(month, parts[0].start), min(whole.end, parts[-1].end))))
    return windows


def complete_through(known: Iterable[Piece], settling: timedelta) -> date | None:
    """The last UTC day such that it and every day before it, back to the first known, are whole.

    A piece is whole when it was read at least `settling` after its end. Days that were never read end the
    run, so that a gap is never counted as whole; None when not even the first known day is whole.
    """
    pieces = sorted(known, key=lambda piece: piece.span)
    whole = _union(p.span for p in pieces if p.read_at >= p.span.end + settling)
    if not whole or pieces[0].span.start < whole[0].start:
        return None
    last_day = midnight(whole[0].end.date()) - DAY
    first_day = midnight((whole[0].start + DAY - timedelta(microseconds=1)).date())
    return last_day.date() if last_day >= first_day else None


def _covers(spans: Sequence[Span], inner: Span) -> bool:
    return any(span.start <= inner.start and inner.end <= span.end for span in spans)


def _union(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined
