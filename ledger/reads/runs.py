"""Sync runs: what was read when, how far a running one is, and how each ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.filters import Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRun:
    """One sync run; see ledger.runs for the words of `trigger` and `outcome`. `error` is redacted."""

    namespace: str
    id: int
    provider: str
    trigger: str
    outcome: str
    reason: str | None
    error: str | None
    started_at: datetime
    finished_at: datetime | None
    windows_total: int
    windows_done: int
    rows_read: int
    rows_inserted: int
    rows_changed: int
    rows_removed: int
    calls: int
    bytes_read: int
    cancel_requested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs; every field given must hold."""

    namespace: str | None = None
    provider: str | None = None
    outcome: str | None = None


_COLUMNS: Final = ", ".join(field.name for field in fields(SyncRun))


async def sync_runs(
    connection: AsyncConnection, chosen: RunFilter, *, first: int, after: tuple[int, str] | None = None
) -> Sequence[SyncRun]:
    """Runs, newest first, behind `after` (a run's id and namespace)."""
    parameters = Parameters()
    conditions = _conditions(chosen, parameters)
    if after is not None:
        run_id, namespace = map(parameters.add, after)
        conditions.append(f"(id, namespace) < (cast({run_id} as bigint), cast({namespace} as text))")
    statement = f"""
        select {_COLUMNS} from sync_run where {" and ".join(conditions)}
        order by id desc, namespace desc limit {parameters.add(first)}
    """
    rows = await connection.execute(text(statement), parameters.values)
    return [_run(row) for row in rows]


async def count_runs(connection: AsyncConnection, chosen: RunFilter) -> int:
    """How many runs match."""
    parameters = Parameters()
    statement = f"select count(*) from sync_run where {' and '.join(_conditions(chosen, parameters))}"
    return int((await connection.execute(text(statement), parameters.values)).scalar_one())


async def sync_run(connection: AsyncConnection, namespace: str, run_id: int) -> SyncRun | None:
    """One run."""
    statement = f"select {_COLUMNS} from sync_run where namespace = :namespace and id = :id"
    row = (await connection.execute(text(statement), {"namespace": namespace, "id": run_id})).first()
    return None if row is None else _run(row)


async def running(connection: AsyncConnection, names: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], SyncRun]:
    """The run that is under way of each of these providers (namespace and name), where there is one."""
    statement = f"""
        select {_COLUMNS} from sync_run where outcome = 'Running' and (namespace, provider) in (
            select * from unnest(cast(:namespaces as text[]), cast(:names as text[]))
        ) order by id
    """
    values = {"namespaces": [namespace for namespace, _ in names], "names": [name for _, name in names]}
    rows = await connection.execute(text(statement), values)
    return {(row.namespace, row.provider): _run(row) for row in rows}


def _conditions(chosen: RunFilter, parameters: Parameters) -> list[str]:
    given = {"namespace": chosen.namespace, "provider": chosen.provider, "outcome": chosen.outcome}
    return ["true"] + [
        f"{column} = cast({parameters.add(value)} as text)" for column, value in given.items() if value is not None
    ]


def _run(row: Any) -> SyncRun:
    return SyncRun(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
