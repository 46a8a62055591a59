"""Asking for a sync by hand: what people ask of a reconciler, wherever it runs, through the database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text

from ledger.database import ReaderDB
from ledger.notices import REQUESTS, is_heard
from ledger.runs import Request

_ASK: Final = text("""
    insert into sync_request (namespace, provider, requested_at, requested_by, first_day, after_last_day)
    values (:namespace, :provider, :now, :by, :first_day, :after_last_day) returning id
""")
_NOTIFY: Final = text("select pg_notify(:channel, :payload)")
_TAKEN: Final = text("select run_id from sync_request where namespace = :namespace and id = :id")


@dataclass(frozen=True, slots=True)
class Asked:
    """Names a sync that was asked for."""

    namespace: str
    provider: str
    id: int


async def ask(db: ReaderDB, namespace: str, provider: str, wish: Request, by: str, now: datetime) -> Asked:
    """Ask for a sync now, of a period where `wish` names one. Whoever reconciles is told at once."""
    values = {
        "namespace": namespace,
        "provider": provider,
        "now": now,
        "by": by,
        "first_day": wish.first_day,
        "after_last_day": wish.after_last_day,
    }
    notice = {"channel": REQUESTS, "payload": json.dumps({"namespace": namespace, "name": provider})}
    async with db.transaction([namespace]) as connection:
        asked = Asked(namespace, provider, (await connection.execute(_ASK, values)).scalar_one())
        await connection.execute(_NOTIFY, notice)
        return asked


async def taken(db: ReaderDB, asked: Asked) -> int | None:
    """The run that answers the request; None while it waits."""
    async with db.transaction([asked.namespace]) as connection:
        found: int | None = (await connection.execute(_TAKEN, {"namespace": asked.namespace, "id": asked.id})).scalar()
        return found


async def anyone_reconciles(db: ReaderDB) -> bool:
    """Whether a reconciler runs on this database now and hears requests."""
    async with db.transaction(()) as connection:
        return await is_heard(connection, REQUESTS)
