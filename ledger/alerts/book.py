"""Alerts in the database: compiled rules, what is due to be judged, and how levels stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.alerts.lifecycle import Held, Transition
from ledger.alerts.rule import Level, Rule
from ledger.database import Connection

EPOCH: Final = date(1970, 1, 1)
"""Stands for the period of alerts that have none."""

MARK_DUE: Final = """
    insert into evaluation_due as held (namespace, kind, name, since)
    values (:namespace, :kind, :name, :now)
    on conflict (namespace, kind, name) do update set since = least(held.since, excluded.since)
"""

_KEEP: Final = text("""
    insert into alert_rule (namespace, name, generation, kind, budget, providers, labels, services, sub_accounts,
        tags, rule)
    values (:namespace, :name, :generation, :kind, :budget, :providers, cast(:labels as jsonb), :services,
        :sub_accounts, cast(:tags as jsonb), cast(:rule as jsonb))
    on conflict (namespace, name) do update set generation = excluded.generation, kind = excluded.kind,
        budget = excluded.budget, providers = excluded.providers, labels = excluded.labels,
        services = excluded.services, sub_accounts = excluded.sub_accounts, tags = excluded.tags, rule = excluded.rule
        where alert_rule.rule <> excluded.rule
    returning 1
""")

_RULE: Final = text("""
    select namespace, name, generation, rule from alert_rule where namespace = :namespace and name = :name for update
""")

_DROP: Final = text("delete from alert_rule where namespace = :namespace and name = :name")

_TAKE: Final = text("""
    with taken as (
        select namespace, kind, name from evaluation_due order by since limit :most for update skip locked
    )
    delete from evaluation_due d using taken t
    where d.namespace = t.namespace and d.kind = t.kind and d.name = t.name
    returning d.namespace, d.kind, d.name
""")

# Locked in one order, so that two processes whose syncs touch the same alerts judge them one after the other.
_TOUCHED: Final = text("""
    with due as (
        select * from jsonb_to_recordset(cast(:due as jsonb)) as d(namespace text, kind text, name text)
    )
    select r.namespace, r.name, r.generation, r.rule from alert_rule r
    where r.next_at <= :now
        or exists (
            select from due d where d.namespace = r.namespace and d.kind = 'Alert' and d.name = r.name
        )
        or exists (
            select from due d join provider p on p.namespace = d.namespace and p.name = d.name
            where d.kind = 'Provider' and d.namespace = r.namespace and p.labels @> r.labels
                and (r.providers is null or d.name = any(r.providers))
        )
    order by r.namespace, r.name for update
""")

_STATES: Final = text("""
    select s.* from alert_state s
    join jsonb_to_recordset(cast(:alerts as jsonb)) as a(namespace text, name text)
        on a.namespace = s.namespace and a.name = s.alert
    order by s.namespace, s.alert, s.period_first, s.subject, s.level
""")

# What people acknowledged while a level was judged stays; it ends with the episode.
_SAVE: Final = text("""
    insert into alert_state (namespace, alert, level, subject, period_first, period_after, budget, severity, state,
        since, episode, judged_at, figures, notified_at, notices, acknowledged_at, acknowledged_until)
    select namespace, alert, level, subject, period_first, period_after, budget, severity, state,
        since, episode, :now, figures, notified_at, notices, acknowledged_at, acknowledged_until
    from jsonb_to_recordset(cast(:states as jsonb)) as s(
        namespace text, alert text, level text, subject text, period_first date, period_after date, budget text,
        severity text, state text, since timestamptz, episode bigint, figures jsonb, notified_at timestamptz,
        notices int, acknowledged_at timestamptz, acknowledged_until timestamptz
    )
    on conflict (namespace, alert, level, subject, period_first) do update set
        budget = excluded.budget, severity = excluded.severity, state = excluded.state, since = excluded.since,
        episode = excluded.episode, judged_at = excluded.judged_at, figures = excluded.figures,
        notified_at = excluded.notified_at, notices = excluded.notices,
        (acknowledged_at, acknowledged_by, acknowledged_until, acknowledged_note) = (
            select alert_state.acknowledged_at, alert_state.acknowledged_by, alert_state.acknowledged_until,
                alert_state.acknowledged_note
            where excluded.episode = alert_state.episode and excluded.state in ('Firing', 'NoData')
        )
""")

_FORGET: Final = text("""
    delete from alert_state s using jsonb_to_recordset(cast(:states as jsonb)) as f(
        namespace text, alert text, level text, subject text, period_first date
    )
    where s.namespace = f.namespace and s.alert = f.alert and s.level = f.level and s.subject = f.subject
        and s.period_first = f.period_first
""")

_TRANSITIONS: Final = text("""
    insert into alert_transition (namespace, alert, level, subject, period_first, budget, severity, from_state,
        to_state, reason, at, episode, figures)
    select * from jsonb_to_recordset(cast(:turns as jsonb)) as t(
        namespace text, alert text, level text, subject text, period_first date, budget text, severity text,
        from_state text, to_state text, reason text, at timestamptz, episode bigint, figures jsonb
    )
""")

_NEXT: Final = text("""
    update alert_rule r set next_at = n.next_at
    from jsonb_to_recordset(cast(:next as jsonb)) as n(namespace text, name text, next_at timestamptz)
    where r.namespace = n.namespace and r.name = n.name
""")

_SOONEST: Final = text("""
    select least((select min(next_at) from alert_rule), (select min(since) from evaluation_due))
""")


class Name(NamedTuple):
    """Names an alert."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Due:
    """A rule that is to be judged."""

    name: Name
    generation: int
    rule: Rule


