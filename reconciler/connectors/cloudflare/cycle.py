"""Cloudflare's billing cycles: months that begin on a subscription's anchor day, in UTC."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.window import DAY, Span, midnight, month_start, next_month
from reconciler.connectors.cloudflare.report import Anchored

CALENDAR: Final = 1
"""The anchor day where no subscription names one."""


@dataclass(frozen=True)
class Cycles:
    """The cycles that begin on the same day of a month, and the subscriptions that are billed by them."""

    day: int
    ids: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def touching(self, span: Span) -> Iterator[Span]:
        """Every cycle that has a moment in common with `span`, in order."""
        month = month_start(month_start(span.start) - DAY)
        while (start := self._begin(month)) < span.end:
            month = next_month(month)
            cycle = Span(start, self._begin(month))
            if cycle.overlaps(span):
                yield cycle

    def bill(self, cycle: Span) -> bool:
        """Whether any of the subscriptions ran in the cycle."""
        return (self.since is None or self.since < cycle.end) and (self.until is None or cycle.start <= self.until)

    def _begin(self, month: datetime) -> datetime:
        """The anchor day of the month; in a month that is too short, its last day."""
        return midnight(month.date().replace(day=min(self.day, monthrange(month.year, month.month)[1])))


def cycles(subscriptions: Sequence[Anchored]) -> Sequence[Cycles]:
    """The cycles of an account, those of a running subscription first; the calendar's where it has none at all."""
    running = sorted(subscriptions, key=lambda each: each.end_timestamp is not None)
    days = list(dict.fromkeys(each.billing_cycle_anchor_timestamp.day for each in running))
    found = [_together(day, [e for e in running if e.billing_cycle_anchor_timestamp.day == day]) for day in days]
    return found or [Cycles(CALENDAR)]


def _together(day: int, subscriptions: Sequence[Anchored]) -> Cycles:
    starts = [each.start_timestamp for each in subscriptions]
    ends = [each.end_timestamp for each in subscriptions]
    since = None if None in starts else min(start for start in starts if start)
    until = None if None in ends else max(end for end in ends if end)
    return Cycles(day, frozenset(each.id for each in subscriptions), since, until)
