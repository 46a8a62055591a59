"""Sync runs: what was asked for, how far it is, and how it ended. Visible to readers while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.database import WriterDB
from ledger.window import Span

Trigger = Literal["First", "Schedule", "SpecChange", "Manual"]
Outcome = Literal["Running", "Succeeded", "Failed", "Canceled", "Abandoned"]
MAX_ERROR = 2000
"""Characters kept of an error."""

_ABANDON = text("""
    update sync_run set outcome = 'Abandoned', finished_at = :now, reason = :reason,
        error = 'the process that ran it ended before it did'
    where namespace = :namespace and provider = :provider and outcome = 'Running'
""")

_START = text("""
    insert into sync_run (namespace, provider, trigger, outcome, started_at, windows_total, windows_done,
        rows_read, rows_inserted, rows_changed, rows_removed, calls, bytes_read, cancel_requested)
    values (:namespace, :provider, :trigger, 'Running', :now, 0, 0, 0, 0, 0, 0, 0, 0, false)
    returning id
""")

_PLAN = text("update sync_run set windows_total = :windows where namespace = :namespace and id = :id")

_METER = text("""
    with run as (
        update sync_run set calls = calls + :calls, bytes_read = bytes_read + :bytes_read
        where namespace = :namespace and id = :id returning provider
    )
    insert into vendor_call as held (namespace, provider, day, calls, bytes_read)
    select cast(:namespace as text), provider, cast(:day as date), cast(:calls as bigint), cast(:bytes_read as bigint)
    from run
    on conflict (namespace, provider, day) do update
        set calls = held.calls + excluded.calls, bytes_read = held.bytes_read + excluded.bytes_read
""")

_FINISH = text("""
    update sync_run set outcome = :outcome, reason = :reason, error = :error, finished_at = :now
    where namespace = :namespace and id = :id and outcome = 'Running'
""")

_SUCCEEDED = text("""
    update provider set last_sync_at = :now where namespace = :namespace and name = :provider
""")

_CANCELED = text("select cancel_requested from sync_run where namespace = :namespace and id = :id")

_CLAIM = text("""
    update sync_request set run_id = :id
    where namespace = :namespace and provider = :provider and run_id is null
    returning first_day, after_last_day
""")


@dataclass(frozen=True, slots=True)
class Run:
    """Names one sync run."""

    namespace: str
    provider: str
    id: int


@dataclass(frozen=True, slots=True)
class Request:
    """What people asked for by hand: a sync now, of a period where they named one (half-open days)."""

    first_day: date | None
    after_last_day: date | None

    def span(self, tomorrow: date) -> Span | None:
        """The period asked for, to the end of today where no end was named; None for "whatever is due"."""
        if self.first_day is None:
            return None
        return Span.of_days(self.first_day, max(self.after_last_day or tomorrow, self.first_day + timedelta(days=1)))


async def start(db: WriterDB, namespace: str, provider: str, trigger: Trigger, now: datetime) -> Run:
    """Begin a run. The caller holds the provider's lease, so a run still open is one whose process died."""
    values = {"namespace": namespace, "provider": provider, "trigger": trigger, "now": now}
    async with db.transaction() as connection:
        await connection.execute(_ABANDON, {**values, "reason": "Interrupted"})
        return Run(namespace, provider, (await connection.execute(_START, values)).scalar_one())


async def claim_requests(db: WriterDB, run: Run) -> list[Request]:
    """Take on every sync that was asked for by hand and still waits."""
    values = {"namespace": run.namespace, "provider": run.provider, "id": run.id}
    async with db.statement() as connection:
        return [Request(row.first_day, row.after_last_day) for row in await connection.execute(_CLAIM, values)]


async def plan(db: WriterDB, run: Run, windows: int) -> None:
    """Say how many windows the run will read."""
    async with db.statement() as connection:
        await connection.execute(_PLAN, {"namespace": run.namespace, "id": run.id, "windows": windows})


async def meter(db: WriterDB, run: Run, day: date, calls: int, bytes_read: int) -> None:
    """Add vendor calls and bytes to the run and to the provider's count of the UTC `day`."""
    values = {"namespace": run.namespace, "id": run.id, "day": day, "calls": calls, "bytes_read": bytes_read}
    async with db.statement() as connection:
        await connection.execute(_METER, values)


async def finish(
    db: WriterDB, run: Run, outcome: Outcome, now: datetime, *, reason: str | None = None, error: str | None = None
) -> None:
    """End a run. `error` is already redacted; a success also dates the provider's last sync."""
    values = {"namespace": run.namespace, "provider": run.provider, "id": run.id, "now": now}
    ending = {"outcome": outcome, "reason": reason, "error": error and error[:MAX_ERROR]}
    async with db.transaction() as connection:
        await connection.execute(_FINISH, {**values, **ending})
        if outcome == "Succeeded":
            await connection.execute(_SUCCEEDED, values)


async def is_canceled(connection: AsyncConnection, run: Run) -> bool:
    """Whether someone asked for the run to stop."""
    found = await connection.execute(_CANCELED, {"namespace": run.namespace, "id": run.id})
    return bool(found.scalar())
