"""Sync runs: type and resolvers."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import strawberry

from api.graphql.context import Resolving
from api.graphql.inputs import text
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from api.graphql.scalars import BigInt
from ledger.reads import runs as reading


@strawberry.enum(description="Why a sync ran.")
class SyncTrigger(Enum):
    FIRST = "First"
    SCHEDULE = "Schedule"
    SPEC_CHANGE = "SpecChange"
    MANUAL = "Manual"


@strawberry.enum(description="How a sync ended. Abandoned: the process that ran it ended before it did.")
class SyncOutcome(Enum):
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"
    ABANDONED = "Abandoned"


@strawberry.type(description="One reading of a vendor's data, window by window.")
class SyncRun:
    id: strawberry.ID
    namespace: str
    provider: str
    trigger: SyncTrigger
    outcome: SyncOutcome
    reason: str | None
    error: str | None = strawberry.field(description="In words; credentials are blotted out.")
    started_at: datetime
    finished_at: datetime | None
    windows_total: int
    windows_done: int
    rows_read: BigInt
    rows_inserted: BigInt
    rows_changed: BigInt
    rows_removed: BigInt
    calls: BigInt = strawberry.field(description="Requests made to the vendor.")
    bytes_read: BigInt
    cancel_requested: bool


async def sync_runs(
    info: Resolving,
    *,
    namespace: str | None = None,
    provider: str | None = None,
    outcome: SyncOutcome | None = None,
    first: int = 50,
    after: str | None = None,
) -> Connection[SyncRun]:
    chosen = reading.RunFilter(
        namespace=namespace and text(namespace, "namespace"),
        provider=provider and text(provider, "provider"),
        outcome=None if outcome is None else outcome.value,
    )
    return await page_of_runs(info, chosen, first, after)


async def page_of_runs(
    info: Resolving, chosen: reading.RunFilter, first: int, after: str | None
) -> Connection[SyncRun]:
    """A page of the runs, newest first."""
    wanted = page_size(first)
    parts = read_cursor(after, "syncRuns", (int, str))
    place = None if parts is None else (parts[0], parts[1])
    async with info.context.ledger() as connection:
        rows = await reading.sync_runs(connection, chosen, first=wanted + 1, after=place)

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await reading.count_runs(connection, chosen)

    return connection_of(
        rows, wanted, after, run_of, lambda row: write_cursor("syncRuns", (row.id, row.namespace)), count
    )


def run_of(row: reading.SyncRun) -> SyncRun:
    """The run as clients see it."""
    return SyncRun(
        id=run_id(row.namespace, row.id),
        namespace=row.namespace,
        provider=row.provider,
        trigger=SyncTrigger(row.trigger),
        outcome=SyncOutcome(row.outcome),
        reason=row.reason,
        error=row.error,
        started_at=row.started_at,
        finished_at=row.finished_at,
        windows_total=row.windows_total,
        windows_done=row.windows_done,
        rows_read=BigInt(row.rows_read),
        rows_inserted=BigInt(row.rows_inserted),
        rows_changed=BigInt(row.rows_changed),
        rows_removed=BigInt(row.rows_removed),
        calls=BigInt(row.calls),
        bytes_read=BigInt(row.bytes_read),
        cancel_requested=row.cancel_requested,
    )


def run_id(namespace: str, number: int) -> strawberry.ID:
    """The id under which clients know a run."""
    return strawberry.ID(write_cursor("SyncRun", (number, namespace)))
