"""What channels were told, are to be told and could not be told; the channels themselves; and silences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.filters import Parameters, among

Place = tuple[int, str]
"""Number and namespace, by which rows are placed, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message for one channel; see ledger.alerts.outbox. `message` holds the facts, None for a test."""

    namespace: str
    id: int
    key: str
    channel: str
    alert: str | None
    what: str
    severity: str
    message: Mapping[str, Any] | None
    state: str
    attempts: int
    created_at: datetime
    due_at: datetime
    finished_at: datetime | None
    receipt: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFilter:
    """Which messages; every field given must hold."""

    namespaces: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    alerts: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None

    def conditions(self, parameters: Parameters) -> list[str]:
        """As conditions on rows of `notification`."""
        columns = {"namespace": self.namespaces, "channel": self.channels, "alert": self.alerts, "state": self.states}
        return among(columns, parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What nobody is told of for a time: all that matches every field given; None matches anything."""

    namespace: str
    id: int
    alert: str | None
    budget: str | None
    severity: str | None
    starts_at: datetime
    ends_at: datetime
    reason: str
    created_by: str
    created_at: datetime
    ended_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceFilter:
    """Which silences; every field given must hold. `now` is when they are `active`, or are not."""

    namespaces: tuple[str, ...] | None = None
    active: bool | None = None
    now: datetime

    def conditions(self, parameters: Parameters) -> list[str]:
        """As conditions on rows of `silence`."""
        conditions = among({"namespace": self.namespaces}, parameters)
        if self.active is not None:
            at = f"cast({parameters.add(self.now)} as timestamptz)"
            conditions.append(f"(starts_at <= {at} and ends_at > {at}) = {'true' if self.active else 'false'}")
        return conditions


_COLUMNS: Final = {
    "notification": ", ".join(field.name for field in fields(Notification)),
    "silence": ", ".join(field.name for field in fields(Silence)),
}


async def notifications(
    connection: AsyncConnection, chosen: NotificationFilter, *, first: int, after: Place | None = None
) -> Sequence[Notification]:
    """Messages, newest first, behind `after`."""
    rows = await _page(connection, "notification", chosen, first, after)
    return [Notification(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name for it


async def count_notifications(connection: AsyncConnection, chosen: NotificationFilter) -> int:
    """How many messages match."""
    return await _count(connection, "notification", chosen)


async def notification(connection: AsyncConnection, namespace: str, number: int) -> Notification | None:
    """One message."""
    row = await _one(connection, "notification", namespace, number)
    return None if row is None else Notification(**row._mapping)  # noqa: SLF001  # as above


async def silences(
    connection: AsyncConnection, chosen: SilenceFilter, *, first: int, after: Place | None = None
) -> Sequence[Silence]:
    """Silences, newest first, behind `after`."""
    rows = await _page(connection, "silence", chosen, first, after)
    return [Silence(**row._mapping) for row in rows]  # noqa: SLF001  # as above


async def count_silences(connection: AsyncConnection, chosen: SilenceFilter) -> int:
    """How many silences match."""
    return await _count(connection, "silence", chosen)


async def silence(connection: AsyncConnection, namespace: str, number: int) -> Silence | None:
    """One silence."""
    row = await _one(connection, "silence", namespace, number)
    return None if row is None else Silence(**row._mapping)  # noqa: SLF001  # as above


async def _page(
    connection: AsyncConnection,
    table: str,
    chosen: NotificationFilter | SilenceFilter,
    first: int,
    after: Place | None,
) -> Sequence[Any]:
    parameters = Parameters()
    conditions = chosen.conditions(parameters)
    if after is not None:
        number, namespace = map(parameters.add, after)
        conditions.append(f"(id, namespace) < (cast({number} as bigint), cast({namespace} as text))")
    statement = f"""
        select {_COLUMNS[table]} from {table} where {" and ".join(conditions)}
        order by id desc, namespace desc limit {parameters.add(first)}
    """
    return (await connection.execute(text(statement), parameters.values)).all()


async def _count(connection: AsyncConnection, table: str, chosen: NotificationFilter | SilenceFilter) -> int:
    parameters = Parameters()
    statement = f"select count(*) from {table} where {' and '.join(chosen.conditions(parameters))}"
    return int((await connection.execute(text(statement), parameters.values)).scalar_one())


async def _one(connection: AsyncConnection, table: str, namespace: str, number: int) -> Any:
    statement = f"select {_COLUMNS[table]} from {table} where namespace = :namespace and id = :id"
    return (await connection.execute(text(statement), {"namespace": namespace, "id": number})).first()
