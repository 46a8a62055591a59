"""Silences: type and resolver."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import strawberry

from api.graphql.alerts import Severity, listed
from api.graphql.context import Resolving
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from ledger.reads import notifications as reading


@strawberry.type(description="What nobody is told of for a time: what matches every field that is not null.")
class Silence:
    id: strawberry.ID
    namespace: str
    alert: str | None
    budget: str | None
    severity: Severity | None
    starts_at: datetime
    ends_at: datetime
    active: bool
    reason: str
    created_by: str
    created_at: datetime
    ended_by: str | None = strawberry.field(description="Who ended it before its time.")


_PLACE: Final = (int, str)


async def silences(
    info: Resolving,
    *,
    namespaces: list[str] | None = None,
    active: bool | None = True,
    first: int = 50,
    after: str | None = None,
) -> Connection[Silence]:
    now = info.context.now
    chosen = reading.SilenceFilter(namespaces=listed(namespaces, "namespaces"), active=active, now=now)
    wanted = page_size(first)
    parts = read_cursor(after, "silences", _PLACE)
    place = None if parts is None else (parts[0], parts[1])
    async with info.context.ledger() as connection:
        rows = await reading.silences(connection, chosen, first=wanted + 1, after=place)

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await reading.count_silences(connection, chosen)

    return connection_of(
        rows,
        wanted,
        after,
        lambda row: silence_of(row, now),
        lambda row: write_cursor("silences", (row.id, row.namespace)),
        count,
    )


def silence_of(row: reading.Silence, now: datetime) -> Silence:
    """The silence as clients see it at `now`."""
    return Silence(
        id=strawberry.ID(write_cursor("Silence", (row.id, row.namespace))),
        namespace=row.namespace,
        alert=row.alert,
        budget=row.budget,
        severity=None if row.severity is None else Severity(row.severity),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        active=row.starts_at <= now < row.ends_at,
        reason=row.reason,
        created_by=row.created_by,
        created_at=row.created_at,
        ended_by=row.ended_by,
    )
