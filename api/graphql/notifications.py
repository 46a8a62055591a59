"""What channels were told, are to be told and could not be told: type and resolvers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Final

import strawberry

from api.graphql.alerts import Severity, listed, values
from api.graphql.context import Resolving
from api.graphql.errors import PublicError
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from api.graphql.scalars import Document
from ledger.reads import notifications as reading


@strawberry.enum(description="What a message tells; TEST: nothing, somebody asked for it.")
class NotificationKind(Enum):
    FIRING = "firing"
    RESOLVED = "resolved"
    RETRACTED = "retracted"
    TEST = "test"


@strawberry.enum(
    description="What became of a message. SKIPPED: below the channel's least severity. DEAD: given up after a day."
)
class NotificationState(Enum):
    WAITING = "Waiting"
    DELIVERED = "Delivered"
    SKIPPED = "Skipped"
    DEAD = "Dead"


@strawberry.type(description="One message for one channel.")
class Notification:
    id: strawberry.ID
    namespace: str
    key: str = strawberry.field(
        description="The same however often it is tried, so that a receiver that honours it sees the message once."
    )
    channel: str
    alert: str | None
    what: NotificationKind
    severity: Severity
    facts: Document | None = strawberry.field(description="Of which the message is made; null for a test.")
    state: NotificationState
    attempts: int
    created_at: datetime
    due_at: datetime | None = strawberry.field(description="While it waits: when it is tried next.")
    finished_at: datetime | None
    receipt: str | None = strawberry.field(description="What the receiver answered.")
    error: str | None = strawberry.field(description="What the last attempt met.")


@strawberry.input(description="Every list means any of; several fields mean all of.")
class NotificationFilter:
    namespaces: list[str] | None = None
    channels: list[str] | None = None
    alerts: list[str] | None = None
    states: list[NotificationState] | None = None

    def meant(self) -> reading.NotificationFilter:
        lists = {name: listed(getattr(self, name), name) for name in ("namespaces", "channels", "alerts")}
        return reading.NotificationFilter(**lists, states=values(self.states))


_PLACE: Final = (int, str)


async def notifications(
    info: Resolving,
    *,
    filter: NotificationFilter | None = None,  # noqa: A002  # the schema's word
    first: int = 50,
    after: str | None = None,
) -> Connection[Notification]:
    chosen = (filter or NotificationFilter()).meant()
    wanted = page_size(first)
    parts = read_cursor(after, "notifications", _PLACE)
    place = None if parts is None else (parts[0], parts[1])
    async with info.context.ledger() as connection:
        rows = await reading.notifications(connection, chosen, first=wanted + 1, after=place)

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await reading.count_notifications(connection, chosen)

    return connection_of(
        rows,
        wanted,
        after,
        notification_of,
        lambda row: write_cursor("notifications", (row.id, row.namespace)),
        count,
    )


async def notification(info: Resolving, *, id: strawberry.ID) -> Notification | None:  # noqa: A002  # the schema's word
    place = place_of(id, "Notification")
    if place is None:
        return None
    async with info.context.ledger() as connection:
        found = await reading.notification(connection, place[1], place[0])
    return None if found is None else notification_of(found)


def place_of(given: strawberry.ID, kind: str) -> reading.Place | None:
    """The number and namespace that an id of this kind names; None for any other text."""
    try:
        parts = read_cursor(str(given), kind, _PLACE)
    except PublicError:
        return None
    return None if parts is None else (parts[0], parts[1])


def notification_of(row: reading.Notification) -> Notification:
    """The message as clients see it."""
    waits = row.state == "Waiting"
    facts: Mapping[str, object] | None = row.message
    return Notification(
        id=strawberry.ID(write_cursor("Notification", (row.id, row.namespace))),
        namespace=row.namespace,
        key=row.key,
        channel=row.channel,
        alert=row.alert,
        what=NotificationKind(row.what),
        severity=Severity(row.severity),
        facts=None if facts is None else Document(facts),
        state=NotificationState(row.state),
        attempts=row.attempts,
        created_at=row.created_at,
        due_at=row.due_at if waits else None,
        finished_at=None if waits else row.finished_at,
        receipt=row.receipt,
        error=row.error,
    )
