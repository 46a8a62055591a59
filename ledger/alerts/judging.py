"""Whether a level is crossed, by the figures of its scope: pure, and the same for the past as for now.

Money is judged on whole days, unless what has been billed so far already crosses the level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from ledger.alerts.rule import Level, Rule
from ledger.budget import Spending, projected, whole_until
from ledger.money import EXACT, plain
from ledger.reads.periods import Period

DAY: Final = timedelta(days=1)
HUNDRED: Final = Decimal(100)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found: `breached` of None means that there is no data to judge by. `figures` are JSON values."""

    breached: bool | None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a scope cost in the period that is judged, in the rule's currency; `before` is the period before it."""

    period: Period
    before: Period
    spending: Spending


@dataclass(frozen=True, slots=True)
class Feed:
    """What is known of one provider: how its syncs go, and what they brought."""

    provider: str
    suspended: bool
    created_at: datetime
    last_sync_at: datetime | None
    failures: int
    """Syncs that failed since the last that did not."""
    reason: str | None
    """Of the last failure."""
    complete_through: date | None
    lag: timedelta | None
    """After the end of a day, how long until it should be whole; None where nothing is expected."""
    unpriced: int
    restated: Sequence[tuple[datetime, str, Decimal]]
    """When, in which currency, and by how much the day moved that moved most."""


def judge_money(rule: Rule, level: Level, bill: Bill, through: date | None, today: date) -> Reading:
    """Judge a level of Spend or Forecast by what is known, had it been whole through `through` on `today`."""
    if level.change_percent is not None:
        return _change(level.change_percent, rule, bill, through)
    limit = rule.limit(level)
    period, spending = bill.period, bill.spending
    so_far = spending.sum(period.first, min(period.after_last, today + DAY))
    whole = spending.sum(period.first, whole_until(period, through))
    expected = projected(period, spending, through) if rule.kind == "Forecast" else None
    judged = whole if rule.kind == "Spend" else expected
    figures = {
        **_shown(limit, rule, through, today),
        "amount": plain(so_far),
        "onWholeDays": plain(whole),
        "projected": None if expected is None else plain(expected),
    }
    if limit is None:
        return Reading(None, figures)
    if so_far >= limit:
        return Reading(True, figures)
    if judged is None or through is None:
        return Reading(None, figures)
    return Reading(judged >= limit, figures)


def _change(limit: Decimal, rule: Rule, bill: Bill, through: date | None) -> Reading:
    """The whole days of the period against as many of the one before."""
    until = whole_until(bill.period, through)
    days = min(until - bill.period.first, bill.before.after_last - bill.before.first)
    now = bill.spending.sum(bill.period.first, bill.period.first + days)
    then = bill.spending.sum(bill.before.first, bill.before.first + days)
    figures = {**_shown(None, rule, through, None), "amount": plain(now), "previous": plain(then)}
    since = bill.spending.since
    if through is None or since is None or since > bill.before.first:
        return Reading(None, figures)  # part of a period would be taken for all of it
    if not then or not days:
        return Reading(False, figures)
    change = EXACT.divide((now - then) * HUNDRED, abs(then)).quantize(Decimal("0.01"))
    return Reading(change >= limit, {**figures, "changePercent": plain(change), "limitPercent": plain(limit)})


def judge_feed(rule: Rule, level: Level, feed: Feed, now: datetime) -> Reading:
    """Judge a level of the kinds that look at one provider."""
    match rule.kind:
        case "SyncFailure":
            return _failing(level, feed, now)
        case "MissingData":
            return _missing(level, feed, now)
        case "UnpricedLines":
            return Reading(feed.unpriced >= (level.count or 1), {"lines": feed.unpriced, "limit": level.count or 1})
        case _:
            return _restated(rule, level, feed, now)


def _failing(level: Level, feed: Feed, now: datetime) -> Reading:
    since = feed.last_sync_at or feed.created_at
    figures = {"failures": feed.failures, "reason": feed.reason, "lastSuccess": _moment(feed.last_sync_at)}
    late = level.after is not None and now - since >= level.after
    often = level.count is not None and feed.failures >= level.count
    return Reading((late or often) and not feed.suspended, figures)


def _missing(level: Level, feed: Feed, now: datetime) -> Reading:
    if feed.lag is None or feed.suspended:
        return Reading(False, {"completeThrough": _day(feed.complete_through)})
    due = data_due(level, feed)
    figures = {"completeThrough": _day(feed.complete_through), "expectedAt": _moment(due)}
    return Reading(now >= due, figures)


def data_due(level: Level, feed: Feed) -> datetime:
    """When the day after those that are whole should have been whole, with the time that the level allows."""
    first = feed.created_at
    if feed.complete_through is not None:
        first = datetime.combine(feed.complete_through + 2 * DAY, datetime.min.time(), feed.created_at.tzinfo)
    return first + (feed.lag or timedelta()) + (level.after or timedelta())


def _restated(rule: Rule, level: Level, feed: Feed, now: datetime) -> Reading:
    moved = [net for at, currency, net in feed.restated if at > now - rule.within and currency == rule.currency]
    most = max(moved, key=abs, default=Decimal(0))
    limit = level.amount or Decimal(0)
    figures = {"amount": plain(most), "limit": plain(limit), "currency": rule.currency}
    return Reading(abs(most) >= limit and bool(moved), figures)


def _shown(limit: Decimal | None, rule: Rule, through: date | None, today: date | None) -> dict[str, Any]:
    return {
        "limit": None if limit is None else plain(limit),
        "currency": rule.currency,
        "completeThrough": _day(through),
        "asOf": _day(today),
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
