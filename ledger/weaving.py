"""Columns of charges woven into rows: packed as `ledger.encoding` packs them, and as the lines that COPY takes.

The bytes are those that come of the charges one by one. What rows share is made once, and Arrow puts the rows
together. Errors are those of a value; whoever wants to know of which row looks at the charges one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ledger.charge import CHECKED, Charge, check_words
from ledger.columns import Coded, Columns, combined
from ledger.encoding import Place, document, escaped, moment, pack_value, row_id
from ledger.money import currency
from ledger.schema import COSTS, DIMENSIONS, NAMES, QUANTITIES
from ledger.sums import Subtotal, subtotals

if TYPE_CHECKING:
    import pyarrow as pa

_HEAD: Final = b"\xdc" + len(Charge._fields).to_bytes(2, "big")
"""How MessagePack begins an array of as many values as a charge has."""
_AT_A_TIME: Final = 1_000
"""Rows whose bytes are objects at a time."""
_from_bytes: Final = int.from_bytes
_HEADS: Final = [b"\xc0", *(bytes([0xA0 + size]) for size in range(1, 32)), *(bytes([0xD9, n]) for n in range(32, 256))]
"""How it begins a text of so many bytes; none at all stands for nothing."""


class Woven(NamedTuple):
    """What a batch comes to, by the number of its piece.

    The sum of its rows' hashes, lines for COPY and how many, or rows kept aside (place, hash and all of it), and the
    sums of the lines.
    """

    digests: Mapping[int, int]
    lines: Mapping[int, tuple[int, memoryview]]
    kept: Mapping[int, list[tuple[Place, bytes, bytes]]]
    subtotals: list[Subtotal]


def weave(columns: Columns, place: Callable[[datetime, datetime], Place], filled: Collection[int]) -> Woven:
    """The batch by piece: lines of the pieces that held nothing, and rows of those that are `filled`.

    Raises InvalidCharge, or ValueError, TypeError or OverflowError where a value is not what it should be.
    """
    for words in combined([columns.coded(field) for field in CHECKED]).values:
        check_words(*words)
    periods = combined([columns.coded("charge_period_start"), columns.coded("charge_period_end")])
    places = periods.mapped(lambda period: place(*period))
    pieces = places.mapped(itemgetter(0)).distinct()
    fresh = set(pieces.values).difference(filled)
    hashes, kept = _hashed(packed(columns), places, fresh if len(fresh) < len(pieces.values) else None)
    return Woven(
        digests=_digests(hashes, pieces),
        lines=_by_piece(lines(columns, hashes), pieces, fresh) if fresh else {},
        kept=kept,
        subtotals=subtotals(columns, pieces) if fresh else [],
    )


def packed(columns: Columns) -> pa.BinaryArray:
    """Every row as `ledger.encoding.pack` packs it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    thread = _Thread(pa.binary(), b"")
    thread.same(_HEAD)
    for field in Charge._fields:
        amounts = columns.amounts(field)
        if amounts is None:
            thread.coded(columns.coded(field), pack_value)
        else:
            thread.coded(Coded(_HEADS, pc.binary_length(amounts.written).fill_null(0)), bytes)
            thread.each(amounts.written.fill_null("").cast(pa.binary()))
    return thread.rows(len(columns))


def lines(columns: Columns, hashes: Sequence[bytes]) -> pa.StringArray:
    """Every row as `ledger.encoding.line` writes it; rows that say the same are numbered."""
    import pyarrow as pa

    thread = _Thread(pa.string(), "\t")
    thread.coded(columns.coded("charge_period_start"), moment)
    thread.each(pa.array([each.hex() for each in hashes], pa.string()))
    thread.coded(_copies(hashes), str)
    thread.coded(columns.coded("charge_period_end"), moment)
    thread.coded(columns.coded("billing_currency"), currency)
    for field in (*DIMENSIONS[1:], *NAMES):
        thread.coded(columns.coded(field), escaped)
    for field in (*COSTS, *QUANTITIES):
        amounts = columns.stored(field)
        if amounts is None:
            thread.same("")
        else:
            thread.each(amounts.fill_null(""))
    thread.coded(columns.coded("tags"), document)
    thread.coded(columns.coded("extra"), lambda value: f"{document(value)}\n")
    return thread.rows(len(columns))


