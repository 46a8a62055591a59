"""Exports as Parquet: CSV from Postgres, typed and written by Arrow, a row group at a time."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.copying import copy_out
from ledger.reads.export_columns import ExportColumn
from ledger.reads.filters import Parameters
from ledger.reads.manifests import Manifest, rows_from

BLOCK_BYTES: Final = 8 * 1024 * 1024
"""CSV that becomes one row group; with its Arrow form and the compressed one, this is all that memory holds."""
METADATA: Final = b"costhook.manifest"
"""Key of the manifest among the file's metadata."""
SCALE: Final = 12
"""Digits behind the point in files whose amounts need no more, so that files of different days have one schema."""

_TYPES: Final = {
    "text": pa.string(),
    "json": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "count": pa.int64(),
}


async def parquet_chunks(
    connection: AsyncConnection, columns: Sequence[ExportColumn], manifest: Manifest
) -> AsyncGenerator[bytes]:
    """The file's bytes, as row groups are finished. Decimals have the type that holds every digit there is."""
    types = await _types(connection, columns, manifest)
    schema = pa.schema(list(types.items()), metadata={METADATA: manifest.text().encode()})
    parameters = Parameters()
    statement = f"select {', '.join(column.sql for column in columns)} {rows_from(manifest.question, parameters)}"
    sink = _Sink()
    with pa.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        async with aclosing(copy_out(connection, statement, parameters, format="csv")) as rows:
            async for block in _blocks(rows):
                await asyncio.to_thread(_write, writer, schema, block)
                yield sink.taken()
    yield sink.taken()


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Chunks joined to blocks of whole rows: after an odd number of quotes, a row is not at its end."""
    held, size, quotes = [], 0, 0
    async for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        quotes += chunk.count(b'"')
        if size >= BLOCK_BYTES and chunk.endswith(b"\n") and quotes % 2 == 0:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _write(writer: Any, schema: pa.Schema, block: bytes) -> None:
    # Arrow's CSV reader knows no decimals this wide; casting text does.
    readable = {field.name: pa.string() if pa.types.is_decimal256(field.type) else field.type for field in schema}
    table = pa.csv.read_csv(
        io.BytesIO(block),
        read_options=pa.csv.ReadOptions(column_names=schema.names, block_size=len(block) + 1),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=readable, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    writer.write_table(table.cast(schema))


async def _types(
    connection: AsyncConnection, columns: Sequence[ExportColumn], manifest: Manifest
) -> dict[str, pa.DataType]:
    """The Arrow type of every column; of decimals by the digits that they have before and behind the point."""
    decimals = [column for column in columns if column.kind == "decimal"]
    parameters = Parameters()
    digits = ", ".join(f"max(abs({c.sql})), max(scale({c.sql}))" for c in decimals)
    statement = f"select {digits} {rows_from(manifest.question, parameters)}"
    found = iter((await connection.execute(text(statement), parameters.values)).one())
    widths = {column.name: _decimal(next(found), next(found)) for column in decimals}
    return {column.name: widths.get(column.name) or _TYPES[column.kind] for column in columns}


def _decimal(largest: Decimal | None, scale: int | None) -> pa.DataType:
    """The smallest type with room; amounts beyond any are kept as text rather than rounded."""
    behind = max(scale or 0, SCALE)
    before = 1 if not largest else largest.adjusted() + 1
    if before + behind <= pa.decimal128(38).precision:
        return pa.decimal128(38, behind)
    return pa.decimal256(76, behind) if before + behind <= 76 else pa.string()


class _Sink(io.RawIOBase):
    """What the writer has written and nobody has taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def taken(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken
