"""The reconciler over a cluster: put together, and run until it is stopped."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import structlog

from ledger import leases
from ledger.database import WriterDB
from ledger.errors import LedgerError
from ledger.reads.health import schema_step
from ledger.settings import LISTEN, InvalidSetting
from reconciler.connectors.http import EgressPolicy
from reconciler.connectors.registry import connector
from reconciler.deps import Clock, Deps
from reconciler.desks import Desks
from reconciler.engine import HANDLERS, Engine
from reconciler.kinds.catalogue import kinds
from reconciler.sources.kubernetes import Access, KubernetesSource, released
from reconciler.sources.kubernetes.probes import probes
from reconciler.vitals import Vitals

log = structlog.get_logger()


__all__ = ["Access", "Health", "Options", "let_go", "operate"]


@dataclass(frozen=True, slots=True)
class Health:
    """Where probes are answered."""

    host: str
    port: int

    @classmethod
    def at(cls, address: str | None) -> Health | None:
        """From HOST:PORT; None where nothing is said. Raises InvalidSetting."""
        if address is None:
            return None
        if re.fullmatch(LISTEN, address) is None:
            raise InvalidSetting("--probes: write HOST:PORT, such as 127.0.0.1:8081 or [::]:8081")
        host, _, port = address.rpartition(":")
        return cls(host.strip("[]"), int(port))


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the reconciler runs. `health` of None answers no probes."""

    access: Access
    clock: Clock
    workers: int
    lease_ttl: timedelta
    egress: EgressPolicy = field(default_factory=EgressPolicy)
    health: Health | None = None


async def operate(db: WriterDB, options: Options, stop: asyncio.Event) -> None:
    """Reconcile what the cluster declares until `stop` is set; then end cleanly, leaving no lease behind.

    Raises NeedsPerson when the cluster cannot be used as it is, and what the watch ended with.
    """
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
    known = kinds()
    vitals = Vitals()
    source = KubernetesSource(
        options.access, known, clock=options.clock, instance=socket.gethostname(), count=vitals.called
    )
    deps = Deps(
        db=db,
        source=source,
        source_name=options.access.name,
        connector=connector,
        kinds=known,
        clock=options.clock,
        holder=holder,
        egress=options.egress,
        lease_ttl=options.lease_ttl,
        desks=Desks(max(2, options.workers // 2)),
    )
    engine = Engine(deps, handlers=vitals.counting(HANDLERS), workers=options.workers)
    vitals.watch(engine.queue, source.begun)
    async with source, _probed(options, source, db, vitals) as where:
        log.info("reconciling", cluster=options.access.name, probes=where)
        try:
            await engine.run(stop)
        finally:
            await _give_back(db, holder)


async def _give_back(db: WriterDB, holder: str) -> None:
    """Let others in at once; where the database is away, they are let in when the leases expire."""
    try:
        await leases.give_back_all(db, holder)
    except LedgerError as error:
        log.warning("leases are not given back and expire by themselves", error=str(error))


async def let_go(access: Access) -> None:
    """Take our finalizer off everything, so that nothing waits for a reconciler that is no more."""
    for key in await released(access, kinds()):
        log.warning("not held back any more; its data stays in the ledger", key=str(key))


@asynccontextmanager
async def _probed(
    options: Options, source: KubernetesSource, db: WriterDB, vitals: Vitals
) -> AsyncIterator[str | None]:
    if options.health is None:
        yield None
        return

    async def unready() -> str | None:
        if not source.watching:
            return "the watch on the cluster has not begun"
        try:
            async with db.transaction() as connection:
                await schema_step(connection)
        except LedgerError as error:
            return str(error)
        return None

    host, port = options.health.host, options.health.port
    async with probes(host, port, live=source.trouble, ready=unready, metrics=vitals.registry) as where:
        yield where
