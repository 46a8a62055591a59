"""The daily rollup of rows on their way in: summed while they are at hand, instead of being read again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from operator import itemgetter
from typing import Any, Final

from ledger.charge import Charge
from ledger.encoding import Place, cells, moment, storable
from ledger.money import EXACT, ZERO, currency, plain
from ledger.schema import ROLLUP_DIMENSIONS, ROLLUP_SUMS
from ledger.window import Span

SUMMED_COLUMNS: Final = ("starts_at", *ROLLUP_DIMENSIONS, *ROLLUP_SUMS, "charges", "unpriced")

_CURRENCY: Final = ROLLUP_DIMENSIONS.index("billing_currency")
_line = itemgetter(*(Charge._fields.index(name) for name in ROLLUP_DIMENSIONS))
_amounts = itemgetter(*(Charge._fields.index(name) for name in ROLLUP_SUMS))


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
