"""One sync of one provider: the windows that are due, read and replaced one by one, newest first.

Each window is committed by itself, so a crash loses at most the window it was in: what is due is decided from
what the ledger has, and the next sync goes on there. A window whose data is bad is left as it was and told;
the others are read all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from ledger import accounts, leases, replacement, runs, turns
from ledger.charge import Charge
from ledger.database import WriterDB
from ledger.errors import InvalidCharge, LedgerError
from ledger.runs import Outcome, Request
from ledger.turns import End, Turn
from ledger.window import DAY, Piece, Span, Window, due, midnight
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
    """How a sync ended; `error` is the first that was met, `fields` what it found out for the status.

    `next_at` is when the next one is due, as it was noted with the end.
    """

    outcome: Outcome
    windows: int
    error: ReconcilerError | LedgerError | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    next_at: datetime | None = None


class Sync:
    """One run under a lease. `clean` takes secrets out of texts; whoever opens a client with secrets sets it."""

    def __init__(self, db: WriterDB, turn: Turn, clock: Callable[[], datetime]) -> None:
        self.db, self.turn, self.clock = db, turn, clock
        self.lease, self.run = turn.lease, turn.run
        self.clean: Callable[[str], str] = str
        self._stop: ReconcilerError | LedgerError | None = None
        self._calls = self._bytes = 0
        self._pieces: list[Piece] | None = None

    async def read_due(self, connector: Connector[Any], terms: Terms) -> Ending:
        """Read every window that is due, or that people asked for."""
        wanted = terms.wanted(self.clock())
        known = await self.pieces()
        asked = [request.span(wanted.end.date()) for request in await self.requests()]
        spans = due(wanted, known, terms.moving, again=[span for span in asked if span is not None])
        windows = await connector.windows(spans, wanted)
        return await self.read(windows, connector.charges, terms.settling)

    async def requests(self) -> list[Request]:
        """What people asked for by hand before it began; this run answers it."""
        return await runs.claim_requests(self.db, self.run) if self.turn.asked else []

    async def pieces(self) -> list[Piece]:
        """Everything that was read of the provider before."""
        self._pieces = await accounts.pieces(self.db, self.lease.namespace, self.lease.provider)
        return self._pieces

    def note(self, calls: int, bytes_read: int) -> None:
        """Count what the vendor was asked and what came of it; it is written down within seconds, and at the end."""
        self._calls += calls
        self._bytes += bytes_read

    async def meter(self) -> None:
        """Write down now what was counted so far."""
        calls, bytes_read = self.unmetered()
        if not (calls or bytes_read):
            return
        try:
            await runs.meter(self.db, self.run, self.clock().date(), calls, bytes_read)
        except BaseException:
            self.note(calls, bytes_read)
            raise

    def unmetered(self) -> tuple[int, int]:
        """Calls and bytes that are not written down; whoever takes them writes them."""
        counted = self._calls, self._bytes
        self._calls = self._bytes = 0
        return counted

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
        pieces, self._pieces = self._pieces, None  # from now on they are others
        await replacement.replace(self.db, reading, window, charges(window), pieces=pieces)

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
        """Extend the lease, write calls down and look for a wish to cancel, several times within the lease's life."""
        while self._stop is None:
            await asyncio.sleep(min(self.lease.ttl.total_seconds() / 4, 2.0))
            try:
                await self.meter()
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
    turn: Turn,
    clock: Callable[[], datetime],
    work: Callable[[Sync], Awaitable[Ending]],
    next_after: Callable[[Ending, datetime], datetime | None],
) -> Ending:
    """Do `work`, and note how it ended whatever happens, with when the next sync is due; then give the lease back."""
    sync = Sync(db, turn, clock)
    ending: Ending | None = None
    try:
        ending = await work(sync)
    except Canceled as error:
        ending = Ending("Canceled", 0, error)
    except (ReconcilerError, LedgerError) as error:
        sync.hush(error)
        ending = Ending("Failed", 0, error)
    finally:
        now = clock()
        if ending is None:
            ending = Ending("Canceled", 0, Canceled("the program was stopped while it synced"))
        else:
            ending = replace(ending, next_at=next_after(ending, now))
        await asyncio.shield(_note_end(sync, ending, now))
    return ending


async def _note_end(sync: Sync, ending: Ending, now: datetime) -> None:
    error = ending.error
    reason, said = (error.reason, str(error)) if error is not None else (None, None)
    end = End(ending.outcome, reason, said, ending.next_at, *sync.unmetered())
    await turns.end(sync.db, sync.turn, end, now)
