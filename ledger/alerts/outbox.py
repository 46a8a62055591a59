"""The outbox: what channels are to be told, written with the turn that it tells of, delivered at least once.

A notification has a key that is the same however often it is tried, so that a receiver that honours keys sees it once.
Who delivers one claims it first; a claim that runs out, because its process died, is anybody's again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.alerts.book import EPOCH, Due, Standing, stood
from ledger.alerts.lifecycle import Notice
from ledger.alerts.rule import Rule
from ledger.alerts.sums import Ask, drivers
from ledger.database import Connection, WriterDB
from ledger.money import plain
from ledger.reads.periods import Period

CLAIM: Final = timedelta(minutes=2)
"""How long who claims a notification may take to deliver it."""

_PUT: Final = text("""
    insert into notification (namespace, key, channel, alert, what, severity, message, state, attempts, created_at,
        due_at)
    select namespace, key, channel, alert, what, severity, message, 'Waiting', 0, :now, :now
    from jsonb_to_recordset(cast(:told as jsonb)) as t(
        namespace text, key text, channel text, alert text, what text, severity text, message jsonb
    )
    on conflict (namespace, channel, key) do nothing
""")

_CLAIM: Final = text("""
    update notification n set claimed_until = :until, attempts = n.attempts + 1
    from (
        select namespace, id from notification n
        where state = 'Waiting' and due_at <= :now and (claimed_until is null or claimed_until <= :now)
            and exists (
                select from resource r where r.namespace = n.namespace and r.kind = 'Channel' and r.name = n.channel
                    and r.source = :source and r.deleted_at is null
            )
        order by due_at, id limit :most for update of n skip locked
    ) c
    where n.namespace = c.namespace and n.id = c.id
    returning n.namespace, n.id, n.key, n.channel, n.alert, n.what, n.severity, n.message, n.attempts, n.created_at
""")

_FINISH: Final = text("""
    update notification set state = :state, finished_at = :now, claimed_until = null, receipt = :receipt,
        error = :error
    where namespace = :namespace and id = :id and state = 'Waiting'
""")

_POSTPONE: Final = text("""
    update notification set due_at = :due_at, claimed_until = null, error = :error, attempts = attempts - :given_back
    where namespace = :namespace and id = :id and state = 'Waiting'
""")

_RECENT: Final = text("""
    select finished_at from notification
    where namespace = :namespace and channel = :channel and state = 'Delivered' and finished_at > :since
""")

_SOONEST: Final = text("""
    select min(greatest(n.due_at, coalesce(n.claimed_until, n.due_at))) from notification n
    join resource r on r.namespace = n.namespace and r.kind = 'Channel' and r.name = n.channel
        and r.source = :source and r.deleted_at is null
    where n.state = 'Waiting'
""")

# A notification to a channel that nobody declares waits for one to appear, and is given up in the end.
_GIVE_UP: Final = text("""
    update notification n set state = 'Dead', finished_at = :now, error = 'there is no Channel of this name'
    where state = 'Waiting' and created_at < :before and not exists (
        select from resource r where r.namespace = n.namespace and r.kind = 'Channel' and r.name = n.channel
            and r.deleted_at is null
    )
""")

_HURRY: Final = text("""
    update notification set due_at = :now
    where namespace = :namespace and channel = :channel and state = 'Waiting' and due_at > :now
""")

_TEST: Final = text("""
    insert into notification (namespace, key, channel, what, severity, state, attempts, created_at, due_at)
    values (:namespace, :key, :channel, 'test', 'info', 'Waiting', 0, :now, :now)
    on conflict (namespace, channel, key) do nothing
    returning id
""")

_FIRING: Final = text("""
    select s.*, r.rule, r.generation from alert_state s
    join alert_rule r on r.namespace = s.namespace and r.name = s.alert
    where s.namespace = :namespace and s.notified_at is not null and s.state in ('Firing', 'NoData')
        and jsonb_exists(r.rule -> 'channels', :channel)
""")

_COUNTS: Final = text("""
    select count(*) filter (where state = 'Delivered') as delivered, count(*) filter (where state = 'Dead') as dead,
        count(*) filter (where state = 'Waiting') as waiting,
        coalesce(sum(attempts), 0) - count(*) filter (where state = 'Delivered') as failed,
        max(finished_at) filter (where state = 'Delivered') as last_delivery,
        (array_agg(error order by id) filter (where state = 'Waiting' and attempts > 0 and error is not null))[1]
            as failing
    from notification where namespace = :namespace and channel = :channel
""")


@dataclass(frozen=True, slots=True)
class Told:
    """A notice of one level, for every channel of its alert."""

    due: Due
    standing: Standing
    notice: Notice

    def key(self) -> str:
        """The same for the same notice, whoever writes it down and however often."""
        notice, standing = self.notice, self.standing
        parts = (*standing.key().values(), notice.since.isoformat(), notice.episode, notice.what, notice.nth)
        return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]

    def document(self, now: datetime, most: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of which messages are made, as JSON values; `most` are the largest services."""
        standing, notice, rule = self.standing, self.notice, self.due.rule
        period = None
        if standing.period_first != EPOCH and standing.period_after is not None:
            period = [standing.period_first.isoformat(), standing.period_after.isoformat()]
        return {
            "key": self.key(),
            "what": notice.what,
            "reason": notice.reason,
            "namespace": standing.alert.namespace,
            "alert": standing.alert.name,
            "on": rule.kind,
            "level": notice.level.name,
            "severity": notice.level.severity,
            "budget": rule.budget,
            "subject": standing.subject,
            "period": period,
            "since": notice.since.isoformat(),
            "judgedAt": now.isoformat(),
            "nth": notice.nth,
            "episode": notice.episode,
            "figures": dict(notice.figures),
            "budgetAmount": None if rule.amount is None else plain(rule.amount),
            "drivers": dict(most),
        }


