"""The daily rollup of rows on their way in: summed while they are at hand, instead of being read again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from operator import itemgetter
from typing import Any, Final

from ledger.charge import Charge
from ledger.encoding import Place, cells, moment
from ledger.money import EXACT, ZERO, currency
from ledger.schema import COSTS, ROLLUP_DIMENSIONS
from ledger.window import Span

_BILLED, _EFFECTIVE, _LISTED, _CONTRACTED = map(Charge._fields.index, COSTS)
_CONSUMED: Final = Charge._fields.index("consumed_quantity")
_CURRENCY: Final = ROLLUP_DIMENSIONS.index("billing_currency")
_line = itemgetter(*(Charge._fields.index(name) for name in ROLLUP_DIMENSIONS))


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
        """The sums of the wanted pieces as lines for COPY, in the order of `ledger.diff.SUMMED_COLUMNS`."""
        for (piece, line), sums in self._lines.items():
            if piece in wanted:
                texts = [*line[:_CURRENCY], currency(line[_CURRENCY] or ""), *line[_CURRENCY + 1 :]]
                yield f"{moment(pieces[piece].start)}\t{cells([*texts, *sums])}"


def _add(sums: list[Any], charge: Charge) -> None:
    billed: Decimal | None = charge[_BILLED]
    effective = charge[_EFFECTIVE]
    if billed is not None:
        sums[0] += billed
    else:
        sums[6] += 1
    if effective is not None or billed is not None:
        sums[1] += billed if effective is None else effective
    if charge[_LISTED] is not None:
        sums[2] += charge[_LISTED]
    if charge[_CONTRACTED] is not None:
        sums[3] += charge[_CONTRACTED]
    if charge[_CONSUMED] is not None:
        sums[4] += charge[_CONSUMED]
    sums[5] += 1
