"""Asking for a sync by hand, or for one to stop: what people ask of whoever reconciles, through the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text

from ledger.database import Connection, ReaderDB
from ledger.notices import REQUESTS, is_heard, tell
from ledger.runs import Request

_ASK: Final = text("""
    insert into sync_request (namespace, provider, requested_at, requested_by, first_day, after_last_day)
    values (:namespace, :provider, :now, :by, :first_day, :after_last_day) returning id
""")
_TAKEN: Final = text("select run_id from sync_request where namespace = :namespace and id = :id")


_SUSPENDED: Final = text("""
    select suspended from provider where namespace = :namespace and name = :provider and deleted_at is null
""")
_CANCEL: Final = text("""
    update sync_run set cancel_requested = true
    where namespace = :namespace and id = :id and outcome = 'Running'
    returning provider
""")


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks when for a sync of which provider, and of which period."""

    namespace: str
    provider: str
    wish: Request
    by: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """Names a sync that was asked for."""

    namespace: str
    provider: str
    id: int


async def put(connection: Connection, asking: Asking) -> Asked:
    """Ask for a sync now, of a period where the wish names one. Whoever reconciles is told on commit."""
    values = {
        "namespace": asking.namespace,
        "provider": asking.provider,
        "now": asking.now,
        "by": asking.by,
        "first_day": asking.wish.first_day,
        "after_last_day": asking.wish.after_last_day,
    }
    asked = Asked(asking.namespace, asking.provider, (await connection.execute(_ASK, values)).scalar_one())
    await tell(connection, asking.namespace, asking.provider)
    return asked


async def put_cancel(connection: Connection, namespace: str, run_id: int) -> bool:
    """Ask a running sync to stop before its next window; False when no such run is under way."""
    provider = (await connection.execute(_CANCEL, {"namespace": namespace, "id": run_id})).scalar()
    if provider is None:
        return False
    await tell(connection, namespace, provider)
    return True


async def is_suspended(connection: Connection, namespace: str, provider: str) -> bool | None:
    """Whether the provider is suspended, so that nobody would answer; None when there is none."""
    found = (await connection.execute(_SUSPENDED, {"namespace": namespace, "provider": provider})).first()
    return None if found is None else bool(found.suspended)


async def taken(db: ReaderDB, asked: Asked) -> int | None:
    """The run that answers the request; None while it waits."""
    async with db.transaction([asked.namespace]) as connection:
        found: int | None = (await connection.execute(_TAKEN, {"namespace": asked.namespace, "id": asked.id})).scalar()
        return found


async def anyone_reconciles(db: ReaderDB) -> bool:
    """Whether a reconciler runs on this database now and hears requests."""
    async with db.transaction(()) as connection:
        return await is_heard(connection, REQUESTS)
