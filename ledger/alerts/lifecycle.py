"""The life of an alert's levels: what they turn into, each turn once, and who has to be told of which.

Pure: the same readings in the same order give the same turns and the same notices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from ledger.alerts.judging import Reading
from ledger.alerts.rule import SEVERITIES, Level, Rule

State = Literal["Ok", "Pending", "Firing", "Resolved", "Retracted", "NoData"]
What = Literal["firing", "resolved", "retracted"]

QUIET: Final[frozenset[State]] = frozenset({"Ok", "Resolved", "Retracted"})


@dataclass(frozen=True, slots=True)
class Transition:
    """A turn of one level, with the figures that it was judged on."""

    level: Level
    before: State
    after: State
    reason: str
    at: datetime
    episode: int
    figures: Mapping[str, Any]
    began: datetime
    """When the state before began."""


@dataclass(slots=True)
class Held:
    """How a level stands. `episode` counts how often it began to fire, `notices` how often this episode was told."""

    level: Level
    state: State
    since: datetime
    episode: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)
    notified_at: datetime | None = None
    notices: int = 0
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None

    def acknowledged(self, now: datetime) -> bool:
        """Whether somebody has taken it on, and still has it."""
        return self.acknowledged_at is not None and (self.acknowledged_until is None or now < self.acknowledged_until)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that channels are to be told: of a level in an episode, for the `nth` time."""

    level: Level
    what: What
    reason: str
    episode: int
    nth: int
    since: datetime
    """When it began to fire."""
    figures: Mapping[str, Any]


def step(rule: Rule, held: Held, reading: Reading, now: datetime, restated: Callable[[], bool]) -> Transition | None:
    """Bring one level up to date. `restated` tells whether it would not have fired by what is believed now."""
    after, reason = _next(rule, held, reading, now, restated)
    held.figures = reading.figures
    return None if after == held.state else turn(held, after, reason, now)


def turn(held: Held, after: State, reason: str, now: datetime) -> Transition:
    """Make a level turn, whatever it was."""
    before, began = held.state, held.since
    if after == "Firing" or (after == "NoData" and before != "Firing"):
        held.episode += 1
        held.acknowledged_at = held.acknowledged_until = None
    held.state, held.since = after, now
    return Transition(held.level, before, after, reason, now, held.episode, held.figures, began)


def _next(rule: Rule, held: Held, reading: Reading, now: datetime, restated: Callable[[], bool]) -> tuple[State, str]:
    state = held.state
    breached = reading.breached
    if breached is None and rule.no_data != "Ok":
        return (state, "") if state in ("Firing", "Pending") else ("NoData", "NoData")
    if breached:
        return _crossed(rule, held, now)
    if state == "Firing":
        return _cleared(held, reading, restated)
    return (state, "") if state in QUIET else ("Ok", "BelowLimit")


def _crossed(rule: Rule, held: Held, now: datetime) -> tuple[State, str]:
    if held.state == "Firing":
        return "Firing", ""
    if held.state == "Pending":
        return ("Firing", "HeldLongEnough") if now - held.since >= rule.pending_for else ("Pending", "")
    return ("Pending", "LimitCrossed") if rule.pending_for else ("Firing", "LimitCrossed")


def _cleared(held: Held, reading: Reading, restated: Callable[[], bool]) -> tuple[State, str]:
    if reading.breached is None:
        return "Resolved", "NoData"
    if held.figures.get("limit") != reading.figures.get("limit"):
        return "Resolved", "RuleChanged"
    return ("Retracted", "Restated") if restated() else ("Resolved", "BelowLimit")


def notices(
    rule: Rule,
    levels: Sequence[Held],
    turns: Sequence[Transition],
    silenced: Callable[[Level], bool],
    now: datetime,
) -> list[Notice]:
    """Who is to be told what after the turns, and the levels marked as told.

    Of several levels that fire, the gravest alone is told; a graver one ends, the next is told in its stead.
    A level that was never told to fire is not told to have ended.
    """
    return [*_ended(levels, turns, now), *_begun(rule, levels, silenced, now)]


def _ended(levels: Sequence[Held], turns: Sequence[Transition], now: datetime) -> Iterator[Notice]:
    ends = {each.level.name: each for each in turns if each.before in ("Firing", "NoData")}
    for held in levels:
        end = ends.get(held.level.name)
        if end is None or held.notified_at is None or held.state == "Firing":
            continue
        what: What = "retracted" if end.after == "Retracted" else "resolved"
        yield Notice(held.level, what, end.reason, held.episode, held.notices, end.began, held.figures)
        held.notified_at, held.notices = None, 0
        held.acknowledged_at = held.acknowledged_until = None


def _begun(rule: Rule, levels: Sequence[Held], silenced: Callable[[Level], bool], now: datetime) -> Iterator[Notice]:
    alarming = [held for held in levels if alarms(rule, held)]
    if not alarming:
        return
    held = max(alarming, key=lambda each: gravity(rule, each.level))
    if silenced(held.level) or not (held.notified_at is None or _again(rule, held, now)):
        return
    reason = "NoData" if held.state == "NoData" else "LimitCrossed"
    yield Notice(held.level, "firing", reason, held.episode, held.notices, held.since, held.figures)
    held.notified_at, held.notices = now, held.notices + 1


def alarms(rule: Rule, held: Held) -> bool:
    """Whether the level is in a state that people are told of."""
    return held.state == "Firing" or (held.state == "NoData" and rule.no_data == "Alert")


def _again(rule: Rule, held: Held, now: datetime) -> bool:
    if rule.renotify_after is None or held.notified_at is None or held.acknowledged(now):
        return False
    return now - held.notified_at >= rule.renotify_after


def gravity(rule: Rule, level: Level) -> tuple[int, Decimal, int]:
    """Orders levels from the lightest to the gravest: by severity, by threshold, as they are written."""
    seconds = None if level.after is None else level.after.total_seconds()
    measures = (level.percent, level.amount, level.change_percent, level.count, seconds)
    threshold = next((Decimal(each) for each in measures if each is not None), Decimal(0))
    return SEVERITIES.index(level.severity), threshold, rule.levels.index(level)
