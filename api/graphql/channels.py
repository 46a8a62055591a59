"""Channels: type and resolver."""

from __future__ import annotations

from datetime import datetime

import strawberry

from api.graphql.alerts import listed
from api.graphql.context import Resolving
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from api.graphql.providers import Condition, conditions_of
from api.graphql.scalars import BigInt
from ledger.alerts.book import Name
from ledger.reads import channels as reading


@strawberry.type(description="Where messages go. Its settings and credentials are shown nowhere.")
class Channel:
    id: strawberry.ID
    namespace: str
    name: str
    type: str
    suspended: bool
    minimum_severity: str
    conditions: list[Condition]
    place: str | None = strawberry.field(description="File and line of its manifest; null in a cluster.")
    delivered: BigInt
    waiting: BigInt
    dead: BigInt = strawberry.field(description="Messages that were given up, and that retryNotification tries again.")
    last_delivery_time: datetime | None
    last_error: str | None = strawberry.field(description="What the oldest message that waits met.")


async def channels(
    info: Resolving,
    *,
    namespaces: list[str] | None = None,
    names: list[str] | None = None,
    first: int = 50,
    after: str | None = None,
) -> Connection[Channel]:
    chosen = reading.ChannelFilter(namespaces=listed(namespaces, "namespaces"), names=listed(names, "names"))
    wanted = page_size(first)
    parts = read_cursor(after, "channels", (str, str))
    async with info.context.ledger() as connection:
        place = None if parts is None else Name(*parts)
        rows = await reading.channels(connection, chosen, first=wanted + 1, after=place)

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await reading.count_channels(connection, chosen)

    return connection_of(
        rows, wanted, after, _channel, lambda row: write_cursor("channels", (row.namespace, row.name)), count
    )


def _channel(row: reading.Channel) -> Channel:
    return Channel(
        id=strawberry.ID(write_cursor("Channel", (row.namespace, row.name))),
        namespace=row.namespace,
        name=row.name,
        type=row.type,
        suspended=row.suspended,
        minimum_severity=row.minimum_severity,
        conditions=conditions_of(row.conditions),
        place=row.place,
        delivered=BigInt(row.delivered),
        waiting=BigInt(row.waiting),
        dead=BigInt(row.dead),
        last_delivery_time=row.last_delivery_at,
        last_error=row.last_error,
    )
