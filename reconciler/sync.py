"""One sync of one provider: the windows that are due, read and replaced one by one, newest first.

Each window is committed by itself, so a crash loses at most the window it was in: what is due is decided from
what the ledger has, and the next sync goes on there. A window whose data is bad is left as it was and told;
the others are read all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from ledger import accounts, leases, replacement, runs
from ledger.charge import Charge
from ledger.database import WriterDB
from ledger.errors import InvalidCharge, LedgerError
from ledger.leases import Lease
from ledger.runs import Outcome, Request, Run, Trigger
from ledger.window import DAY, Span, Window, due, midnight
from reconciler.connectors.base import Connector
from reconciler.errors import BadData, Bug, ReconcilerError

log = structlog.get_logger()

Reader = Callable[[Window], AsyncIterator[Sequence[Charge]]]


class Canceled(ReconcilerError):
    """Someone asked for this sync to stop; what was stored until then stays."""

    reason = "Canceled"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a provider is to be read: how far back, how long its figures move, how late they come."""

    history: timedelta | None
    moving: timedelta
    settling: timedelta

    def wanted(self, now: datetime) -> Span:
        """All whole UTC days from the first of the history to today."""
        today = midnight(now.date())
        return Span(today - (self.history or timedelta()), today + DAY)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sync ended; `error` is the first that was met, `fields` what it found out for the status."""

    outcome: Outcome
    windows: int
    error: ReconcilerError | LedgerError | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


class Sync:
    """One run under a lease. `clean` takes secrets out of texts; whoever opens a client with secrets sets it."""

    def __init__(self, db: WriterDB, lease: Lease, run: Run, clock: Callable[[], datetime]) -> None:
        self.db, self.lease, self.run, self.clock = db, lease, run, clock
        self.clean: Callable[[str], str] = str
        self._stop: ReconcilerError | LedgerError | None = None

    async def read_due(self, connector: Connector[Any], terms: Terms) -> Ending:
        """Read every window that is due, or that people asked for."""
        wanted = terms.wanted(self.clock())
        known = await accounts.pieces(self.db, self.lease.namespace, self.lease.provider)
        asked = [request.span(wanted.end.date()) for request in await self.requests()]
        spans = due(wanted, known, terms.moving, again=[span for span in asked if span is not None])
        windows = await connector.windows(spans, wanted)
        return await self.read(windows, connector.charges, terms.settling)

    async def requests(self) -> list[Request]:
        """What people asked for by hand; this run answers it."""
        return await runs.claim_requests(self.db, self.run)

    async def read(self, windows: Sequence[Window], charges: Reader, settling: timedelta) -> Ending:
        """Read and replace `windows` in their order."""
        await runs.plan(self.db, self.run, len(windows))
        first: ReconcilerError | LedgerError | None = None
        done = 0
        async with self._kept_alive():
            for window in windows:
                try:
                    await self._replace(window, charges, settling)
                    done += 1
                except (BadData, Bug, InvalidCharge) as error:
                    self.hush(error)
                    log.warning("window left as it was", run=self.run.id, start=window.start, error=str(error))
                    first = first or error
        return Ending("Failed" if first else "Succeeded", done, first)

    def hush(self, error: Exception) -> None:
        """Take secrets out of an error's text, whoever put them there: a connector may quote its vendor."""
        error.args = (self.clean(str(error)),)

    async def _replace(self, window: Window, charges: Reader, settling: timedelta) -> None:
        reading = replacement.Reading(self.lease, self.run.id, self.clock(), settling)
        await replacement.replace(self.db, reading, window, charges(window))

    @asynccontextmanager
    async def _kept_alive(self) -> AsyncIterator[None]:
        """Keep the lease while the block runs; a lost lease or a wish to cancel ends the block with that error."""
        task = asyncio.current_task()
        assert task is not None
        beats = asyncio.create_task(self._beat(task))
        try:
            yield
        except asyncio.CancelledError:
            if self._stop is None or task.uncancel() > 0:
                raise
            raise self._stop from None
        finally:
            beats.cancel()
            with suppress(asyncio.CancelledError):
                await beats

    async def _beat(self, reading: asyncio.Task[Any]) -> None:
        """Extend the lease and look for a wish to cancel, several times within the lease's life."""
        while self._stop is None:
            await asyncio.sleep(min(self.lease.ttl.total_seconds() / 4, 2.0))
            try:
                async with self.db.transaction() as connection:
                    await leases.hold(connection, self.lease)
                    canceled = await runs.is_canceled(connection, self.run)
                if canceled:
                    self._stop = Canceled("canceled on request; windows stored until then stay")
            except LedgerError as error:
                self._stop = error
        reading.cancel()


async def under_lease(
    db: WriterDB,
    lease: Lease,
    trigger: Trigger,
    clock: Callable[[], datetime],
    work: Callable[[Sync], Awaitable[Ending]],
) -> Ending:
    """Start a run, do `work`, and note how it ended whatever happens; then give the lease back."""
    run = await runs.start(db, lease.namespace, lease.provider, trigger, clock())
    sync = Sync(db, lease, run, clock)
    ending = Ending("Canceled", 0, Canceled("the program was stopped while it synced"))
    try:
        ending = await work(sync)
    except Canceled as error:
        ending = Ending("Canceled", 0, error)
    except (ReconcilerError, LedgerError) as error:
        sync.hush(error)
        ending = Ending("Failed", 0, error)
    finally:
        await asyncio.shield(_note_end(db, lease, run, ending, clock()))
    return ending


async def _note_end(db: WriterDB, lease: Lease, run: Run, ending: Ending, now: datetime) -> None:
    error = ending.error
    reason, said = (error.reason, str(error)) if error is not None else (None, None)
    await runs.finish(db, run, ending.outcome, now, reason=reason, error=said)
    await leases.give_back(db, lease)
