"""Charges and daily costs as files: CSV, JSON lines and Parquet, streamed with flat memory.

One snapshot of the ledger feeds the manifest (totals, rows, completeness) and the file, so both agree whatever is
synced meanwhile. Amounts keep every digit and are never written with an exponent.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.database import ReaderDB
from ledger.reads.copying import copy_out
from ledger.reads.export_columns import ExportColumn, charge_columns, cost_columns, foreign_keys
from ledger.reads.export_text import cell, json_object
from ledger.reads.filters import Parameters
from ledger.reads.manifests import ExportQuestion, Manifest, describe, rows_from
from ledger.reads.parquet import parquet_chunks

Format = Literal["csv", "jsonl", "parquet"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
LONGEST_SECONDS: Final = 3600
"""After this long an export is cut off."""

# Control characters never occur in what `to_json` writes, so with these COPY's CSV passes it on as it is.
_AS_IT_IS: Final = {"format": "csv", "delimiter": "\x02", "quote": "\x01"}


@dataclass(frozen=True, slots=True)
class Export:
    """A file about to be written: what it will hold, and its bytes."""

    manifest: Manifest
    chunks: AsyncIterator[bytes]


@asynccontextmanager
async def export(
    db: ReaderDB,
    namespaces: Collection[str] | None,
    question: ExportQuestion,
    format_: Format,
    now: datetime,
    *,
    seconds: float = LONGEST_SECONDS,
) -> AsyncIterator[Export]:
    """An export whose `chunks` are to be read inside the block; leaving it early ends the work at once."""
    async with db.snapshot(namespaces, seconds=seconds) as connection:
        await connection.execute(text("set local datestyle = 'ISO'"))
        manifest = await describe(connection, question, now)
        columns = cost_columns()
        if question.what == "charges":
            foreign = await foreign_keys(connection, question.period, question.filter)
            columns = charge_columns(foreign, question.period)
        writer = {"csv": _csv, "jsonl": _jsonl, "parquet": parquet_chunks}[format_]
        async with aclosing(writer(connection, columns, manifest)) as chunks:
            yield Export(manifest, chunks)


async def _csv(
    connection: AsyncConnection, columns: Sequence[ExportColumn], manifest: Manifest
) -> AsyncGenerator[bytes]:
    """CSV by RFC 4180 but for line feeds alone, the header first; null is an empty cell."""
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(column.name for column in columns)
    yield header.getvalue().encode()
    parameters = Parameters()
    cells = ", ".join(map(cell, columns))
    statement = f"select {cells} {rows_from(manifest.question, parameters)}"
    async with aclosing(copy_out(connection, statement, parameters, format="csv")) as chunks:
        async for chunk in chunks:
            yield chunk


async def _jsonl(
    connection: AsyncConnection, columns: Sequence[ExportColumn], manifest: Manifest
) -> AsyncGenerator[bytes]:
    """One JSON object a line; nulls have a key only where FOCUS wants the column. Amounts are text, never rounded."""
    parameters = Parameters()
    statement = f"select {json_object(columns)} {rows_from(manifest.question, parameters)}"
    async with aclosing(copy_out(connection, statement, parameters, **_AS_IT_IS)) as chunks:
        async for chunk in chunks:
            yield chunk