@dataclass(frozen=True, slots=True)
class Waiting:
    """A claimed notification. `message` is what `Told.document` made; None asks for a test message."""

    namespace: str
    id: int
    key: str
    channel: str
    alert: str | None
    what: str
    severity: str
    message: Mapping[str, Any] | None
    attempts: int
    created_at: datetime


async def put(connection: AsyncConnection, told: Sequence[Told], now: datetime) -> None:
    """Write notices into the outbox, one for each channel; one that is there already stays as it is."""
    rows = []
    for each in told:
        message = each.document(now, await _drivers(connection, each)) if each.due.rule.channels else {}
        rows += [
            {
                "namespace": each.standing.alert.namespace,
                "key": each.key(),
                "channel": channel,
                "alert": each.standing.alert.name,
                "what": each.notice.what,
                "severity": each.notice.level.severity,
                "message": message,
            }
            for channel in each.due.rule.channels
        ]
    if rows:
        await connection.execute(_PUT, {"told": json.dumps(rows), "now": now})


async def claim(db: WriterDB, source: str, now: datetime, most: int = 50) -> list[Waiting]:
    """Take notifications that are due, to channels that this source declares, for CLAIM."""
    values = {"source": source, "now": now, "until": now + CLAIM, "most": most}
    async with db.transaction() as connection:
        rows = (await connection.execute(_CLAIM, values)).all()
    return [Waiting(*row) for row in sorted(rows, key=lambda row: row.id)]


async def finish(
    db: WriterDB, waiting: Waiting, state: str, now: datetime, *, receipt: str | None = None, error: str | None = None
) -> None:
    """Note that a notification is Delivered, Skipped or Dead, with its receipt or what was wrong."""
    values = {"namespace": waiting.namespace, "id": waiting.id, "state": state, "now": now}
    async with db.transaction() as connection:
        await connection.execute(_FINISH, {**values, "receipt": receipt, "error": error})


async def postpone(db: WriterDB, waiting: Waiting, until: datetime, error: str | None, *, tried: bool = True) -> None:
    """Try it again at `until`. One that was not `tried`, but only held back, has used up no attempt."""
    values = {"namespace": waiting.namespace, "id": waiting.id, "due_at": until, "error": error}
    async with db.transaction() as connection:
        await connection.execute(_POSTPONE, {**values, "given_back": 0 if tried else 1})


async def sent_since(db: WriterDB, namespace: str, channel: str, since: datetime) -> list[datetime]:
    """When the channel delivered notifications after `since`."""
    async with db.transaction() as connection:
        values = {"namespace": namespace, "channel": channel, "since": since}
        return [row.finished_at for row in await connection.execute(_RECENT, values)]


async def soonest(db: WriterDB, source: str) -> datetime | None:
    """When the next notification to a channel of this source is due; None when none waits."""
    async with db.transaction() as connection:
        found: datetime | None = (await connection.execute(_SOONEST, {"source": source})).scalar()
        return found


async def counts(db: WriterDB, namespace: str, channel: str) -> Row[Any]:
    """What became of a channel's notifications: delivered, dead, waiting, failed, last_delivery, failing.

    `failed` counts attempts, `failing` is what the oldest waiting one met.
    """
    async with db.transaction() as connection:
        return (await connection.execute(_COUNTS, {"namespace": namespace, "channel": channel})).one()


async def give_up(db: WriterDB, now: datetime, after: timedelta) -> None:
    """Bury what has waited longer than `after` for a channel that does not exist."""
    async with db.transaction() as connection:
        await connection.execute(_GIVE_UP, {"now": now, "before": now - after})


async def hurry(db: WriterDB, namespace: str, channel: str, now: datetime) -> None:
    """Have whatever waits for the channel tried now: it, or its Secret, was changed."""
    async with db.transaction() as connection:
        await connection.execute(_HURRY, {"namespace": namespace, "channel": channel, "now": now})


async def ask_test(connection: Connection, namespace: str, channel: str, key: str, now: datetime) -> int | None:
    """Have a test message sent; its id, or None when this was asked before. `key` tells requests apart."""
    values = {"namespace": namespace, "channel": channel, "key": f"test:{key}", "now": now}
    found: int | None = (await connection.execute(_TEST, values)).scalar()
    return found


async def firing(db: WriterDB, namespace: str, channel: str, now: datetime) -> list[Mapping[str, Any]]:
    """The messages that hold now for the channel: of every level that fires and was told, as `Told.document`."""
    async with db.transaction() as connection:
        rows = await connection.execute(_FIRING, {"namespace": namespace, "channel": channel})
        return [_firing(row).document(now, {}) for row in rows]


def _firing(row: Row[Any]) -> Told:
    rule = Rule.of(row.rule)
    standing = stood(row, rule)
    held = standing.held
    notice = Notice(held.level, "firing", "LimitCrossed", held.episode, 0, held.since, held.figures)
    return Told(Due(standing.alert, row.generation, rule), standing, notice)


async def _drivers(connection: AsyncConnection, told: Told) -> Mapping[str, str]:
    standing, rule = told.standing, told.due.rule
    if rule.scope.tags or standing.period_after is None or rule.currency is None or told.notice.what != "firing":
        return {}
    period = Period(standing.period_first, standing.period_after)
    ask = Ask(standing.alert.namespace, rule.scope, rule.metric, period.first, period.after_last)
    found = await drivers(connection, ask, rule.currency, period)
    return {name: plain(amount) for name, amount in found.items()}
