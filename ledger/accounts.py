"""Providers as the ledger knows them: the accounts that charges belong to, and what is known of each.

A Provider and a ManualCost both feed the ledger under their name, so a name belongs to one of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text

from ledger.database import WriterDB
from ledger.errors import NeedsPerson
from ledger.schema import TENANT_TABLES, metadata
from ledger.window import Piece, Span

_REGISTER = text("""
    insert into provider as held (namespace, name, kind, type, labels, suspended, attribution_only, lag, created_at)
    values (:namespace, :name, :kind, :type, cast(:labels as jsonb), :suspended, :attribution_only, :lag, :now)
    on conflict (namespace, name) do update
        set kind = excluded.kind, type = excluded.type, labels = excluded.labels, suspended = excluded.suspended,
            attribution_only = excluded.attribution_only, lag = excluded.lag, deleted_at = null
        where (held.kind = excluded.kind and held.type = excluded.type)
            or (held.deleted_at is not null and not exists (
                select from piece p where p.namespace = held.namespace and p.provider = held.name
            ))
    returning kind
""")

_HOLDER = text("select kind, type, deleted_at from provider where namespace = :namespace and name = :name")

_RETIRE = text("""
    with retired as (
        update provider set deleted_at = :now, next_sync_at = null
        where namespace = :namespace and name = :name and kind = :kind and deleted_at is null returning name
    )
    insert into evaluation_due as held (namespace, kind, name, since)
    select cast(:namespace as text), 'Provider', name, now() from retired
    on conflict (namespace, kind, name) do update set since = least(held.since, excluded.since)
""")

_PIECES = text("""
    select starts_at, ends_at, read_at, digest, charges from piece
    where namespace = :namespace and provider = :name order by starts_at
""")

_SCHEDULE = text("update provider set next_sync_at = :at where namespace = :namespace and name = :name")

_OF_A_PROVIDER = tuple(name for name in TENANT_TABLES if name != "lease" and "provider" in metadata.tables[name].c)


class NameTaken(NeedsPerson):
    """Something else already feeds the ledger, or fed it, under this name."""

    reason = "NameTaken"


@dataclass(frozen=True, slots=True)
class Account:
    """One provider: whose namespace, its name, the kind of resource that declares it, and its type.

    `attribution_only`: its charges are parts of what other providers bill, so that no total counts them.
    `lag` is how long after the end of a day it should be whole here; None where nothing is expected of it.
    """

    namespace: str
    name: str
    kind: str
    type: str
    labels: Mapping[str, str] = field(default_factory=dict)
    suspended: bool = False
    attribution_only: bool = False
    lag: timedelta | None = None


async def register(db: WriterDB, account: Account, now: datetime) -> None:
    """Make the account known, or bring what is known of it up to date. Raises NameTaken."""
    values = {
        "namespace": account.namespace,
        "name": account.name,
        "kind": account.kind,
        "type": account.type,
        "labels": json.dumps(dict(account.labels)),
        "suspended": account.suspended,
        "attribution_only": account.attribution_only,
        "lag": account.lag,
        "now": now,
    }
    async with db.statement() as connection:
        if (await connection.execute(_REGISTER, values)).scalar() is None:
            holder = (await connection.execute(_HOLDER, values)).one()
            raise NameTaken(_taken(account, holder))


def _taken(account: Account, holder: Row[Any]) -> str:
    if holder.kind != account.kind and holder.deleted_at is None:
        return (
            f"a {holder.kind} in namespace {account.namespace} is named {account.name} too; both feed the ledger "
            f"under their name, so rename one of them"
        )
    return (
        f"the ledger holds charges of a {holder.kind} of type {holder.type} under the name {account.name}; "
        f"use another name, or delete that one with deletionPolicy: Delete first"
    )


async def retire(db: WriterDB, account: Account, now: datetime) -> None:
    """The resource is gone and its history stays: the account is kept, marked as deleted."""
    values = {"namespace": account.namespace, "name": account.name, "kind": account.kind, "now": now}
    async with db.statement() as connection:
        await connection.execute(_RETIRE, values)


async def purge(db: WriterDB, account: Account) -> None:
    """Remove everything the ledger holds of the account, history included, in one transaction."""
    values = {"namespace": account.namespace, "name": account.name, "kind": account.kind}
    async with db.transaction() as connection:
        mine = await connection.execute(
            text("delete from provider where namespace = :namespace and name = :name and kind = :kind returning 1"),
            values,
        )
        if mine.scalar() is None:
            return
        for table in _OF_A_PROVIDER:
            await connection.execute(
                text(f"delete from {table} where namespace = :namespace and provider = :name"),
                values,
            )


async def pieces(db: WriterDB, namespace: str, name: str) -> list[Piece]:
    """Everything that was ever read of the provider, piece by piece, in order."""
    async with db.statement() as connection:
        rows = await connection.execute(_PIECES, {"namespace": namespace, "name": name})
        return [
            Piece(Span(row.starts_at, row.ends_at), row.read_at, int.from_bytes(row.digest, "big"), row.charges)
            for row in rows
        ]


async def schedule(db: WriterDB, namespace: str, name: str, at: datetime | None) -> None:
    """Note when the provider's next sync is due; None when none is."""
    async with db.statement() as connection:
        await connection.execute(_SCHEDULE, {"namespace": namespace, "name": name, "at": at})
