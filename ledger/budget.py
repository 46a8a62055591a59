"""How a budget stands: what was spent, how fast, and where that leads.

The projection is plain on purpose: what the whole days of the period cost, and for every day after them the average
of the seven whole days before. It never lies below what has been billed so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, localcontext
from typing import Final

from ledger.alerts.rule import BudgetPeriod
from ledger.money import EXACT, ZERO
from ledger.reads.periods import Granularity, Period, following, truncate

TRAILING: Final = 7
"""Whole days whose average is the burn rate."""
_DAY: Final = timedelta(days=1)
_ROUNDED: Final = Decimal("1E-12")

GRANULARITIES: Final[Mapping[BudgetPeriod, Granularity]] = {
    "Daily": Granularity.DAY,
    "Weekly": Granularity.WEEK,
    "Monthly": Granularity.MONTH,
    "Quarterly": Granularity.QUARTER,
    "Yearly": Granularity.YEAR,
}


def period_of(period: BudgetPeriod, day: date) -> Period:
    """The period of the calendar (UTC; weeks begin on Monday) that `day` lies in."""
    granularity = GRANULARITIES[period]
    return Period(truncate(day, granularity), following(day, granularity))


def previous_of(period: BudgetPeriod, day: date) -> Period:
    """The period before the one that `day` lies in."""
    return period_of(period, period_of(period, day).first - _DAY)


@dataclass(frozen=True, slots=True)
class Spending:
    """What a scope cost by UTC day in one currency.

    `through` is the last day on which all of its providers are whole, `since` the first day of which anything is known.
    `others` holds what the period cost in other currencies.
    """

    days: Mapping[date, Decimal]
    through: date | None = None
    since: date | None = None
    others: Mapping[str, Decimal] = field(default_factory=dict)

    def sum(self, first: date, after_last: date) -> Decimal:
        """Exact sum over [first, after_last)."""
        with localcontext(EXACT):
            return sum((amount for day, amount in self.days.items() if first <= day < after_last), ZERO)

    def burn_rate(self, through: date | None) -> Decimal | None:
        """Average of the seven days up to and with `through`, or of as many as are known; rounded to 12 places."""
        if through is None or self.since is None or self.since > through:
            return None
        first = max(self.since, through - (TRAILING - 1) * _DAY)
        return EXACT.divide(self.sum(first, through + _DAY), Decimal((through - first).days + 1)).quantize(_ROUNDED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands in one period. Amounts are in its currency; `share` is of the budget's amount."""

    period: Period
    spent: Decimal
    """All that has been billed so far, days that are not whole included."""
    spent_on_whole_days: Decimal
    remaining: Decimal
    share: Decimal | None
    burn_rate: Decimal | None
    """A day."""
    projected: Decimal | None
    """At the end of the period; None without a whole day to go by."""
    exhausted_on: date | None
    """The day on which it was, or is projected to be, used up within the period."""
    complete_through: date | None


def standing(amount: Decimal, period: Period, spending: Spending, today: date) -> Standing:
    """How a budget of `amount` stands at the end of `today`'s known charges."""
    spent = spending.sum(period.first, min(period.after_last, today + _DAY))
    whole = whole_until(period, spending.through)
    on_whole_days = spending.sum(period.first, whole)
    rate = spending.burn_rate(spending.through)
    with localcontext(EXACT):
        return Standing(
            period=period,
            spent=spent,
            spent_on_whole_days=on_whole_days,
            remaining=amount - spent,
            share=EXACT.divide(spent, amount).quantize(Decimal("0.000001")) if amount else None,
            burn_rate=rate,
            projected=projected(period, spending, spending.through, spent),
            exhausted_on=_exhausted(amount, period, spending, rate, whole, today),
            complete_through=spending.through,
        )


def whole_until(period: Period, through: date | None) -> date:
    """The first day of the period that is not whole; its end when all of it is."""
    if through is None:
        return period.first
    return max(period.first, min(period.after_last, through + _DAY))


def projected(period: Period, spending: Spending, through: date | None, so_far: Decimal = ZERO) -> Decimal | None:
    """What the period will have cost at its end, going by the days up to and with `through`."""
    rate = spending.burn_rate(through)
    if rate is None:
        return None
    whole = whole_until(period, through)
    with localcontext(EXACT):
        return max(spending.sum(period.first, whole) + rate * (period.after_last - whole).days, so_far)


def _exhausted(
    amount: Decimal, period: Period, spending: Spending, rate: Decimal | None, whole: date, today: date
) -> date | None:
    total = ZERO
    with localcontext(EXACT):
        day = period.first
        while day < period.after_last:
            known = day < whole or (day <= today and spending.days.get(day, ZERO) > (rate or ZERO))
            total += spending.days.get(day, ZERO) if known else rate or ZERO
            if total >= amount:
                return day
            day += _DAY
    return None
