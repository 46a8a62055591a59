"""Sums of charges over a period, by any dimension, as columns.

Answered from the daily rollup wherever that knows the dimensions asked for, else from the charges; figures as of a
past moment come from the charges believed then. Currencies are never added together: every series has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.money import EXACT, ZERO
from ledger.reads.allocations import plan
from ledger.reads.completeness import Completeness, completeness
from ledger.reads.cost_rows import cost_rows
from ledger.reads.filters import Parameters
from ledger.reads.questions import CostQuestion

RATIO: Final = Decimal("0.000001")
"""Shares and changes are rounded to this; amounts never are."""


@dataclass(slots=True)
class CostSeries:
    """The costs of one group in one currency. `key` holds the values of what was grouped by, in that order."""

    key: tuple[str | None, ...]
    currency: str
    amounts: list[Decimal]
    total: Decimal = ZERO
    share: Decimal | None = None
    """Part of the currency's total; None when that is 0."""
    previous: Decimal | None = None
    """The same over the period compared with; None when none was asked for."""
    change: Decimal | None = None
    """total / previous - 1; None when previous is 0 or was not asked for."""
    origins: dict[str, Decimal] = field(default_factory=dict)
    charges: int = 0
    """A charge that an allocation splits is one of each series that has a part of it, and one of the totals."""
    unpriced: int = 0
    """Charges of the series that have no billed cost: what they cost is in no sum."""


@dataclass(frozen=True, slots=True)
class CostReport:
    """The answer. The amounts of every series line up with `buckets`."""

    question: CostQuestion
    buckets: Sequence[date]
    totals: Sequence[CostSeries]
    series: Sequence[CostSeries]
    others: Sequence[CostSeries]
    """What `top` cut off, added up per currency."""
    completeness: Completeness


async def costs(connection: AsyncConnection, question: CostQuestion) -> CostReport:
    """Answer the question from what the connection may see."""
    # Asked first, so that a sync between the two statements makes the sums more complete than said, never less.
    whole = await completeness(connection, question.filter, as_of=question.as_of)
    rules = await plan(connection, question)
    parameters = Parameters()
    statement = cost_rows(question, parameters, rules)
    rows = await connection.execute(text(statement), parameters.values)
    return _Folding(question).report(rows, whole)


class _Folding:
    """Puts the rows of the database, one per series and origin, into columns."""

    def __init__(self, question: CostQuestion) -> None:
        self.question = question
        self.buckets = question.period.buckets(question.granularity)
        self.index = {bucket: i for i, bucket in enumerate(self.buckets)}
        self.totals: dict[str, CostSeries] = {}
        self.others: dict[str, CostSeries] = {}
        self.series: dict[tuple[int, str], CostSeries] = {}

    def report(self, rows: Iterable[Any], whole: Completeness) -> CostReport:
        for row in rows:
            self._add(row)
        for series in (*self.series.values(), *self.others.values(), *self.totals.values()):
            self._relate(series)
        ranked = sorted(self.series.items(), key=lambda item: item[0])
        return CostReport(
            self.question,
            self.buckets,
            _by_currency(self.totals),
            [series for _, series in ranked],
            _by_currency(self.others),
            whole,
        )

    def _add(self, row: Any) -> None:
        currency = row.currency
        total = self._of(self.totals, currency)
        self._sum(total, row)
        total.charges += row.counted
        total.unpriced += row.counted_unpriced
        if row.place is None or self.question.group_by:
            series = self._of(self.others, currency) if row.place is None else self._single(row)
            self._sum(series, row)
            series.charges += row.charges
            series.unpriced += row.unpriced

    def _single(self, row: Any) -> CostSeries:
        name = (row.place, row.currency)
        if name not in self.series:
            self.series[name] = self._empty(tuple(row.key), row.currency)
        return self.series[name]

    def _of(self, held: dict[str, CostSeries], currency: str) -> CostSeries:
        if currency not in held:
            held[currency] = self._empty((), currency)
        return held[currency]

    def _empty(self, key: tuple[str | None, ...], currency: str) -> CostSeries:
        compared = None if self.question.compare_to is None else ZERO
        return CostSeries(key, currency, [ZERO] * len(self.buckets), previous=compared)

    def _sum(self, series: CostSeries, row: Any) -> None:
        index, amounts, summed = self.index, series.amounts, ZERO
        with localcontext(EXACT):
            for bucket, amount in zip(row.buckets, row.amounts, strict=True):
                if bucket is None:
                    series.previous = (series.previous or ZERO) + amount
                else:
                    amounts[index[bucket]] += amount
                    summed += amount
            series.total += summed
            if row.charges:
                series.origins[row.origin] = series.origins.get(row.origin, ZERO) + summed

    def _relate(self, series: CostSeries) -> None:
        series.share = ratio(series.total, self.totals[series.currency].total)
        if series.previous is not None:
            risen = EXACT.subtract(series.total, series.previous)
            series.change = ratio(risen, series.previous)


def ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    """The part of the whole, rounded to six places; None when whole is 0."""
    return EXACT.quantize(EXACT.divide(part, whole), RATIO) if whole else None


def _by_currency(held: Mapping[str, CostSeries]) -> list[CostSeries]:
    return [held[currency] for currency in sorted(held)]
