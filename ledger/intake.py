"""Taking in the charges of one window: hashed as they come, and kept aside until it is known which are needed.

A piece (UTC day) that the ledger holds nothing of will be written whatever comes, so its rows become lines for
COPY at once. Of the others only the packed rows are kept: when the digest of all of them is the one the ledger
knows, nothing more is done with them. Memory stays flat: what is kept aside goes to a temporary file.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Final, NamedTuple, Self

from ledger.aside import Aside
from ledger.charge import Charge, check_period
from ledger.columns import Columns
from ledger.encoding import HASH_BYTES, Place, line, moment, pack, row_id, unpack
from ledger.errors import InvalidCharge
from ledger.sums import Sums
from ledger.weaving import weave
from ledger.window import Span, Window

LARGE: Final = 1_000
"""Rows from which on a batch for empty days is taken in by the column: Arrow takes 30 MB, and a while to begin."""
GATHERED: Final = 8_000
"""Rows that are taken in at a time where batches are large: each time, every line of the rollup costs something."""

SENT: Final = 1024 * 1024
"""Bytes of lines that are sent at a time."""

_MODULUS: Final = 1 << (8 * HASH_BYTES)
_PERIODS_KEPT: Final = 20_000
_from_bytes = int.from_bytes


class Memory(NamedTuple):
    """What one window may take of it, in bytes of rows and in lines of the rollup.

    Beyond `held`, a window into empty days is written while it is read; beyond `kept`, rows go to the disk.
    """

    held: int = 4 * 1024 * 1024
    kept: int = 16 * 1024 * 1024
    lines: int = 50_000


MEMORY: Final = Memory()


_Packed = tuple[Place, bytes, bytes]
"""A row kept aside: its place, its id, and all of it packed. Making a named tuple costs as much as a hash."""


class Intake:
    """The charges of one window, read once from the vendor. `filled` are the pieces the ledger holds rows of."""

    def __init__(self, window: Window, filled: Collection[int] = (), memory: Memory = MEMORY) -> None:
        self.window = window
        self.pieces: Sequence[Span] = tuple(window.span.pieces())
        self.rows = [0] * len(self.pieces)
        self.filled = frozenset(filled)
        self.batches = 0
        self.sums: Sums | None = Sums(memory.lines)
        self._digests = [0] * len(self.pieces)
        self._source: AsyncIterator[Sequence[Charge]] | None = None
        self._places: dict[tuple[datetime, datetime], Place] = {}
        self._aside = Aside(memory.kept)
        self._ahead: asyncio.Task[bool] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
        self._aside.close()

    async def read(self, batches: AsyncIterable[Sequence[Charge]], at_most: int | None = None) -> bool:
        """Take in batches until they end, or until about `at_most` bytes are kept; true when they have ended.

        Raises InvalidCharge; whatever the iterator raises passes through.
        """
        if self._ahead is not None and await self._come():
            return True
        return await self._read(batches, at_most)

    async def _read(self, batches: AsyncIterable[Sequence[Charge]], at_most: int | None) -> bool:
        self._source = self._source or aiter(batches if self.filled else _gathered(batches))
        async for batch in self._source:
            if len(batch) < LARGE:
                self.add(batch)
            else:
                await asyncio.to_thread(self.add, batch)  # which takes tens of milliseconds
            if at_most is not None and self._aside.size >= at_most:
                return False
            await asyncio.sleep(0)  # a source that never waits would keep everything else from running
        return True

    async def _come(self) -> bool:
        """What came of reading ahead."""
        assert self._ahead is not None
        try:
            return await self._ahead
        finally:
            self._ahead = None

    async def flow(self, batches: AsyncIterable[Sequence[Charge]], prefix: bytes) -> AsyncIterator[bytes]:
        """All lines, those kept so far and then those of the remaining batches as they come. Nothing is filled.

        The next batch is taken in while the server reads the lines of the one before. Whoever stops asking for lines
        may still `read` the rest.
        """
        sent = 0
        ended = False
        while not ended or sent < len(self._aside):
            if not ended:
                self._ahead = asyncio.create_task(self._read(batches, at_most=0))
            for chunk in self._aside.get(since=sent):
                sent += 1
                for part in _prefixed(chunk, prefix):
                    yield part
            ended = ended or await self._come()

    def add(self, batch: Sequence[Charge]) -> None:
        """Take in one batch."""
        self.batches += 1
        if len(self._places) >= _PERIODS_KEPT:
            self._places.clear()
        is_large = isinstance(batch, Columns) or (len(batch) >= LARGE and not self.filled)
        if not (is_large and self._add_columns(batch)):
            self._add_rows(list(batch))

    def _add_columns(self, batch: Sequence[Charge]) -> bool:
        """Take in a batch by the column; false, with nothing taken in, where the rows have to be looked at."""
        import pyarrow as pa

        try:
            columns = batch if isinstance(batch, Columns) else Columns.of(batch)
            woven = weave(columns, self._place, self.filled)
        except (InvalidCharge, ValueError, TypeError, ArithmeticError, pa.ArrowException):
            return False
        for index, hashed in woven.digests.items():
            self._digests[index] += hashed
        if woven.subtotals and self.sums is not None and not self.sums.add_subtotals(woven.subtotals, self.filled):
            self.sums = None
        for index, (rows, chunk) in woven.lines.items():
            self._keep(index, rows, chunk, packed=True)
        for index, kept in woven.kept.items():
            self._keep(index, len(kept), pickle.dumps(kept, protocol=5), packed=True)
        return True

    def _add_rows(self, batch: Sequence[Charge]) -> None:
        lines: dict[int, list[str]] = {}
        packed: dict[int, list[_Packed]] = {}
        copies: dict[bytes, int] = {}
        places, digests, filled = self._places, self._digests, self.filled
        for charge in batch:
            place = places.get(charge[:2]) or self._place(*charge[:2])
            row = pack(charge)
            hashed = row_id(row)
            index = place.piece
            digests[index] += _from_bytes(hashed, "big")
            if index in filled:
                packed.setdefault(index, []).append((place, hashed, row))
            else:
                copies[hashed] = copy = copies.get(hashed, -1) + 1
                text = line(charge, hashed.hex(), copy, place.start, place.end)
                lines.setdefault(index, []).append(text)
        if lines and self.sums is not None and not self.sums.add(batch, places, filled):
            self.sums = None
        for index, texts in lines.items():
            self._keep(index, len(texts), "".join(texts).encode(errors="replace"))
        for index, kept in packed.items():
            self._keep(index, len(kept), pickle.dumps(kept, protocol=5))

    def digest(self, index: int) -> bytes:
        """The digest of all rows of a piece, whatever their order."""
        return (self._digests[index] % _MODULUS).to_bytes(HASH_BYTES, "big")

    async def lines(self, wanted: Collection[int], prefix: bytes) -> AsyncIterator[bytes]:
        """The lines of pieces that the ledger held nothing of, each after `prefix`."""
        for chunk in self._aside.get(wanted):
            for part in _prefixed(chunk, prefix):
                yield part

    async def keys(self, wanted: Collection[int]) -> AsyncIterator[bytes]:
        """Start and row id of every row of pieces that the ledger holds something of, as lines for COPY."""
        for chunk in self._aside.get(wanted):
            yield "".join([f"{place.start}\t{hashed.hex()}\n" for place, hashed, _ in _rows(chunk)]).encode()

    async def lines_of(
        self, wanted: Collection[int], ids: Collection[bytes] | None, prefix: bytes
    ) -> AsyncIterator[bytes]:
        """Lines of the rows with these ids, or of all rows, of pieces that the ledger holds something of."""
        async for lines in _made(partial(_lines_of, chunk, ids) for chunk in self._aside.get(wanted)):
            for part in _prefixed(lines, prefix) if lines else ():
                yield part

    def _place(self, since: datetime, until: datetime) -> Place:
        known = self._places.get((since, until))
        if known is not None:
            return known
        check_period(since, until, self.window.start, self.window.end)
        index = since.date().toordinal() - self.window.start.date().toordinal()
        place = self._places[since, until] = Place(index, moment(since), moment(until))
        return place

    def _keep(self, index: int, rows: int, chunk: bytes | memoryview, *, packed: bool = False) -> None:
        self.rows[index] += rows
        self._aside.put(index, chunk, packed=packed)


async def _gathered(batches: AsyncIterable[Sequence[Charge]]) -> AsyncGenerator[Sequence[Charge], None]:
    """The batches, large ones joined into larger ones."""
    held: list[Charge] = []
    async for batch in batches:
        if len(batch) < LARGE or isinstance(batch, Columns):
            if held:
                yield held
            held = []
            yield batch
        else:
            held += batch
            if len(held) >= GATHERED:
                yield held
                held = []
    if held:
        yield held


async def _made(calls: Iterable[Callable[[], bytes]]) -> AsyncIterator[bytes]:
    """What calls return, each made in a thread while the server reads what the one before has returned."""
    coming: asyncio.Task[bytes] | None = None
    for call in calls:
        before, coming = coming, asyncio.create_task(asyncio.to_thread(call))
        if before is not None:
            yield await before
    if coming is not None:
        yield await coming


def _prefixed(lines: bytes, prefix: bytes) -> Iterator[bytes]:
    """Every line after the prefix, in parts of about a megabyte."""
    end, begun = len(lines) - 1, b"\n" + prefix  # the last line's end begins no other
    for first in range(0, end, SENT):
        part = lines[first : min(first + SENT, end)].replace(b"\n", begun)
        yield part if first else prefix + part
    yield b"\n"


def _lines_of(chunk: bytes, ids: Collection[bytes] | None) -> bytes:
    """The lines of the rows with these ids, or of all rows, that are kept aside in a chunk."""
    rows = [row for row in _rows(chunk) if ids is None or row[1] in ids]
    lines = [line(unpack(row), hashed.hex(), 0, *place[1:]) for place, hashed, row in rows]
    return "".join(lines).encode(errors="replace")


def _rows(chunk: bytes) -> list[_Packed]:
    found: list[_Packed] = pickle.loads(chunk)  # noqa: S301  # our own bytes, just written
    return found