def _copies(hashes: Sequence[bytes]) -> Coded:
    """How many rows before each say the same."""
    import pyarrow as pa

    if len(set(hashes)) == len(hashes):
        return Coded([0])
    met: Counter[bytes] = Counter()
    numbers = []
    for each in hashes:
        numbers.append(met[each])
        met[each] += 1
    return Coded(range(max(numbers) + 1), pa.array(numbers, pa.int32()))


def _digests(hashes: Sequence[bytes], pieces: Coded) -> Mapping[int, int]:
    """The sum of the hashes of each piece."""
    if pieces.codes is None:
        return {pieces.values[0]: sum([_from_bytes(each, "big") for each in hashes])}
    sums: Counter[int] = Counter()
    for piece, each in zip(pieces.rows(len(hashes)), hashes, strict=True):
        sums[piece] += _from_bytes(each, "big")
    return sums


def _by_piece(rows: pa.StringArray, pieces: Coded, wanted: Collection[int]) -> Mapping[int, tuple[int, memoryview]]:
    """The lines of the wanted pieces, and how many they are."""
    if pieces.codes is None:
        return {pieces.values[0]: (len(rows), _bytes(rows))}
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pa.array(pieces.values, pa.int32()).take(pieces.codes)
    parts = {piece: rows.filter(pc.equal(numbers, piece)) for piece in wanted}
    return {piece: (len(part), _bytes(part)) for piece, part in parts.items()}


def _bytes(texts: pa.StringArray) -> memoryview:
    """All texts, one after another, as they lie in the array."""
    _, ends, data = texts.buffers()
    first, last = (memoryview(ends).cast("i")[place] for place in (texts.offset, texts.offset + len(texts)))
    return memoryview(data)[first:last] if last > first else memoryview(b"")


def _hashed(
    rows: pa.BinaryArray, places: Coded, but: Collection[int] | None
) -> tuple[list[bytes], Mapping[int, list[tuple[Place, bytes, bytes]]]]:
    """The hash of every row; and of pieces that are not in `but`, if any, the rows themselves, to be kept aside."""
    hashes: list[bytes] = []
    kept: dict[int, list[tuple[Place, bytes, bytes]]] = {}
    where = places.rows(len(rows))
    for first in range(0, len(rows), _AT_A_TIME):
        some = rows.slice(first, _AT_A_TIME).to_pylist()
        found = list(map(row_id, some))
        hashes += found
        if but is not None:
            for place, hashed, row in zip(islice(where, len(some)), found, some, strict=True):
                if place.piece not in but:
                    kept.setdefault(place.piece, []).append((place, hashed, row))
    return hashes, kept


class _Thread:
    """The parts of all rows, in order: those that every row has, and arrays with one for each row."""

    def __init__(self, kind: pa.DataType, between: str | bytes) -> None:
        self._kind, self._between = kind, between
        self._same: list[Any] = []
        self._parts: list[Any] = []

    def same(self, part: str | bytes) -> None:
        """A part that every row has."""
        self._same.append(part)

    def each(self, parts: pa.Array) -> None:
        """A part for each row."""
        self._tie()
        self._parts.append(parts)

    def coded(self, column: Coded, write: Callable[[Any], Any]) -> None:
        """What `write` makes of a column's values."""
        import pyarrow as pa

        written = [write(value) for value in column.values]
        if column.codes is None:
            self.same(written[0])
        else:
            self.each(pa.array(written, self._kind).take(column.codes))

    def rows(self, count: int) -> pa.Array:
        """All rows put together."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self._tie()
        between = pa.scalar(self._between, self._kind)
        found = pc.binary_join_element_wise(*self._parts, between)
        return found if isinstance(found, pa.Array) else pa.repeat(found, count)

    def _tie(self) -> None:
        import pyarrow as pa

        if self._same:
            self._parts.append(pa.scalar(self._between.join(self._same), self._kind))
            self._same = []
