"""Alerts: what is declared, how the levels of each stand, and the history of their turns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.alerts import silences
from ledger.alerts.book import EPOCH, Name
from ledger.alerts.rule import Rule
from ledger.reads.filters import Parameters, among
from ledger.reads.periods import Period
from ledger.reads.providers import Condition, condition
from ledger.window import midnight

MOST_LEVELS: Final = 1_000
"""Levels that are shown of one alert, the gravest first."""

_ALERTS: Final = """
    select r.namespace, r.name, r.status, r.place, a.rule,
        coalesce(a.kind, r.spec ->> 'on', r.spec ->> 'true') as kind, coalesce(a.budget, r.spec #>> '{budgetRef,name}')
            as budget
    from resource r left join alert_rule a on a.namespace = r.namespace and a.name = r.name
    where r.kind = 'Alert' and r.deleted_at is null
"""

_ORDER: Final = "array_position(array['Firing', 'Pending', 'NoData', 'Retracted', 'Resolved', 'Ok'], s.state)"
_LEVELS: Final = text(f"""
    select * from (
        select s.*, row_number() over (
            partition by s.namespace, s.alert
            order by {_ORDER}, array_position(array['critical', 'warning', 'info'], s.severity), s.period_first desc,
                s.subject, s.level
        ) as place
        from alert_state s
        join unnest(cast(:namespaces as text[]), cast(:names as text[])) asked (namespace, name)
            on asked.namespace = s.namespace and asked.name = s.alert
    ) ranked where place <= :most order by namespace, alert, place
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An Alert. `rule` is None as long as it is not judged: its conditions say why."""

    namespace: str
    name: str
    on: str | None
    budget: str | None
    conditions: Sequence[Condition]
    place: str | None
    rule: Rule | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelStanding:
    """How one level stands, for one provider where the alert looks at each, in one period where it has periods."""

    level: str
    severity: str
    subject: str | None
    period: Period | None
    state: str
    since: datetime
    judged_at: datetime
    figures: Mapping[str, Any]
    notified_at: datetime | None
    notices: int
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_until: datetime | None
    acknowledged_note: str | None
    silent_until: datetime | None
    """When the last silence that covers it ends; None: none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts; every field given must hold. `states` and `severities` ask for a level that has both."""

    namespaces: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    budgets: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None
    severities: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of one level, with the figures that it was judged on."""

    namespace: str
    id: int
    alert: str
    level: str
    subject: str
    period_first: date
    budget: str | None
    severity: str
    from_state: str
    to_state: str
    reason: str
    at: datetime
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFilter:
    """Which turns; every field given must hold. `period` are the days (UTC) on which they happened."""

    namespaces: tuple[str, ...] | None = None
    alerts: tuple[str, ...] | None = None
    period: Period | None = None
    states: tuple[str, ...] | None = None
    """What the level turned into."""


_TURN: Final = ", ".join(field.name for field in fields(Turn))


async def alerts(
    connection: AsyncConnection, chosen: AlertFilter, *, first: int | None = None, after: Name | None = None
) -> Sequence[Alert]:
    """Alerts by namespace and name, behind `after`."""
    parameters = Parameters()
    conditions = _conditions(chosen, parameters)
    if after is not None:
        names = ", ".join(f"cast({parameters.add(value)} as text)" for value in after)
        conditions.append(f"(namespace, name) > ({names})")
    statement = f"""
        select * from ({_ALERTS}) r where {" and ".join(conditions)} order by namespace, name
        limit {parameters.add(first)}
    """
    return [_alert(row) for row in await connection.execute(text(statement), parameters.values)]


async def count_alerts(connection: AsyncConnection, chosen: AlertFilter) -> int:
    """How many alerts match."""
    parameters = Parameters()
    statement = f"select count(*) from ({_ALERTS}) r where {' and '.join(_conditions(chosen, parameters))}"
    return int((await connection.execute(text(statement), parameters.values)).scalar_one())


async def levels(
    connection: AsyncConnection, names: Collection[Name], now: datetime
) -> Mapping[Name, Sequence[LevelStanding]]:
    """How the levels of each of these alerts stand, the gravest first, at most MOST_LEVELS of each."""
    found: defaultdict[Name, list[LevelStanding]] = defaultdict(list)
    silent = await silences.active(connection, {name.namespace for name in names}, now)
    values = {
        "namespaces": [name.namespace for name in names],
        "names": [name.name for name in names],
        "most": MOST_LEVELS,
    }
    for row in await connection.execute(_LEVELS, values):
        alert = Name(row.namespace, row.alert)
        ends = [each.ends_at for each in silent if each.covers(alert, row.budget, row.severity)]
        found[alert].append(_level(row, max(ends, default=None)))
    return found


async def turns(
    connection: AsyncConnection, chosen: TurnFilter, *, first: int, after: tuple[int, str] | None = None
) -> Sequence[Turn]:
    """Turns, newest first, behind `after` (a turn's id and namespace)."""
    parameters = Parameters()
    conditions = _turn_conditions(chosen, parameters)
    if after is not None:
        number, namespace = map(parameters.add, after)
        conditions.append(f"(id, namespace) < (cast({number} as bigint), cast({namespace} as text))")
    statement = f"""
        select {_TURN} from alert_transition where {" and ".join(conditions)}
        order by id desc, namespace desc limit {parameters.add(first)}
    """
    rows = await connection.execute(text(statement), parameters.values)
    return [Turn(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name for it


async def count_turns(connection: AsyncConnection, chosen: TurnFilter) -> int:
    """How many turns match."""
    parameters = Parameters()
    conditions = " and ".join(_turn_conditions(chosen, parameters))
    statement = f"select count(*) from alert_transition where {conditions}"
    return int((await connection.execute(text(statement), parameters.values)).scalar_one())


def _conditions(chosen: AlertFilter, parameters: Parameters) -> list[str]:
    columns = {"namespace": chosen.namespaces, "name": chosen.names, "budget": chosen.budgets, "kind": chosen.kinds}
    conditions = among(columns, parameters)
    if chosen.states is not None or chosen.severities is not None:
        stands = " and ".join(among({"s.state": chosen.states, "s.severity": chosen.severities}, parameters))
        conditions.append(
            f"exists (select from alert_state s where s.namespace = r.namespace and s.alert = r.name and {stands})"
        )
    return conditions


def _turn_conditions(chosen: TurnFilter, parameters: Parameters) -> list[str]:
    columns = {"namespace": chosen.namespaces, "alert": chosen.alerts, "to_state": chosen.states}
    conditions = among(columns, parameters)
    if chosen.period is not None:
        first, after_last = (parameters.add(midnight(day)) for day in (chosen.period.first, chosen.period.after_last))
        conditions.append(f"at >= {first} and at < {after_last}")
    return conditions


def _alert(row: Any) -> Alert:
    return Alert(
        namespace=row.namespace,
        name=row.name,
        on=row.kind,
        budget=row.budget,
        conditions=[condition(held) for held in row.status.get("conditions", ())],
        place=row.place,
        rule=None if row.rule is None else Rule.of(row.rule),
    )


def _level(row: Any, silent_until: datetime | None) -> LevelStanding:
    same = ("level", "severity", "state", "since", "judged_at", "figures", "notified_at", "notices")
    marks = ("acknowledged_at", "acknowledged_by", "acknowledged_until", "acknowledged_note")
    dated = row.period_first != EPOCH and row.period_after is not None
    return LevelStanding(
        **{name: getattr(row, name) for name in (*same, *marks)},
        subject=row.subject or None,
        period=Period(row.period_first, row.period_after) if dated else None,
        silent_until=silent_until,
    )
