"""The audit log: who changed or took what. Written in the transaction of the change, read by administrators."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text

from ledger.database import Connection, WriterDB

_WRITE = text("""
    insert into audit_entry (at, actor, actor_kind, action, namespace, subject, detail, request_id)
    values (:at, :actor, :actor_kind, :action, :namespace, :subject, cast(:detail as jsonb), :request_id)
""")
_READ = text("""
    select at, actor, actor_kind, action, namespace, subject, detail, request_id from audit_entry
    order by id desc limit :first
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that someone did. `detail` never holds a secret."""

    at: datetime
    actor: str
    actor_kind: str
    action: str
    namespace: str | None = None
    subject: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""


async def write(connection: Connection, entry: Entry) -> None:
    """Write the entry down; it stays if the transaction does."""
    values = {name: getattr(entry, name) for name in Entry.__slots__}
    await connection.execute(_WRITE, {**values, "detail": json.dumps(entry.detail)})


async def latest(db: WriterDB, first: int) -> Sequence[Entry]:
    """The last entries, newest first."""
    async with db.transaction() as connection:
        rows = await connection.execute(_READ, {"first": first})
        return [Entry(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name for it
