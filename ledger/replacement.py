"""Replacing one window of one provider by what the vendor says now, in one transaction.

Pieces (UTC days) whose digest is unchanged are only marked as read. Days that held nothing are written straight
into the partition. The others are staged and compared inside the database, set-wise: rows that are gone move
to the history with the time until which they were believed, rows that are new come in, and nothing else is
written. The daily rollup, the restatement report, the pieces, the completeness, the run's progress and the
connector's memory change in the same transaction, or not at all.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import diff, leases, partitions
from ledger.charge import Charge
from ledger.database import WriterDB
from ledger.errors import NotFound
from ledger.intake import Intake
from ledger.leases import Lease
from ledger.schema import CHARGE_COLUMNS
from ledger.window import Piece, Span, Window, complete_through, month_start

MICROSECOND = timedelta(microseconds=1)


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
    db: WriterDB, reading: Reading, window: Window, batches: AsyncIterable[Sequence[Charge]]
) -> WindowReport:
    """Read every batch, then make the ledger hold exactly these charges for the window.

    Raises InvalidCharge or whatever `batches` raises, and then nothing has changed; LeaseLost when another
    process took over meanwhile.
    """
    async with Intake(window) as intake:
        await intake.read(batches)
        await partitions.ensure(db, _months(intake))
        async with db.transaction() as connection:
            await leases.hold(connection, reading.lease)
            report = await _Replacement(connection, reading, intake).run()
            await leases.hold(connection, reading.lease)
    return report


def _months(intake: Intake) -> Sequence[datetime]:
    filled = (piece for piece, rows in zip(intake.pieces, intake.rows, strict=True) if rows)
    return sorted({month for piece in filled for month in piece.months()})


class _Replacement:
    """The steps of one transaction."""

    def __init__(self, connection: AsyncConnection, reading: Reading, intake: Intake) -> None:
        self.connection = connection
        self.reading = reading
        self.intake = intake
        self.window = intake.window
        self.believed = reading.read_at
        self.key: dict[str, Any] = {"namespace": reading.lease.namespace, "provider": reading.lease.provider}

    async def run(self) -> WindowReport:
        self.believed = await self._believed()
        known = await self._known()
        fresh, changed = self._sort(known)
        counts = (0, 0, 0)
        if fresh or changed:
            await self._execute(diff.PREPARE)
            await self._name_pieces(fresh, changed, known)
            fresh = await self._write_fresh(fresh, changed)
            await self._write_changed(changed)
            counts = await self._settle_sums()
        await self._note_pieces(known)
        await self._note_memory()
        report = WindowReport(sum(self.intake.rows), *counts)
        await self._note_progress(report, touched=bool(fresh or changed))
        return report

    async def _believed(self) -> datetime:
        """The time of this change: that of reading, but always later than the provider's last change."""
        row = (await self._execute(diff.LOCK_PROVIDER)).first()
        if row is None:
            raise NotFound(f"provider {self.key['namespace']}/{self.key['provider']} was removed while it was synced")
        last = row.believed_at
        return self.reading.read_at if last is None else max(self.reading.read_at, last + MICROSECOND)

    async def _known(self) -> list[Piece]:
        found = await self._execute(diff.KNOWN_PIECES, start=self.window.start, end=self.window.end)
        return [
            Piece(Span(row.starts_at, row.ends_at), row.read_at, int.from_bytes(row.digest, "big"), row.charges)
            for row in found
        ]

    def _sort(self, known: Sequence[Piece]) -> tuple[set[int], set[int]]:
        """Indexes of the pieces that held nothing and now do, and of those that must be compared."""
        fresh, changed = set(), set()
        for index, span in enumerate(self.intake.pieces):
            before = [piece for piece in known if piece.span.overlaps(span)]
            if self._unchanged(index, before):
                continue
            if any(piece.rows for piece in before):
                changed.add(index)
            elif self.intake.rows[index]:
                fresh.add(index)
        return fresh, changed

    def _unchanged(self, index: int, before: Sequence[Piece]) -> bool:
        if len(before) != 1 or before[0].span != self.intake.pieces[index]:
            return False
        same_digest = before[0].digest == int.from_bytes(self.intake.digest(index), "big")
        return same_digest and before[0].rows == self.intake.rows[index]

    async def _name_pieces(self, fresh: set[int], changed: set[int], known: Sequence[Piece]) -> None:
        rows = []
        for index in sorted(fresh | changed):
            span = self.intake.pieces[index]
            before = [piece for piece in known if piece.span.overlaps(span)]
            whole = bool(before) and all(p.read_at >= p.span.end + self.reading.settling for p in before)
            rows.append({"starts_at": span.start, "ends_at": span.end, "fresh": index in fresh, "restated": whole})
        await self.connection.execute(text(diff.NAME_PIECES), rows)

    async def _write_fresh(self, fresh: set[int], changed: set[int]) -> set[int]:
        """Write empty days directly; days in which exact duplicates met are moved to those to be compared."""
        if not fresh:
            return fresh
        try:
            async with self.connection.begin_nested():
                for month, indexes in self._by_month(fresh).items():
                    await self._copy(partitions.name(month), indexes)
        except asyncpg.UniqueViolationError:
            changed |= fresh
            await self._execute(diff.NOTHING_FRESH)
            return set()
        return fresh

    async def _write_changed(self, changed: set[int]) -> None:
        await self._execute(diff.MAKE_STAGE)
        if changed:
            await self._copy("staged", changed)
            for step in diff.COMPARE:
                await self._execute(step, start=self.window.start, end=self.window.end, believed=self.believed)

    async def _settle_sums(self) -> tuple[int, int, int]:
        values = {"start": self.window.start, "end": self.window.end, "believed": self.believed}
        await self._execute(diff.MERGE_ROLLUP, **values)
        await self._execute(diff.DROP_EMPTY_ROLLUP, **values)
        found = await self._execute(diff.REPORT, run_id=self.reading.run_id, **values)
        rows = found.all()
        return (
            sum(row.rows_inserted for row in rows),
            sum(row.rows_changed for row in rows),
            sum(row.rows_removed for row in rows),
        )

    async def _note_pieces(self, known: Sequence[Piece]) -> None:
        read_at = self.reading.read_at
        if self.window.seen_until is not None:
            read_at = min(read_at, self.window.seen_until)
        await self._trim(known)
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

    async def _trim(self, known: Sequence[Piece]) -> None:
        """Where earlier windows were cut differently, keep what they know outside this one, to compare next time."""
        cut = [piece for piece in known if piece.span not in self.intake.pieces]
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
        await self._execute(diff.NOTE_PROVIDER, complete_through=whole, believed=believed)
        await self._execute(
            diff.NOTE_RUN,
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

    async def _copy(self, table: str, wanted: Collection[int]) -> None:
        raw = await self.connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        await driver.copy_records_to_table(table, records=self._rows(wanted), columns=CHARGE_COLUMNS)

    async def _rows(self, wanted: Collection[int]) -> AsyncIterator[tuple[Any, ...]]:
        namespace, provider, believed = self.key["namespace"], self.key["provider"], self.believed
        async for (start, row_id, identity, values), copy in self.intake.records(wanted):
            yield (namespace, provider, start, row_id, copy, identity, believed, *values)

    async def _execute(self, statement: str, **values: Any) -> Any:
        return await self.connection.execute(text(statement), {**self.key, **values})
