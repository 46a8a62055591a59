"""The engine: keys from the source and the database into the work queue, each reconciled, its status written.

Level-triggered: an event only names a key. What is to be done is decided from the resource and the database as
they are when its turn comes, so lost, doubled and late notices change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import structlog

from ledger import notices, resources, standing
from ledger.errors import LedgerError
from ledger.errors import RetryLater as LedgerRetryLater
from ledger.resources import Ref, Sighting
from reconciler import status
from reconciler.alerting.judge import Judge
from reconciler.case import Case, Outcome
from reconciler.deps import Deps
from reconciler.errors import ReconcilerError, RetryLater
from reconciler.feeding import failure
from reconciler.kinds import (
    reconcile_alert,
    reconcile_allocation,
    reconcile_budget,
    reconcile_channel,
    reconcile_manualcost,
    reconcile_provider,
)
from reconciler.queue import WorkQueue
from reconciler.sources.base import Event, Key, Resource
from reconciler.status import Verdict

log = structlog.get_logger()

POLL: Final = timedelta(seconds=30)
"""How often requests are looked for in case a notice was lost."""

Reconcile = Callable[[Case, Deps], Awaitable[Outcome]]
Leave = Callable[[Ref, Mapping[str, Any], Deps], Awaitable[bool]]


@dataclass(frozen=True)
class Handler:
    """How a kind of resource is reconciled, and what happens when one goes.

    `leave` is given the last spec; it answers whether every trace of the resource is to go too.
    """

    reconcile: Reconcile
    leave: Leave


HANDLERS: Final[Mapping[str, Handler]] = {
    "Alert": Handler(reconcile_alert.reconcile, reconcile_alert.leave),
    "Allocation": Handler(reconcile_allocation.reconcile, reconcile_allocation.leave),
    "Budget": Handler(reconcile_budget.reconcile, reconcile_budget.leave),
    "Channel": Handler(reconcile_channel.reconcile, reconcile_channel.leave),
    "ManualCost": Handler(reconcile_manualcost.reconcile, reconcile_manualcost.leave),
    "Provider": Handler(reconcile_provider.reconcile, reconcile_provider.leave),
}


@dataclass
class Engine:
    """Reconciles the resources of one source with `workers` tasks."""

    deps: Deps
    handlers: Mapping[str, Handler] = field(default_factory=lambda: HANDLERS)
    workers: int = 8
    forced: set[Key] = field(default_factory=set)
    queue: WorkQueue[Key] = field(default_factory=WorkQueue)
    alerts: Judge = field(init=False)

    def __post_init__(self) -> None:
        self.alerts = Judge(self.deps, self.queue.add)

    async def run(self, stop: asyncio.Event) -> None:
        """Reconcile until `stop` is set; then let go of what is under way, leaving no half window."""
        self.deps.desks.wake = self.queue.add
        await self._note_missing()
        async with asyncio.TaskGroup() as tasks:
            jobs = (self._follow_source, self._follow_requests, self.alerts.run, self.alerts.deliver)
            going = [tasks.create_task(job()) for job in jobs]
            going += [tasks.create_task(self._work()) for _ in range(self.workers)]
            await stop.wait()
            for task in going:
                task.cancel()
        self.queue.close()

    async def settle(self, keys: list[Key], *, missing: bool = True) -> None:
        """Reconcile each key once, syncing whether due or not, and return; failures are not tried again.

        Alerts that this touches are judged, and what is due to be told is delivered.

        `missing` also looks at what the ledger knows of the source beside the keys, to let go of what went.
        """
        self.deps.desks.wake = self.queue.add
        self.forced.update(keys)
        if missing:
            await self._note_missing()
        for key in keys:
            self.queue.add(key)
        workers = [asyncio.create_task(self._work()) for _ in range(self.workers)]
        try:
            await self.queue.idle()
            while await self.alerts.judge():
                await self.queue.idle()
            await self.alerts.settle()
            await self.queue.idle()
        finally:
            self.queue.close()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _follow_source(self) -> None:
        async for key in self.deps.source.changes():
            self.queue.add(key)

    async def _note_missing(self) -> None:
        """Name what the ledger knows of this source, so that what went while nobody watched is noticed."""
        for seen in await resources.of_source(self.deps.db, self.deps.source_name):
            self.queue.add(Key(seen.ref.kind, seen.ref.namespace, seen.ref.name))

    async def _follow_requests(self) -> None:
        """Feed requests made in the database: at a notice, and now and then in case one was lost."""
        heard = notices.Listener(self.deps.db, notices.REQUESTS)
        while True:
            try:
                async with heard:
                    while True:
                        await self._take_requests()
                        self.alerts.ring()
                        await heard.wait(POLL)
            except LedgerError as error:
                log.warning("requests cannot be read", error=str(error))
                await asyncio.sleep(1)

    async def _take_requests(self) -> None:
        for namespace, name in await standing.waiting(self.deps.db):
            self.queue.add(Key("Provider", namespace, name))
            self.queue.add(Key("ManualCost", namespace, name))

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self._reconcile(key)
            except (LedgerRetryLater, RetryLater) as error:
                wait = self.queue.failed(key, error.after)
                log.warning("will be tried again", key=str(key), error=str(error), seconds=wait.total_seconds())
            except Exception:
                wait = self.queue.failed(key)
                log.exception("reconciling failed unexpectedly", key=str(key), seconds=wait.total_seconds())
            finally:
                self.queue.done(key)
                self.deps.desks.done(key)
                self.alerts.ring()

    async def _reconcile(self, key: Key) -> None:
        handler = self.handlers.get(key.kind)
        if handler is None or not self._has_place(key):
            return
        resource = await self.deps.source.get(key)
        if resource is None or resource.deleting:
            await self._let_go(key, handler, resource)
            return
        case = await self._open(resource)
        try:
            outcome = await handler.reconcile(case, self.deps)
        except (ReconcilerError, LedgerError) as error:
            outcome = failure(error)
        if not outcome.waits:
            self.forced.discard(key)
        await self._close(case, outcome)

    def _has_place(self, key: Key) -> bool:
        """Whether it is worth to ask for the resource: not where its vendor is known, and has no place for it."""
        vendor = self.deps.source.vendor(key)
        return vendor is None or self.deps.desks.has_place(vendor, key)

    async def _open(self, resource: Resource) -> Case:
        ref = _ref(resource.key)
        sighting = Sighting(
            ref,
            resource.uid,
            resource.generation,
            self.deps.source_name,
            resource.place,
            resource.labels,
            resource.spec,
        )
        generation, kept = await resources.see(self.deps.db, sighting, self.deps.now())
        before = kept if resource.status is None else resource.status

        async def show(verdict: Verdict) -> None:
            said = status.compose(before, verdict, generation, self.deps.now(), {})
            await self._write(resource.key, {**said, "observedGeneration": before.get("observedGeneration", 0)})

        return Case(resource, generation, before, resource.key in self.forced, show, kept)

    async def _close(self, case: Case, outcome: Outcome) -> None:
        key = case.resource.key
        if outcome.verdict is not None:
            verdict = status.withheld(outcome.verdict, case.resource.wrong)
            now, fields = self.deps.now(), outcome.fields
            said = status.compose(case.before, verdict, case.generation, now, fields, outcome.remarks)
            if said != case.before or said != case.kept:
                await self._write(key, said)
            await self._tell(case, said)
        if outcome.failed:
            self.queue.failed(key, outcome.again)
        else:
            self.queue.succeeded(key)
            if outcome.again is not None:
                self.queue.add_after(key, outcome.again)

    async def _write(self, key: Key, said: Mapping[str, Any]) -> None:
        await resources.write_status(self.deps.db, _ref(key), said, self.deps.now())
        await self.deps.source.write_status(key, said)

    async def _tell(self, case: Case, said: Mapping[str, Any]) -> None:
        """An event at each turn of `Ready`, not at each sync, and one when a remark comes up."""
        for remark in status.new_remarks(case.before, said):
            await self.deps.source.record_event(case.resource.key, Event("Warning", remark.reason, remark.message))
        before, after = status.ready(case.before), status.ready(said)
        if after is None or (before is not None and _turn(before) == _turn(after)):
            return
        fine = after["status"] == "True" or after["reason"] == "Suspended"
        event = Event("Normal" if fine else "Warning", after["reason"], after["message"])
        await self.deps.source.record_event(case.resource.key, event)

    async def _let_go(self, key: Key, handler: Handler, resource: Resource | None) -> None:
        """The resource is gone or going: do what its kind does then, and let the source forget it."""
        seen = await resources.find(self.deps.db, _ref(key))
        spec = resource.spec if resource is not None else (seen.spec if seen is not None else {})
        if resource is None and seen is not None and self.deps.source.unreadable(seen.place):
            return
        if seen is not None or resource is not None:
            if await handler.leave(_ref(key), spec, self.deps):
                await resources.forget(self.deps.db, _ref(key))
            else:
                await resources.gone(self.deps.db, _ref(key), self.deps.now())
        if resource is not None:
            await self.deps.source.release(key)
        self.queue.succeeded(key)


def _ref(key: Key) -> Ref:
    return Ref(key.namespace, key.kind, key.name)


def _turn(condition: Mapping[str, Any]) -> tuple[Any, Any]:
    return condition["status"], condition["reason"]
