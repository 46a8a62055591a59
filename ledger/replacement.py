"""Replacing one window of one provider by what the vendor says now, in one transaction.

Pieces (UTC days) whose digest is unchanged are only marked as read. Days that held nothing are written straight
into the partition. The others are staged and compared inside the database, set-wise: rows that are gone move
to the history with the time until which they were believed, rows that are new come in, and nothing else is
written. The daily rollup, the restatement report, the pieces, the completeness, the run's progress and the
connector's memory change in the same transaction, or not at all.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import diff, leases, partitions
from ledger.charge import Charge
from ledger.database import WriterDB
from ledger.encoding import HASH_BYTES, moment
from ledger.errors import NotFound
from ledger.intake import MEMORY, Intake, Memory
from ledger.leases import Lease
from ledger.schema import CHARGE_COLUMNS
from ledger.sums import SUMMED_COLUMNS, Sums
from ledger.window import Piece, Span, Window, complete_through, month_start

MICROSECOND = timedelta(microseconds=1)
NAMED_AT_MOST = 50_000
"""Rows that are looked for one by one among those kept aside; beyond, the database sorts out the needed ones."""
QUICK = 10_000
"""Rows that are written well within the life of a lease."""
ADDED_AT_MOST = 5_000
"""Lines of the rollup that are sent within a statement; beyond, they are worth a table to be copied into."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a window is read for: whose it is, in which run, when, and how late the vendor's figures come."""

    lease: Lease
    run_id: int
    read_at: datetime
    settling: timedelta


@dataclass(frozen=True, slots=True)
class WindowReport:
    """What replacing a window did: rows the vendor returned, and rows inserted, changed and removed by it."""

    read: int
    inserted: int = 0
    changed: int = 0
    removed: int = 0


async def replace(
    db: WriterDB,
    reading: Reading,
    window: Window,
    batches: AsyncIterable[Sequence[Charge]],
    memory: Memory = MEMORY,
    pieces: Sequence[Piece] | None = None,
) -> WindowReport:
    """Read every batch, then make the ledger hold exactly these charges for the window.

    `pieces` is everything that was read of the provider before, where the holder of the lease knows it already.
    Raises InvalidCharge or whatever `batches` raises, and then nothing has changed; LeaseLost when another
    process took over meanwhile.
    """
    known = _within(window, pieces) if pieces is not None else await _known(db, reading.lease, window)
    filled = [i for i, span in enumerate(window.span.pieces()) if any(p.rows and p.span.overlaps(span) for p in known)]
    async with Intake(window, filled, memory) as intake:
        ended = await intake.read(batches, at_most=memory.held)
        streamed = not ended and not filled and len(list(window.span.months())) == 1
        if not ended and not streamed:
            await intake.read(batches)
        await partitions.ensure(db, window.span.months() if streamed else _months(intake))
        async with db.transaction() as connection:
            await leases.hold(connection, reading.lease)
            replacement = _Replacement(connection, reading, intake, known)
            report = await replacement.run(batches if streamed else None)
            if streamed or report.read > QUICK:
                await leases.hold(connection, reading.lease)
    return report


