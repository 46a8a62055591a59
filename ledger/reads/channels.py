"""Channels: what is declared, and what became of the messages for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.alerts.book import Name
from ledger.reads.filters import Parameters, among
from ledger.reads.providers import Condition, condition

# Of the spec no more is read than what nobody keeps secret.
_CHANNELS: Final = """
    select namespace, name, status, place, coalesce(spec ->> 'type', '') as type,
        coalesce(spec -> 'suspend' = 'true', false) as suspended,
        coalesce(spec ->> 'minimumSeverity', 'info') as minimum_severity
    from resource where kind = 'Channel' and deleted_at is null
"""
_COUNTS: Final = """
    select count(*) filter (where state = 'Delivered') as delivered, count(*) filter (where state = 'Dead') as dead,
        count(*) filter (where state = 'Waiting') as waiting,
        max(finished_at) filter (where state = 'Delivered') as last_delivery_at,
        (array_agg(error order by id) filter (where state = 'Waiting' and attempts > 0 and error is not null))[1]
            as last_error
    from notification n where n.namespace = c.namespace and n.channel = c.name
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A Channel, and how many of its messages were delivered, were given up (`dead`), and wait."""

    namespace: str
    name: str
    type: str
    suspended: bool
    minimum_severity: str
    conditions: Sequence[Condition]
    place: str | None
    delivered: int
    dead: int
    waiting: int
    last_delivery_at: datetime | None
    last_error: str | None
    """What the oldest message that waits met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFilter:
    """Which channels; every field given must hold."""

    namespaces: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None

    def condition(self, parameters: Parameters) -> str:
        """As a condition on rows of channels."""
        return " and ".join(among({"namespace": self.namespaces, "name": self.names}, parameters))


async def channels(
    connection: AsyncConnection, chosen: ChannelFilter, *, first: int | None = None, after: Name | None = None
) -> Sequence[Channel]:
    """Channels by namespace and name, behind `after`."""
    parameters = Parameters()
    wanted = chosen.condition(parameters)
    if after is not None:
        names = ", ".join(f"cast({parameters.add(value)} as text)" for value in after)
        wanted += f" and (namespace, name) > ({names})"
    statement = f"""
        select c.*, counts.* from (
            select * from ({_CHANNELS}) c where {wanted} order by namespace, name limit {parameters.add(first)}
        ) c cross join lateral ({_COUNTS}) counts order by c.namespace, c.name
    """
    return [_channel(row) for row in await connection.execute(text(statement), parameters.values)]


async def count_channels(connection: AsyncConnection, chosen: ChannelFilter) -> int:
    """How many channels match."""
    parameters = Parameters()
    statement = f"select count(*) from ({_CHANNELS}) c where {chosen.condition(parameters)}"
    return int((await connection.execute(text(statement), parameters.values)).scalar_one())


def _channel(row: Any) -> Channel:
    held = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
    status = held.pop("status")
    return Channel(**held, conditions=[condition(each) for each in status.get("conditions", ())])
