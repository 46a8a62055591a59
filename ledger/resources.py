"""Resources as they were last seen: their spec, where they come from, and their status for readers to show."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, text

from ledger.database import Connection, WriterDB

_SEE = text("""
    insert into resource as held
        (namespace, kind, name, uid, generation, source, place, labels, spec, status, updated_at)
    values (:namespace, :kind, :name, :uid, greatest(cast(:generation as bigint), 1), :source, :place,
        cast(:labels as jsonb), cast(:spec as jsonb), '{}', :now)
    on conflict (namespace, kind, name) do update set
        uid = excluded.uid, source = excluded.source, place = excluded.place, labels = excluded.labels,
        spec = excluded.spec, updated_at = excluded.updated_at, deleted_at = null,
        generation = case
            when cast(:generation as bigint) > 0 then excluded.generation
            when held.spec = excluded.spec then held.generation
            else held.generation + 1
        end
    returning generation, status
""")

_STATUS = text("""
    update resource set status = cast(:status as jsonb), updated_at = :now
    where namespace = :namespace and kind = :kind and name = :name
""")

_GONE = text("""
    update resource set deleted_at = :now
    where namespace = :namespace and kind = :kind and name = :name and deleted_at is null
""")

_FORGET = text("delete from resource where namespace = :namespace and kind = :kind and name = :name")

_OF_SOURCE = text("""
    select namespace, kind, name, place, spec, status from resource
    where source = :source and deleted_at is null and kind = coalesce(cast(:kind as text), kind)
    order by namespace, kind, name
""")

_ONE = text("""
    select namespace, kind, name, place, spec, status from resource
    where namespace = :namespace and kind = :kind and name = :name and deleted_at is null
""")


_NAMES = text("""
    select name from resource where namespace = :namespace and kind = :kind and deleted_at is null order by name
""")


_NAMING = text("""
    select name from resource
    where namespace = :namespace and kind = :kind and deleted_at is null and spec @> cast(:part as jsonb)
    order by name
""")


class Ref(NamedTuple):
    """Names a resource."""

    namespace: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A resource as it was last seen."""

    ref: Ref
    place: str | None
    spec: Mapping[str, Any]
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a source shows of a resource now. A `generation` of 0 asks the ledger to count changes of the spec."""

    ref: Ref
    uid: str
    generation: int
    source: str
    place: str | None
    labels: Mapping[str, str]
    spec: Mapping[str, Any]


async def see(db: WriterDB, sighting: Sighting, now: datetime) -> tuple[int, dict[str, Any]]:
    """Note the resource; returns its generation and the status last written."""
    values = {
        **sighting.ref._asdict(),
        "uid": sighting.uid,
        "generation": sighting.generation,
        "source": sighting.source,
        "place": sighting.place,
        "labels": json.dumps(dict(sighting.labels)),
        "spec": json.dumps(sighting.spec),
        "now": now,
    }
    async with db.statement() as connection:
        row = (await connection.execute(_SEE, values)).one()
        return row.generation, row.status


async def write_status(db: WriterDB, ref: Ref, status: Mapping[str, Any], now: datetime) -> None:
    """Keep the status for readers. A resource that is gone is no error."""
    async with db.statement() as connection:
        await connection.execute(_STATUS, {**ref._asdict(), "status": json.dumps(status), "now": now})


async def gone(db: WriterDB, ref: Ref, now: datetime) -> None:
    """The source no longer has the resource; its last state stays for history."""
    async with db.statement() as connection:
        await connection.execute(_GONE, {**ref._asdict(), "now": now})


async def forget(db: WriterDB, ref: Ref) -> None:
    """Remove every trace of the resource."""
    async with db.statement() as connection:
        await connection.execute(_FORGET, ref._asdict())


async def of_source(db: WriterDB, source: str, kind: str | None = None) -> list[Seen]:
    """The resources, of one kind or of all, that were last seen in this source and are not gone."""
    async with db.statement() as connection:
        return [_seen(row) for row in await connection.execute(_OF_SOURCE, {"source": source, "kind": kind})]


async def find(db: WriterDB, ref: Ref) -> Seen | None:
    """One resource that is not gone, or None."""
    async with db.statement() as connection:
        row = (await connection.execute(_ONE, ref._asdict())).first()
        return None if row is None else _seen(row)


async def names(db: WriterDB, namespace: str, kind: str) -> list[str]:
    """Names of the resources of a kind in a namespace that are not gone."""
    async with db.transaction() as connection:
        return [row.name for row in await connection.execute(_NAMES, {"namespace": namespace, "kind": kind})]


async def naming(db: WriterDB, namespace: str, kind: str, part: Mapping[str, Any]) -> list[str]:
    """Names of the resources of a kind whose spec contains `part`, such as a reference to another resource."""
    async with db.transaction() as connection:
        values = {"namespace": namespace, "kind": kind, "part": json.dumps(part)}
        return [row.name for row in await connection.execute(_NAMING, values)]


async def unknown(connection: Connection, namespace: str, kind: str, wanted: Collection[str]) -> list[str]:
    """Those of the names for which there is no resource of the kind, in their order."""
    rows = await connection.execute(_NAMES, {"namespace": namespace, "kind": kind})
    known = {row.name for row in rows}
    return [name for name in wanted if name not in known]


def _seen(row: Row[Any]) -> Seen:
    return Seen(Ref(row.namespace, row.kind, row.name), row.place, row.spec, row.status)
