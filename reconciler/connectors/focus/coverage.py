"""Which months a file has rows in, and which windows to read again when files changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from ledger.window import Span
from reconciler.connectors.focus.columns import Feed, NotFocus, layout, period
from reconciler.connectors.focus.reader import Block, Reader
from reconciler.connectors.focus.rows import BadCell, coded, needed
from reconciler.errors import ReconcilerError

PERIOD: Final = frozenset(("chargeperiodstart", "chargeperiodend"))


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a file holds: the months with rows, and the end of its newest charge (None without rows)."""

    months: tuple[Span, ...] = ()
    until: datetime | None = None

    def touches(self, span: Span) -> bool:
        return any(month.overlaps(span) for month in self.months)

    def __add__(self, other: Coverage) -> Coverage:
        """What both hold together."""
        until = max((moment for moment in (self.until, other.until) if moment), default=None)
        return Coverage(tuple(sorted({*self.months, *other.months})), until)

    def to_json(self) -> dict[str, Any]:
        months = [[month.start.isoformat(), month.end.isoformat()] for month in self.months]
        return {"months": months, "until": self.until and self.until.isoformat()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Coverage:
        """The reverse of `to_json`."""
        months = (Span(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in value["months"])
        return cls(tuple(months), value["until"] and datetime.fromisoformat(value["until"]))


def survey(reader: Reader, zone: tzinfo) -> tuple[Coverage, ReconcilerError | None]:
    """What the file holds by its charge periods alone, and the first thing that is wrong with them, if any."""
    found = Coverage()
    problem: ReconcilerError | None = None
    try:
        for block in reader.blocks(PERIOD):
            if not block.rows:
                layout(block.batch.schema.names, zone)
                continue
            feeds = period(block.batch.schema.names, zone)
            problem = problem or _problem(reader, feeds, block)
            starts, ends = (_good(feed, block) for feed in feeds)
            months = {month(moment, zone) for moment in starts}
            found += Coverage(tuple(months), max(ends, default=None))
    except NotFocus as error:
        problem = reader.bad_file(str(error))
    except ReconcilerError as error:
        problem = problem or error
    return found, problem


def _problem(reader: Reader, feeds: Iterable[Feed], block: Block) -> ReconcilerError | None:
    try:
        for feed in feeds:
            needed(feed, block)
    except BadCell as error:
        return reader.bad_cell(error.row, error.column, error.cell, error.expected)
    return None


def _good(feed: Feed, block: Block) -> set[datetime]:
    """The different times in a column, without the cells that are none."""

    def read(cell: object) -> object:
        with suppress(ValueError, OverflowError):
            return feed.parse(cell)
        return None

    return {moment for moment in coded(feed._replace(parse=read), block).values if moment is not None}


def month(moment: datetime, zone: tzinfo) -> Span:
    """The calendar month of `zone` that `moment` lies in."""
    local = moment.astimezone(zone)
    year, following = divmod(12 * local.year + local.month, 12)
    start = datetime(local.year, local.month, 1, tzinfo=zone)
    return Span(start.astimezone(UTC), datetime(year, following + 1, 1, tzinfo=zone).astimezone(UTC))


def runs(changed: Iterable[Sequence[Span]]) -> list[Span]:
    """The shortest spans that hold the months of every changed file whole, newest first.

    `changed` has the months of each file, before and after. A file is never split: what is remembered of it
    is saved with the one window that holds it.
    """
    reaches = sorted(Span(months[0].start, months[-1].end) for months in map(sorted, changed) if months)
    joined: list[Span] = []
    for reach in reaches:
        if joined and reach.start < joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, reach.end))
        else:
            joined.append(reach)
    return joined[::-1]
