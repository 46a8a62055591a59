"""The daily rollup of rows on their way in: summed while they are at hand, instead of being read again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ledger.charge import Charge
from ledger.columns import Coded, Columns, combined
from ledger.encoding import Place, cells, moment, storable
from ledger.money import EXACT, ZERO, currency, plain
from ledger.schema import ROLLUP_DIMENSIONS, ROLLUP_SUMS
from ledger.window import Span

if TYPE_CHECKING:
    import pyarrow as pa

SUMMED_COLUMNS: Final = ("starts_at", *ROLLUP_DIMENSIONS, *ROLLUP_SUMS, "charges", "unpriced")

LONGEST_SUMMED: Final = 34
"""Characters of amounts of which thousands can be summed up in 76 digits, of which 38 are decimals."""

_CURRENCY: Final = ROLLUP_DIMENSIONS.index("billing_currency")
_line = itemgetter(*(Charge._fields.index(name) for name in ROLLUP_DIMENSIONS))
_amounts = itemgetter(*(Charge._fields.index(name) for name in ROLLUP_SUMS))


class Subtotal(NamedTuple):
    """What some rows of one line come to: the sums of ROLLUP_SUMS, how many rows, and how many of them unpriced."""

    piece: int
    line: tuple[str | None, ...]
    sums: Sequence[Decimal | None]
    charges: int
    unpriced: int


class Sums:
    """Amounts, quantity, number of charges and of unpriced ones, by piece and by the rollup's dimensions.

    `at_most` bounds the lines held in memory; beyond, the database adds up what was written.
    """

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._lines: dict[tuple[int, tuple[str | None, ...]], list[Any]] = {}

    def add(
        self, batch: Sequence[Charge], places: Mapping[tuple[datetime, datetime], Place], but: Collection[int]
    ) -> bool:
        """Add up the charges of every piece except those of `but`; false when the lines become too many."""
        lines = self._lines
        with localcontext(EXACT):
            for charge in batch:
                piece = places[charge[:2]].piece
                if piece in but:
                    continue
                key = (piece, _line(charge))
                sums = lines.get(key)
                if sums is None:
                    sums = lines[key] = [ZERO, ZERO, ZERO, ZERO, ZERO, 0, 0]
                _add(sums, charge)
        return len(lines) <= self._at_most

    def add_subtotals(self, subtotals: Iterable[Subtotal], but: Collection[int]) -> bool:
        """Add what was summed by the column, as `add` does."""
        lines = self._lines
        with localcontext(EXACT):
            for piece, line, added, charges, unpriced in subtotals:
                if piece in but:
                    continue
                sums = lines.setdefault((piece, line), [ZERO, ZERO, ZERO, ZERO, ZERO, 0, 0])
                for place, amount in enumerate((*added, charges, unpriced)):
                    sums[place] += amount or 0
        return len(lines) <= self._at_most

    def rows(self, pieces: Sequence[Span], wanted: Collection[int]) -> Iterator[str]:
        """The sums of the wanted pieces as lines for COPY, in the order of SUMMED_COLUMNS."""
        for (piece, line), sums in self._lines.items():
            if piece in wanted:
                yield f"{moment(pieces[piece].start)}\t{cells([*_texts(line), *sums])}"

    def records(self, pieces: Sequence[Span], wanted: Collection[int]) -> Iterator[dict[str, Any]]:
        """The same by name, with amounts in plain digits and None for texts that are absent."""
        for (piece, line), sums in self._lines.items():
            if piece in wanted:
                texts = [storable(text) if text else None for text in _texts(line)]
                values = (moment(pieces[piece].start), *texts, *(plain(Decimal(figure)) for figure in sums))
                yield dict(zip(SUMMED_COLUMNS, values, strict=True))

    def __len__(self) -> int:
        return len(self._lines)


def _texts(line: Sequence[str | None]) -> list[str | None]:
    return [*line[:_CURRENCY], currency(line[_CURRENCY] or ""), *line[_CURRENCY + 1 :]]


def _add(sums: list[Any], charge: Charge) -> None:
    billed, effective, listed, contracted, consumed = _amounts(charge)
    if billed is not None:
        sums[0] += billed
        sums[1] += billed if effective is None else effective
    else:
        sums[1] += effective or 0
        sums[6] += 1
    if listed is not None:
        sums[2] += listed
    if contracted is not None:
        sums[3] += contracted
    if consumed is not None:
        sums[4] += consumed
    sums[5] += 1


def subtotals(columns: Columns, pieces: Coded) -> list[Subtotal]:
    """The charges summed up by the column; `pieces` numbers the piece of each.

    Raises ValueError where amounts are too long to be summed up so.
    """
    import pyarrow as pa

    lines = combined([columns.coded(name) for name in ROLLUP_DIMENSIONS])
    both = combined([pieces, lines])
    codes = pa.repeat(pa.scalar(0, pa.int32()), len(columns)) if both.codes is None else both.codes
    texts = [columns.stored(name) for name in ROLLUP_SUMS]
    same = [next(place for place, other in enumerate(texts) if _is_same(other, each)) for each in texts]
    table = pa.table({"line": codes, **{str(place): _summable(texts[place], len(codes)) for place in set(same)}})
    wanted = [*((str(place), "sum") for place in set(same)), ("line", "count"), ("0", "count")]
    found = table.group_by("line", use_threads=False).aggregate(wanted)
    sums = {place: found.column(f"{place}_sum").to_pylist() for place in set(same)}
    amounts = zip(*(sums[place] for place in same), strict=True)
    rest = (found.column(name).to_pylist() for name in ("line", "line_count", "0_count"))
    return [_subtotal(both.values[number], *each) for number, *each in zip(next(rest), amounts, *rest, strict=True)]


def _subtotal(line: tuple[int, tuple[str | None, ...]], amounts: Sequence[Any], count: int, priced: int) -> Subtotal:
    return Subtotal(*line, amounts, count, count - priced)


def _is_same(left: pa.StringArray | None, right: pa.StringArray | None) -> bool:
    """Whether two columns are summed up alike, as billed and effective costs mostly are."""
    return left is right or (left is not None and right is not None and left.equals(right))


def _summable(texts: pa.StringArray | None, count: int) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if texts is None:
        return pa.nulls(count, pa.decimal256(76, 38))
    if (pc.max(pc.binary_length(texts)).as_py() or 0) > LONGEST_SUMMED:
        raise ValueError("amounts too long to be summed up by the column")
    return texts.cast(pa.decimal256(76, 38))
