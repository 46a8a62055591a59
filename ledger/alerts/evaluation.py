"""Judging what is due, in one transaction: figures, turns, history and the notices that go to the outbox.

A sync marks its provider as due in its own transaction, and the mark goes in the transaction that judged it; so no
sync is missed, whoever dies when. Any number of alerts takes the same few statements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.alerts import book, outbox, silences
from ledger.alerts.book import EPOCH, Due, Name, Standing
from ledger.alerts.feeds import feeds
from ledger.alerts.judging import Bill, Feed, Reading, data_due, judge_feed, judge_money
from ledger.alerts.lifecycle import Held, Notice, Transition, notices, step, turn
from ledger.alerts.outbox import Told
from ledger.alerts.rule import OF_PERIODS, Level, Rule
from ledger.alerts.silences import Silence
from ledger.alerts.sums import Ask, ScopeSums, earliest, sums
from ledger.budget import Spending, period_of, previous_of
from ledger.database import WriterDB
from ledger.reads.periods import Period
from ledger.window import midnight

MOST: Final = 500
"""Marks taken in one transaction."""
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Judged:
    """What one transaction did: the alerts that were judged, those that show otherwise now, and what marks named."""

    alerts: frozenset[Name] = frozenset()
    shown: frozenset[Name] = frozenset()
    providers: frozenset[Name] = frozenset()
    told: int = 0

    def __bool__(self) -> bool:
        return bool(self.alerts or self.providers)


async def evaluate(db: WriterDB, now: datetime, most: int = MOST) -> Judged:
    """Judge what is due at `now`, the marks of at most `most` names at a time; falsy when nothing was."""
    async with db.transaction() as connection:
        marks, due = await book.take(connection, now, most)
        providers = frozenset(Name(mark.namespace, mark.name) for mark in marks if mark.kind == "Provider")
        if not due:
            return Judged(providers=providers)
        desk = _Desk(connection, now, await silences.active(connection, {each.name.namespace for each in due}, now))
        await desk.judge(due)
        await desk.write()
        shown = {standing.alert for standing, _ in desk.turns} | {each.alert for each in desk.gone}
        shown |= {each.alert for each in desk.changed if each.stored is None}
        return Judged(frozenset(each.name for each in due), frozenset(shown), providers, len(desk.told))


async def retire(db: WriterDB, alert: Name, now: datetime, reason: str = "AlertRemoved") -> None:
    """The Alert is gone, or can no longer be judged: what fires has ended, and is told so; its history stays."""
    async with db.transaction() as connection:
        marks = [await book.rule(connection, alert)]
        due = [each for each in marks if each is not None]
        desk = _Desk(connection, now, ())
        for each in due:
            desk.close(each, await book.standings(connection, [each]), reason)
        await desk.write()
        await book.drop(connection, alert)


@dataclass
class _Desk:
    """One transaction's work."""

    connection: AsyncConnection
    now: datetime
    silences: Sequence[Silence]
    changed: list[Standing] = field(default_factory=list)
    gone: list[Standing] = field(default_factory=list)
    turns: list[tuple[Standing, Transition]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    next: dict[Name, datetime] = field(default_factory=dict)

    @property
    def today(self) -> date:
        return self.now.date()

    async def judge(self, due: Sequence[Due]) -> None:
        """Judge the rules, all with the same few statements."""
        held: defaultdict[Name, list[Standing]] = defaultdict(list)
        for standing in await book.standings(self.connection, due):
            held[standing.alert].append(standing)
        money = [each for each in due if each.rule.kind in OF_PERIODS]
        others = [each for each in due if each.rule.kind not in OF_PERIODS]
        for each, found in zip(money, await self._sums(money), strict=True):
            self._judge_money(each, found, held[each.name])
        asked = [(each.name.namespace, each.rule.scope) for each in others]
        for each, known in zip(others, await feeds(self.connection, asked, self.now) if asked else (), strict=True):
            self._judge_feeds(each, known, held[each.name])

    async def write(self) -> None:
        """Write what became of them. A key that was told before is not told again."""
        await book.save(self.connection, self.changed, self.now)
        await book.forget(self.connection, self.gone)
        await book.note_turns(self.connection, self.turns)
        await outbox.put(self.connection, self.told, self.now)
        await book.note_next(self.connection, self.next)

    async def _sums(self, due: Sequence[Due]) -> list[ScopeSums]:
        """The sums of every rule's scope; rules of one scope share them."""
        asks = [self._ask(each) for each in due]
        single = {_same(ask): ask for ask in asks}
        found = dict(zip(single, await sums(self.connection, list(single.values())), strict=True))
        return [found[_same(ask)] for ask in asks]

    def _ask(self, due: Due) -> Ask:
        period, before = _periods(due.rule, self.today)
        first = min(earliest(period, before), previous_of(due.rule.period or "Monthly", before.first).first)
        return Ask(due.name.namespace, due.rule.scope, due.rule.metric, first, self.today + _DAY)

    def _judge_money(self, due: Due, found: ScopeSums, held: Sequence[Standing]) -> None:
        rule = due.rule
        period, before = _periods(rule, self.today)
        open_before = found.through is None or found.through < before.after_last - _DAY
        for each in (before, period):
            mine = [standing for standing in held if standing.period_first == each.first]
            if each is before and not (mine and open_before):
                continue
            spending = _spending(rule, found, each)
            bill = Bill(each, previous_of(rule.period or "Monthly", each.first), spending)
            readings = {
                level.name: judge_money(rule, level, bill, found.through if found.providers else None, self.today)
                for level in rule.levels
            }
            self._advance(due, "", each, mine, readings, partial(_restated, rule, bill))
        kept = {period.first, *([before.first] if open_before else [])}
        self.close(due, [standing for standing in held if standing.period_first not in kept], "PeriodEnded")

    def _judge_feeds(self, due: Due, known: Sequence[Feed], held: Sequence[Standing]) -> None:
        for feed in known:
            mine = [standing for standing in held if standing.subject == feed.provider]
            readings = {level.name: judge_feed(due.rule, level, feed, self.now) for level in due.rule.levels}
            self._advance(due, feed.provider, None, mine, readings, lambda _standing: False)
            self._soon(due.name, *_moments(due.rule, feed))
        there = {feed.provider for feed in known}
        self.close(due, [standing for standing in held if standing.subject not in there], "ProviderGone")
        self._soon(due.name)

    def _advance(
        self,
        due: Due,
        subject: str,
        period: Period | None,
        held: Sequence[Standing],
        readings: Mapping[str, Reading],
        restated: Callable[[Standing], bool],
    ) -> None:
        """Bring the levels of one subject and period up to date."""
        known = {standing.held.level.name: standing for standing in held}
        removed = [standing for name, standing in known.items() if name not in readings]
        levels = [known.get(level.name) or self._fresh(due, level, subject, period) for level in due.rule.levels]
        turns = []
        for standing in levels:
            turned = step(
                due.rule,
                standing.held,
                readings[standing.held.level.name],
                self.now,
                partial(restated, standing),
            )
            turns += [(standing, turned)] if turned is not None else []
        self.turns += turns
        self.close(due, removed, "LevelRemoved")
        said = notices(
            due.rule,
            [standing.held for standing in levels],
            [turned for _, turned in turns],
            lambda level: any(silence.covers(due.name, due.rule.budget, level.severity) for silence in self.silences),
            self.now,
        )
        self._tell(due, levels, said)
        self.changed += [standing for standing in levels if standing.document() != standing.stored]
        self._soon(due.name, *(at for standing in levels for at in self._turning(due, standing.held)))

    def close(self, due: Due, standings: Sequence[Standing], reason: str) -> None:
        """End what can no longer be judged; what fired, and was told, is told to have ended."""
        order = [level.name for level in due.rule.levels]
        for standing in sorted(standings, key=lambda each: (*order, each.held.level.name).index(each.held.level.name)):
            held = standing.held
            if held.state in ("Firing", "Pending", "NoData"):
                turned = turn(held, "Resolved" if held.state == "Firing" else "Ok", reason, self.now)
                self.turns.append((standing, turned))
                self._tell(due, [standing], notices(due.rule, [held], [turned], lambda _level: True, self.now))
        self.gone += standings

    def _fresh(self, due: Due, level: Level, subject: str, period: Period | None) -> Standing:
        first, after = (EPOCH, None) if period is None else (period.first, period.after_last)
        return Standing(due.name, due.rule.budget, subject, first, after, Held(level, "Ok", self.now))

    def _tell(self, due: Due, standings: Sequence[Standing], said: Sequence[Notice]) -> None:
        by_level = {standing.held.level.name: standing for standing in standings}
        for notice in said:
            self.told.append(Told(due, by_level[notice.level.name], notice))

    def _turning(self, due: Due, held: Held) -> Iterator[datetime]:
        """When time alone may turn the level, or have it told again."""
        if held.state == "Pending":
            yield held.since + due.rule.pending_for
        if held.notified_at is not None and due.rule.renotify_after is not None:
            again = held.notified_at + due.rule.renotify_after
            yield (
                max(again, held.acknowledged_until)
                if held.acknowledged(self.now) and held.acknowledged_until
                else again
            )
        if held.state in ("Firing", "NoData"):
            yield from (silence.ends_at for silence in self.silences if silence.ends_at > self.now)

    def _soon(self, alert: Name, *moments: datetime) -> None:
        """Days turn for everything, so every alert is judged at midnight at the latest."""
        at = min([midnight(self.today + _DAY), *(moment for moment in moments if moment > self.now)])
        self.next[alert] = min(self.next.get(alert, at), at)


def _periods(rule: Rule, today: date) -> tuple[Period, Period]:
    period = rule.period or "Monthly"
    return period_of(period, today), previous_of(period, today)


def _same(ask: Ask) -> tuple[Any, ...]:
    scope = ask.scope
    labels, tags = (tuple(sorted(each.items())) for each in (scope.labels, scope.tags))
    return ask.namespace, scope.providers, labels, scope.services, scope.sub_accounts, tags, ask.metric, ask.first


def _spending(rule: Rule, found: ScopeSums, period: Period) -> Spending:
    currency = rule.currency or ""
    return Spending(found.amounts.get(currency, {}), found.through, found.since)


def _restated(rule: Rule, bill: Bill, standing: Standing) -> bool:
    """Whether the level would not have been crossed by what is believed now of the days it was judged on."""
    before = standing.stored["figures"] if standing.stored is not None else {}
    through, as_of = (
        None if before.get(name) is None else date.fromisoformat(before[name]) for name in ("completeThrough", "asOf")
    )
    reading = judge_money(rule, standing.held.level, bill, through, as_of or through or bill.period.first)
    return reading.breached is not True


def _moments(rule: Rule, feed: Feed) -> Iterator[datetime]:
    if rule.kind == "Restatement":
        yield from (at + rule.within + _SECOND for at, _, _ in feed.restated)
    for level in rule.levels:
        if rule.kind == "MissingData":
            yield data_due(level, feed)
        elif rule.kind == "SyncFailure" and level.after is not None:
            yield (feed.last_sync_at or feed.created_at) + level.after
