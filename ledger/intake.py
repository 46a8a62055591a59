"""Taking in the charges of one window: checked, hashed, and kept aside until it is known which are needed.

Memory stays flat whatever the window's size: batches go to a temporary file, sorted by the piece (UTC day) they
belong to, and of each piece only the digest and the number of rows are held.
"""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Sequence
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from ledger.charge import Charge, check
from ledger.identity import DIGEST_MODULUS, HASH_BYTES, Record, digest, encode
from ledger.window import Span, Window

MEMORY_BYTES = 16 * 1024 * 1024
"""Below this size a window never touches the disk."""


class Row(NamedTuple):
    """A record with its number among the rows of its batch that say exactly the same."""

    record: Record
    copy: int


class Intake:
    """The charges of one window, read once from the vendor and replayable piece by piece."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.pieces: Sequence[Span] = tuple(window.span.pieces())
        self.rows = [0] * len(self.pieces)
        self._digests = [0] * len(self.pieces)
        self._first_day = window.start.date().toordinal()
        self._chunks: list[tuple[int, int, int]] = []
        self._file: IO[bytes] = SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115  # closed by __aexit__

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    async def read(self, batches: AsyncIterable[Sequence[Charge]]) -> None:
        """Take in every batch. Raises InvalidCharge; whatever the iterator raises passes through."""
        async for batch in batches:
            self.add(batch)

    def add(self, batch: Sequence[Charge]) -> None:
        """Take in one batch."""
        start, end = self.window.start, self.window.end
        by_piece: dict[int, list[Record]] = {}
        for charge in batch:
            check(charge, start, end)
            record = encode(charge)
            index = record.start.date().toordinal() - self._first_day
            self._digests[index] += digest(record.row_id)
            by_piece.setdefault(index, []).append(record)
        for index, records in by_piece.items():
            self.rows[index] += len(records)
            self._keep(index, records)

    def digest(self, index: int) -> bytes:
        """The digest of all rows of a piece, whatever their order."""
        return (self._digests[index] % DIGEST_MODULUS).to_bytes(HASH_BYTES, "big")

    async def records(self, wanted: Collection[int]) -> AsyncIterator[Row]:
        """The rows of the wanted pieces, in the order in which they came."""
        for index, offset, size in self._chunks:
            if index in wanted:
                self._file.seek(offset)
                for row in number(pickle.loads(self._file.read(size))):  # noqa: S301  # our own bytes, just written
                    yield row

    def _keep(self, index: int, records: list[Record]) -> None:
        chunk = pickle.dumps([tuple(record) for record in records], protocol=5)
        self._chunks.append((index, self._file.tell(), len(chunk)))
        self._file.write(chunk)


def number(chunk: Iterable[tuple[Any, ...]]) -> Iterable[Row]:
    """Rows numbered among their exact equals, from 0; equals in other chunks are not known here."""
    seen: dict[bytes, int] = {}
    for fields in chunk:
        record = Record(*fields)
        copy = seen.get(record.row_id, -1) + 1
        seen[record.row_id] = copy
        yield Row(record, copy)
