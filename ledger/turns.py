"""A provider's turn: what begins one sync of it, and what ends it, each all or nothing.

To begin takes the lease and starts the run; to end notes how the run went, what it asked of the vendor and when the
next one is due, and gives the lease back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import text

from ledger import leases
from ledger.database import WriterDB
from ledger.leases import Lease
from ledger.runs import MAX_ERROR, Outcome, Run, Trigger

# Nothing is begun where the provider is gone, or a run has ended that the caller has not heard of. The lease is held,
# so a run that is still open is one whose process died.
_BEGIN = text("""
    with abandoned as (
        update sync_run set outcome = 'Abandoned', finished_at = :now, reason = 'Interrupted',
            error = 'the process that ran it ended before it did'
        where namespace = :namespace and provider = :provider and outcome = 'Running'
    )
    insert into sync_run (namespace, provider, trigger, outcome, started_at, windows_total, windows_done,
        rows_read, rows_inserted, rows_changed, rows_removed, calls, bytes_read, cancel_requested)
    select namespace, name, cast(:trigger as text), 'Running', cast(:now as timestamptz), 0, 0, 0, 0, 0, 0, 0, 0, false
    from provider where namespace = :namespace and name = :provider and cast(:ended_at as timestamptz) is not distinct
        from (
            select finished_at from sync_run
            where namespace = :namespace and provider = :provider and outcome not in ('Running', 'Abandoned')
            order by id desc limit 1
        )
    returning id, (
        select coalesce(sum(calls), 0)::bigint from vendor_call
        where namespace = :namespace and provider = :provider and day = cast(:day as date)
    ) as calls, (
        select coalesce(jsonb_object_agg(key, value), '{}') from connector_memory
        where namespace = :namespace and provider = :provider
    ) as memory, exists (
        select from sync_request where namespace = :namespace and provider = :provider and run_id is null
    ) as asked
""")

# A run that was taken for abandoned meanwhile changes nothing: its provider is another's concern now.
_END = text("""
    with ended as (
        update sync_run set outcome = :outcome, reason = :reason, error = :error, finished_at = :now,
            calls = calls + :calls, bytes_read = bytes_read + :bytes_read
        where namespace = :namespace and id = :id and outcome = 'Running'
        returning provider
    ), dated as (
        update provider set next_sync_at = coalesce(:next_at, next_sync_at),
            last_sync_at = case when :outcome = 'Succeeded' then :now else last_sync_at end
        from ended where namespace = :namespace and name = ended.provider
    ), metered as (
        insert into vendor_call as held (namespace, provider, day, calls, bytes_read)
        select cast(:namespace as text), provider, cast(:day as date), cast(:calls as bigint),
            cast(:bytes_read as bigint)
        from ended where cast(:calls as bigint) > 0 or cast(:bytes_read as bigint) > 0
        on conflict (namespace, provider, day) do update
            set calls = held.calls + excluded.calls, bytes_read = held.bytes_read + excluded.bytes_read
    ), marked as (
        insert into evaluation_due as held (namespace, kind, name, since)
        select cast(:namespace as text), 'Provider', provider, now() from ended
        on conflict (namespace, kind, name) do update set since = least(held.since, excluded.since)
    )
    update lease set expires_at = clock_timestamp()
    where namespace = :namespace and provider = :provider and token = :token
""")


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants to sync which provider and why. `ended_at` is when its last run ended, as far as the asker knows."""

    namespace: str
    provider: str
    holder: str
    ttl: timedelta
    trigger: Trigger
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A run under a lease, and what its provider brings along.

    `calls` were made to the vendor today (UTC), `memory` is its connector's, `asked` says that people wait for it.
    """

    lease: Lease
    run: Run
    calls: int = 0
    memory: Mapping[str, Any] = field(default_factory=dict)
    asked: bool = False


class Missed(Enum):
    """Why there is no turn: another process has the lease, or has ended a run that the asker does not know of."""

    BUSY = "busy"
    NEWS = "news"


@dataclass(frozen=True, slots=True)
class End:
    """How a turn ends. `next_at` of None leaves the next sync due as it was; `error` is already redacted.

    `calls` and `bytes_read` are what has not been metered so far.
    """

    outcome: Outcome
    reason: str | None = None
    error: str | None = None
    next_at: datetime | None = None
    calls: int = 0
    bytes_read: int = 0


async def begin(db: WriterDB, wish: Wish, now: datetime) -> Turn | Missed:
    """Take the lease and start a run, or neither."""
    values = {"namespace": wish.namespace, "provider": wish.provider, "trigger": wish.trigger}
    async with db.transaction() as connection:
        lease = await leases.claim(connection, wish.namespace, wish.provider, wish.holder, wish.ttl)
        if lease is None:
            return Missed.BUSY
        found = await connection.execute(_BEGIN, {**values, "now": now, "day": now.date(), "ended_at": wish.ended_at})
        row = found.first()
        if row is None:
            await connection.rollback()
            return Missed.NEWS
    return Turn(lease, Run(wish.namespace, wish.provider, row.id), row.calls, row.memory, row.asked)


async def end(db: WriterDB, turn: Turn, how: End, now: datetime) -> None:
    """End the run and give the lease back."""
    values = {
        "namespace": turn.run.namespace,
        "provider": turn.run.provider,
        "id": turn.run.id,
        "token": turn.lease.token,
        "now": now,
        "day": now.date(),
        "outcome": how.outcome,
        "reason": how.reason,
        "error": how.error and how.error[:MAX_ERROR],
        "next_at": how.next_at,
        "calls": how.calls,
        "bytes_read": how.bytes_read,
    }
    async with db.statement() as connection:
        await connection.execute(_END, values)