def _within(window: Window, pieces: Sequence[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.span.overlaps(window.span)]


async def _known(db: WriterDB, lease: Lease, window: Window) -> list[Piece]:
    """What was read of the window before. The lease is held, so nobody changes it until this is done."""
    values = {"namespace": lease.namespace, "provider": lease.provider, "start": window.start, "end": window.end}
    async with db.statement() as connection:
        found = await connection.execute(text(diff.KNOWN_PIECES), values)
        return [
            Piece(Span(row.starts_at, row.ends_at), row.read_at, int.from_bytes(row.digest, "big"), row.charges)
            for row in found
        ]


def _months(intake: Intake) -> Sequence[datetime]:
    filled = (piece for piece, rows in zip(intake.pieces, intake.rows, strict=True) if rows)
    return sorted({month for piece in filled for month in piece.months()})


class _Replacement:
    """The steps of one transaction."""

    def __init__(self, connection: AsyncConnection, reading: Reading, intake: Intake, known: Sequence[Piece]) -> None:
        self.connection = connection
        self.reading = reading
        self.intake = intake
        self.known = known
        self.window = intake.window
        self.stretch = intake.window.span
        self.believed = reading.read_at
        self.key: dict[str, Any] = {"namespace": reading.lease.namespace, "provider": reading.lease.provider}

    async def run(self, rest: AsyncIterable[Sequence[Charge]] | None) -> WindowReport:
        """All steps. `rest` are batches still to come, to be written as they come into days that hold nothing."""
        self.believed = await self._believed()
        written = rest is not None and not await self._collided(self._stream(rest))
        fresh, changed = self._sort()
        counts = (0, 0, 0)
        if fresh or changed:
            counts = await self._write(fresh, changed, written=written)
        await self._note_pieces()
        await self._note_memory()
        report = WindowReport(sum(self.intake.rows), *counts)
        await self._note_progress(report, touched=bool(fresh or changed))
        return report

    async def _stream(self, rest: AsyncIterable[Sequence[Charge]]) -> None:
        """Write a window that is large, of one month and into empty days, while the rest of it is being read."""
        table = partitions.name(month_start(self.window.start))
        try:
            await self._copy(table, CHARGE_COLUMNS, self.intake.flow(rest, self._prefix()))
        except asyncpg.UniqueViolationError:
            await self.intake.read(rest)
            raise

    async def _believed(self) -> datetime:
        """The time of this change: that of reading, but always later than the provider's last change."""
        row = (await self._execute(diff.LOCK_PROVIDER)).first()
        if row is None:
            raise NotFound(f"provider {self.key['namespace']}/{self.key['provider']} was removed while it was synced")
        last = row.believed_at
        return self.reading.read_at if last is None else max(self.reading.read_at, last + MICROSECOND)

    def _sort(self) -> tuple[set[int], set[int]]:
        """Indexes of the pieces that held nothing and now do, and of those whose rows must be compared."""
        changed = {index for index in self.intake.filled if not self._unchanged(index)}
        fresh = {index for index, rows in enumerate(self.intake.rows) if rows} - self.intake.filled
        return fresh, changed

    def _unchanged(self, index: int) -> bool:
        before = self._before(index)
        if len(before) != 1 or before[0].span != self.intake.pieces[index]:
            return False
        same_digest = before[0].digest == int.from_bytes(self.intake.digest(index), "big")
        return same_digest and before[0].rows == self.intake.rows[index]

    def _before(self, index: int) -> list[Piece]:
        return [piece for piece in self.known if piece.span.overlaps(self.intake.pieces[index])]

    def _bounds(self) -> dict[str, datetime]:
        """The window, the stretch of it that is at work, and the time of the change."""
        return {
            "start": self.window.start,
            "end": self.window.end,
            "since": self.stretch.start,
            "until": self.stretch.end,
            "believed": self.believed,
        }

    async def _name_pieces(self, fresh: set[int], changed: set[int]) -> None:
        rows: list[dict[str, Any]] = []
        for index in sorted(fresh | changed):
            span = self.intake.pieces[index]
            said = {"fresh": index in fresh, "restated": self._was_whole(index)}
            rows.append({"starts_at": span.start, "ends_at": span.end, **said})
        self.stretch = Span(rows[0]["starts_at"], rows[-1]["ends_at"])
        await self._execute(diff.PREPARE)
        await self._execute(diff.MAKE_STAGE)
        await self.connection.execute(text(diff.NAME_PIECES), rows)

    def _was_whole(self, index: int) -> bool:
        """Whether the figures of a piece had settled before, so that a change restates them."""
        before = self._before(index)
        return bool(before) and all(p.read_at >= p.span.end + self.reading.settling for p in before)

    async def _write(self, fresh: set[int], changed: set[int], *, written: bool) -> tuple[int, int, int]:
        """Write days that held nothing directly; compare the others, and days in which exact duplicates met."""
        collided = not written and await self._duplicated(fresh)
        sums = self.intake.sums
        if not (collided or changed) and sums is not None and len(sums) <= ADDED_AT_MOST:
            return await self._add_fresh(sums, fresh), 0, 0
        await self._name_pieces(fresh, changed)
        if collided:
            await self._execute(diff.NOTHING_FRESH)
            await self._copy("incoming", CHARGE_COLUMNS, self.intake.lines(fresh, self._prefix()))
            await self._execute(diff.STAGE_INCOMING)
        else:
            await self._sum_fresh(fresh)
        if collided or changed:
            await self._copy("staged", diff.STAGED_COLUMNS, self.intake.keys(changed))
            await self._compare(changed)
        return await self._settle_sums()

    async def _add_fresh(self, sums: Sums, fresh: set[int]) -> int:
        whole = {moment(self.intake.pieces[index].start): self._was_whole(index) for index in fresh}
        lines = [{**line, "restated": whole[line["starts_at"]]} for line in sums.records(self.intake.pieces, fresh)]
        bounds = {name: self._bounds()[name] for name in ("start", "end", "believed")}
        added = await self._execute(diff.ADD_FRESH, run_id=self.reading.run_id, summed=json.dumps(lines), **bounds)
        return sum(added.scalars())

    async def _duplicated(self, fresh: set[int]) -> bool:
        """Write days that held nothing; true, and nothing written, when duplicates met that cannot be told apart."""
        if self.intake.batches > 1:
            return await self._collided(self._write_fresh(fresh))
        await self._write_fresh(fresh)  # within a batch they were told apart as they came in
        return False

    async def _write_fresh(self, fresh: set[int]) -> None:
        for month, indexes in self._by_month(fresh).items():
            await self._copy(partitions.name(month), CHARGE_COLUMNS, self.intake.lines(indexes, self._prefix()))

    async def _sum_fresh(self, fresh: set[int]) -> None:
        if self.intake.sums is None:
            await self._execute(diff.SUM_FRESH, **self._bounds())
        elif fresh:
            sums = self.intake.sums.rows(self.intake.pieces, fresh)
            await self._copy("summed", SUMMED_COLUMNS, _encoded(sums))

    async def _collided(self, writing: Awaitable[None]) -> bool:
        """Write; true, and nothing written, when rows that say exactly the same came in two batches."""
        try:
            async with self.connection.begin_nested():
                await writing
        except asyncpg.UniqueViolationError:
            return True
        return False

    async def _compare(self, changed: set[int]) -> None:
        values = self._bounds()
        await self._execute(diff.COUNT_STAGED)
        await self._execute(diff.FIND_MISSING, **values)
        await self._bring_missing(changed)
        for step in (diff.FIND_GONE, *diff.EXCHANGE):
            await self._execute(step, **values)

    async def _bring_missing(self, changed: set[int]) -> None:
        """Send the values of the rows that the ledger has not; all rows when naming them would take much memory."""
        missing = (await self._execute(diff.COUNT_MISSING)).one()
        is_named = missing.rows <= NAMED_AT_MOST
        ids = await self._missing_ids() if is_named else None
        await self._copy("incoming", CHARGE_COLUMNS, self.intake.lines_of(changed, ids, self._prefix()))
        await self._execute(diff.ADD_INCOMING if is_named and missing.are_single else diff.FIND_ADDED)

    async def _missing_ids(self) -> Collection[bytes]:
        """The ids of the rows that the ledger has not."""
        said: bytes = (await self._execute(diff.MISSING_IDS)).scalar_one() or b""
        return {said[first : first + HASH_BYTES] for first in range(0, len(said), HASH_BYTES)}

    async def _settle_sums(self) -> tuple[int, int, int]:
        values = self._bounds()
        await self._execute(diff.MERGE_ROLLUP, **values)
        await self._execute(diff.DROP_EMPTY_ROLLUP, **values)
        found = await self._execute(diff.REPORT, run_id=self.reading.run_id, **values)
        rows = found.all()
        return (
            sum(row.rows_inserted for row in rows),
            sum(row.rows_changed for row in rows),
            sum(row.rows_removed for row in rows),
        )

    async def _note_pieces(self) -> None:
        read_at = self.reading.read_at
        if self.window.seen_until is not None:
            read_at = min(read_at, self.window.seen_until)
        await self._trim()
        rows = [
            {
                **self.key,
                "starts_at": span.start,
                "ends_at": span.end,
                "read_at": read_at,
                "digest": self.intake.digest(index),
                "charges": self.intake.rows[index],
            }
            for index, span in enumerate(self.intake.pieces)
        ]
        await self.connection.execute(text(diff.NOTE_PIECE), rows)

    async def _trim(self) -> None:
        """Where earlier windows were cut differently, keep what they know outside this one, to compare next time."""
        cut = [piece for piece in self.known if piece.span not in self.intake.pieces]
        for piece in cut:
            await self._execute(diff.FORGET_PIECE, starts_at=piece.span.start)
            for start, end in ((piece.span.start, self.window.start), (self.window.end, piece.span.end)):
                if start < end:
                    await self._execute(diff.KEEP_PART, starts_at=start, ends_at=end, read_at=piece.read_at)

    async def _note_memory(self) -> None:
        for name, value in self.window.remember.items():
            if value is None:
                await self._execute(diff.FORGET, name=name)
            else:
                await self._execute(diff.REMEMBER, name=name, value=json.dumps(value))

    async def _note_progress(self, report: WindowReport, *, touched: bool) -> None:
        pieces = await self._execute(diff.ALL_PIECES)
        known = [Piece(Span(row.starts_at, row.ends_at), row.read_at, 0, 0) for row in pieces]
        whole = complete_through(known, self.reading.settling)
        believed = self.believed if touched else None
        await self._execute(
            diff.NOTE_PROGRESS,
            complete_through=whole,
            believed=believed,
            run_id=self.reading.run_id,
            read=report.read,
            inserted=report.inserted,
            changed=report.changed,
            removed=report.removed,
        )

    def _by_month(self, indexes: Collection[int]) -> dict[datetime, set[int]]:
        months: dict[datetime, set[int]] = {}
        for index in indexes:
            months.setdefault(month_start(self.intake.pieces[index].start), set()).add(index)
        return months

    def _prefix(self) -> bytes:
        """The columns that are the same for every row, as COPY writes them; see CHARGE_COLUMNS."""
        return f"{self.key['namespace']}\t{self.key['provider']}\t{moment(self.believed)}\t".encode()

    async def _copy(self, table: str, columns: Sequence[str], lines: AsyncIterator[bytes]) -> None:
        raw = await self.connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        await driver.copy_to_table(table, source=lines, columns=columns, format="text", null="")

    async def _execute(self, statement: str, **values: Any) -> Any:
        return await self.connection.execute(text(statement), {**self.key, **values})


async def _encoded(lines: Iterator[str]) -> AsyncIterator[bytes]:
    """Lines in pieces of a size that is worth sending."""
    while chunk := "".join(islice(lines, 1000)):
        yield chunk.encode(errors="replace")
