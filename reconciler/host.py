"""The reconciler over a folder of manifests: put together, and run until it is stopped, or once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from ledger import leases, resources
from ledger.database import WriterDB
from reconciler.connectors.http import EgressPolicy
from reconciler.connectors.registry import connector
from reconciler.deps import Clock, Deps
from reconciler.engine import Engine
from reconciler.kinds.catalogue import kinds
from reconciler.sources.base import Key
from reconciler.sources.directory import DirectorySource


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the reconciler runs. `holder` names it in leases; no other process that lives has the same name."""

    holder: str
    clock: Clock
    workers: int
    lease_ttl: timedelta
    egress: EgressPolicy = field(default_factory=EgressPolicy)


class Host:
    """The reconciler of one folder."""

    def __init__(self, engine: Engine, source: DirectorySource) -> None:
        self._engine, self._source = engine, source

    def keys(self) -> list[Key]:
        """Every resource that the folder declares."""
        return self._source.keys()

    async def names(self) -> set[Key]:
        """Every resource that the folder declares, or declared when the file it is in could be read last."""
        seen = await resources.of_source(self._engine.deps.db, self._engine.deps.source_name)
        return {*self.keys(), *(Key(each.ref.kind, each.ref.namespace, each.ref.name) for each in seen)}

    def problems(self) -> list[str]:
        """What is wrong with the manifests now, as `file:line path: what to do`."""
        return [str(problem) for found in self._source.problems().values() for problem in found]

    async def once(self, keys: Sequence[Key] | None = None) -> None:
        """Sync these resources, all of them unless told, whether due or not; return when each was tried once."""
        await self._engine.settle(self.keys() if keys is None else list(keys), missing=keys is None)

    async def run(self, stop: asyncio.Event, settled: asyncio.Event) -> None:
        """Reconcile until `stop` is set; `settled` is set once every resource has been looked at."""
        for key in self.keys():
            self._engine.queue.add(key)
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(self._settle(settled))
            await self._engine.run(stop)
            first.cancel()

    async def _settle(self, settled: asyncio.Event) -> None:
        await self._engine.queue.idle()
        settled.set()


@asynccontextmanager
async def hosted(db: WriterDB, folder: Path, options: Options) -> AsyncIterator[Host]:
    """A reconciler over `folder`, whose files are watched while the block runs."""
    await leases.give_back_all(db, options.holder)
    async with DirectorySource(folder) as source:
        deps = Deps(
            db=db,
            source=source,
            source_name=f"directory:{source.root}",
            connector=connector,
            kinds=kinds(),
            clock=options.clock,
            holder=options.holder,
            egress=options.egress,
            lease_ttl=options.lease_ttl,
        )
        yield Host(Engine(deps, workers=options.workers), source)