@dataclass(slots=True)
class Standing:
    """How one level stands for one subject (a provider, or "") and period (EPOCH where there is none)."""

    alert: Name
    budget: str | None
    subject: str
    period_first: date
    period_after: date | None
    held: Held
    stored: Mapping[str, Any] | None = None
    """As the database has it; None: it has not."""

    def key(self) -> dict[str, Any]:
        """Its primary key, as JSON values."""
        return {
            "namespace": self.alert.namespace,
            "alert": self.alert.name,
            "level": self.held.level.name,
            "subject": self.subject,
            "period_first": self.period_first.isoformat(),
        }

    def document(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        held = self.held
        moments = ("since", "notified_at", "acknowledged_at", "acknowledged_until")
        return {
            **self.key(),
            "period_after": None if self.period_after is None else self.period_after.isoformat(),
            "budget": self.budget,
            "severity": held.level.severity,
            "state": held.state,
            "episode": held.episode,
            "figures": dict(held.figures),
            "notices": held.notices,
            **{name: _moment(getattr(held, name)) for name in moments},
        }


async def keep(connection: Connection, alert: Name, generation: int, rule: Rule, now: datetime) -> bool:
    """Keep the rule and have it judged when it is another than before; tells whether it is."""
    scope = rule.scope
    values = {
        "namespace": alert.namespace,
        "name": alert.name,
        "generation": generation,
        "kind": rule.kind,
        "budget": rule.budget,
        **{name: _list(getattr(scope, name)) for name in ("providers", "services", "sub_accounts")},
        "labels": json.dumps(dict(scope.labels)),
        "tags": json.dumps(dict(scope.tags)),
        "rule": json.dumps(rule.document()),
    }
    changed = (await connection.execute(_KEEP, values)).scalar() is not None
    if changed:
        await mark(connection, "Alert", alert, now)
    return changed


async def rule(connection: AsyncConnection, alert: Name) -> Due | None:
    """The rule, locked; None when there is none."""
    row = (await connection.execute(_RULE, alert._asdict())).first()
    return None if row is None else Due(Name(row.namespace, row.name), row.generation, Rule.of(row.rule))


async def drop(connection: Connection, alert: Name) -> None:
    """Forget the rule."""
    await connection.execute(_DROP, alert._asdict())


async def mark(connection: Connection, kind: str, name: Name, now: datetime) -> None:
    """Have an Alert judged, or every alert that a Provider touches."""
    await connection.execute(text(MARK_DUE), {**name._asdict(), "kind": kind, "now": now})


async def take(connection: AsyncConnection, now: datetime, most: int) -> tuple[list[Row[Any]], list[Due]]:
    """Take what is due, which nobody else takes as long as the transaction lives, and lock the rules it touches."""
    due = (await connection.execute(_TAKE, {"most": most})).all()
    named = json.dumps([dict(row._mapping) for row in due])  # noqa: SLF001  # SQLAlchemy's public name for it
    rows = await connection.execute(_TOUCHED, {"due": named, "now": now})
    return list(due), [Due(Name(row.namespace, row.name), row.generation, Rule.of(row.rule)) for row in rows]


async def standings(connection: AsyncConnection, alerts: Iterable[Due]) -> list[Standing]:
    """How the levels of these alerts stand; levels that a rule no longer has are among them."""
    known = {due.name: due.rule for due in alerts}
    named = json.dumps([name._asdict() for name in known])
    rows = await connection.execute(_STATES, {"alerts": named})
    return [stood(row, known[Name(row.namespace, row.alert)]) for row in rows]


async def save(connection: AsyncConnection, changed: Sequence[Standing], now: datetime) -> None:
    """Keep how levels stand."""
    if changed:
        states = json.dumps([each.document() for each in changed])
        await connection.execute(_SAVE, {"states": states, "now": now})


async def forget(connection: AsyncConnection, gone: Sequence[Standing]) -> None:
    """Remove the state of levels and periods that are over; their history stays."""
    if gone:
        await connection.execute(_FORGET, {"states": json.dumps([each.key() for each in gone])})


async def note_turns(connection: AsyncConnection, turns: Sequence[tuple[Standing, Transition]]) -> None:
    """Write the history."""
    if turns:
        documents = [_turn(standing, turned) for standing, turned in turns]
        await connection.execute(_TRANSITIONS, {"turns": json.dumps(documents)})


async def note_next(connection: AsyncConnection, moments: Mapping[Name, datetime]) -> None:
    """Say when time alone may change the answer of each alert."""
    if moments:
        documents = [{**name._asdict(), "next_at": at.isoformat()} for name, at in moments.items()]
        await connection.execute(_NEXT, {"next": json.dumps(documents)})


async def soonest(connection: AsyncConnection) -> datetime | None:
    """When something is due to be judged next; in the past when something is; None without alerts."""
    found: datetime | None = (await connection.execute(_SOONEST)).scalar()
    return found


def stood(row: Row[Any], rule: Rule) -> Standing:
    """How a level stands, from its row."""
    level = next((each for each in rule.levels if each.name == row.level), None)
    held = Held(
        level or Level(row.level, row.severity),
        row.state,
        row.since,
        row.episode,
        row.figures,
        row.notified_at,
        row.notices,
        row.acknowledged_at,
        row.acknowledged_until,
    )
    name = Name(row.namespace, row.alert)
    standing = Standing(name, row.budget, row.subject, row.period_first, row.period_after, held)
    standing.stored = standing.document()
    return standing


def _turn(standing: Standing, turned: Transition) -> dict[str, Any]:
    return {
        **standing.key(),
        "budget": standing.budget,
        "severity": turned.level.severity,
        "from_state": turned.before,
        "to_state": turned.after,
        "reason": turned.reason,
        "at": turned.at.isoformat(),
        "episode": turned.episode,
        "figures": dict(turned.figures),
    }


def _list(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
