"""What people do about alerts: take one on, keep it silent, have a message sent or tried again.

The API's own role does it, which Postgres lets change these columns and no others, in namespaces that the caller sees.
Whoever judges and delivers is told on commit, and judges again what must not wait for its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text

from ledger.alerts import outbox
from ledger.alerts.book import Name
from ledger.database import Connection
from ledger.notices import tell

_WHICH: Final = """
    namespace = :namespace and alert = :alert and state in ('Firing', 'NoData')
        and (cast(:level as text) is null or level = :level)
        and (cast(:subject as text) is null or subject = :subject)
"""
_SAME: Final = """
    s.namespace = h.namespace and s.alert = h.alert and s.level = h.level and s.subject = h.subject
        and s.period_first = h.period_first
"""
_WAS: Final = """
    h.level, h.subject, h.period_first, h.acknowledged_at, h.acknowledged_by, h.acknowledged_until, h.acknowledged_note
"""

_ACKNOWLEDGE: Final = text(f"""
    with held as (select * from alert_state where {_WHICH} for update)
    update alert_state s set acknowledged_at = :now, acknowledged_by = :by, acknowledged_until = :until,
        acknowledged_note = :note
    from held h where {_SAME} returning {_WAS}
""")

_UNACKNOWLEDGE: Final = text(f"""
    with held as (select * from alert_state where {_WHICH} and acknowledged_at is not null for update)
    update alert_state s set acknowledged_at = null, acknowledged_by = null, acknowledged_until = null,
        acknowledged_note = null
    from held h where {_SAME} returning {_WAS}
""")

# Only inserted, because the role may do no more: a mark that is there already is as good.
_MARK: Final = text("""
    insert into evaluation_due (namespace, kind, name, since)
    select namespace, 'Alert', name, :now from alert_rule
    where namespace = :namespace and (cast(:alert as text) is null or name = :alert)
        and (cast(:budget as text) is null or budget = :budget)
    on conflict (namespace, kind, name) do nothing
""")

_SILENCE: Final = text("""
    insert into silence (namespace, alert, budget, severity, starts_at, ends_at, reason, created_by, created_at)
    values (:namespace, :alert, :budget, :severity, :now, :until, :reason, :by, :now) returning id
""")

_END_SILENCE: Final = text("""
    update silence set ends_at = :now, ended_by = :by where namespace = :namespace and id = :id and ends_at > :now
    returning alert, budget
""")

_RETRY: Final = text("""
    with held as (select namespace, id, error from notification
        where namespace = :namespace and id = :id and state = 'Dead' for update)
    update notification n set state = 'Waiting', due_at = :now, error = null
    from held h where n.namespace = h.namespace and n.id = h.id returning n.channel, h.error
""")

_THERE: Final = text("""
    select exists (
        select from resource where namespace = :namespace and kind = :kind and deleted_at is null
            and (cast(:name as text) is null or name = :name)
    )
""")


@dataclass(frozen=True, slots=True)
class Hand:
    """Who does something, and when."""

    by: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Which:
    """Levels of an alert that fire, or have no data: all of them, or one level, or one subject (a provider)."""

    alert: Name
    level: str | None = None
    subject: str | None = None

    def values(self) -> Mapping[str, Any]:
        """As the statements name them."""
        return {
            "namespace": self.alert.namespace,
            "alert": self.alert.name,
            "level": self.level,
            "subject": self.subject,
        }


class Was(NamedTuple):
    """A level that was changed, and how it was acknowledged before; None: it was not."""

    level: str
    subject: str
    period_first: date
    at: datetime | None
    by: str | None
    until: datetime | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be silent: what matches every field given; None matches anything of the namespace."""

    namespace: str
    alert: str | None = None
    budget: str | None = None
    severity: str | None = None

    def values(self) -> Mapping[str, Any]:
        """As the statements name them."""
        return {"namespace": self.namespace, "alert": self.alert, "budget": self.budget, "severity": self.severity}


async def acknowledge(
    connection: Connection, which: Which, hand: Hand, until: datetime | None, note: str | None
) -> Sequence[Was]:
    """Take levels on, until then or until they end: nobody is told of them again meanwhile. Empty: none fires."""
    values = {**which.values(), "by": hand.by, "now": hand.now, "until": until, "note": note}
    changed = [Was(*row) for row in await connection.execute(_ACKNOWLEDGE, values)]
    if changed:
        await _judge(connection, Scope(*which.alert), hand)
    return changed


async def unacknowledge(connection: Connection, which: Which, hand: Hand) -> Sequence[Was]:
    """Let go of levels again. Empty: none was acknowledged."""
    changed = [Was(*row) for row in await connection.execute(_UNACKNOWLEDGE, which.values())]
    if changed:
        await _judge(connection, Scope(*which.alert), hand)
    return changed


async def silence(connection: Connection, scope: Scope, hand: Hand, until: datetime, reason: str) -> int:
    """Have nobody told of what matches from now `until` then; the number of the silence."""
    values = {**scope.values(), "now": hand.now, "until": until, "reason": reason, "by": hand.by}
    number: int = (await connection.execute(_SILENCE, values)).scalar_one()
    await _judge(connection, scope, hand)
    return number


async def end_silence(connection: Connection, namespace: str, number: int, hand: Hand) -> bool:
    """End a silence now; what fires and was not told is told. False when it has ended already."""
    values = {"namespace": namespace, "id": number, "now": hand.now, "by": hand.by}
    row = (await connection.execute(_END_SILENCE, values)).first()
    if row is None:
        return False
    await _judge(connection, Scope(namespace, row.alert, row.budget), hand)
    return True


async def ask_test(connection: Connection, namespace: str, channel: str, key: str, hand: Hand) -> int | None:
    """Have a test message sent; its number, or None when this `key` was asked for before."""
    number = await outbox.ask_test(connection, namespace, channel, key, hand.now)
    await tell(connection, namespace, channel)
    return number


async def retry(connection: Connection, namespace: str, number: int, hand: Hand) -> tuple[str, str | None] | None:
    """Have a message that was given up tried again now; its channel and error, or None when it was not given up.

    One that is older than a day is given up again if this fails too.
    """
    row = (await connection.execute(_RETRY, {"namespace": namespace, "id": number, "now": hand.now})).first()
    if row is None:
        return None
    await tell(connection, namespace, row.channel)
    return row.channel, row.error


async def is_there(connection: Connection, namespace: str, kind: str, name: str | None = None) -> bool:
    """Whether the connection sees a resource of this kind and name, or with None of any name."""
    found = await connection.execute(_THERE, {"namespace": namespace, "kind": kind, "name": name})
    return bool(found.scalar_one())


async def _judge(connection: Connection, scope: Scope, hand: Hand) -> None:
    """Have alerts judged again, at once."""
    values = {"namespace": scope.namespace, "alert": scope.alert, "budget": scope.budget, "now": hand.now}
    await connection.execute(_MARK, values)
    await tell(connection, scope.namespace, scope.alert or "")
