"""Parquet files: read by Arrow in blocks, every type of column as text or as times."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import IO

import pyarrow as pa
import pyarrow.parquet

from reconciler.connectors.focus.reader import (
    BLOCK_ROWS,
    Block,
    Reader,
    explained,
    opened,
    text_array,
    texts,
)


class ParquetReader(Reader):
    """Parquet. Decimals keep their digits; of a double, the shortest text that names it is what is left to read."""

    def blocks(self, only: AbstractSet[str] | None = None) -> Iterator[Block]:
        with explained(self), self._seekable() as file, pa.parquet.ParquetFile(file, buffer_size=1 << 20) as parquet:
            names = parquet.schema_arrow.names
            wanted = None if only is None else [name for name in names if name.lower() in only]
            yield Block.header(names)
            row = 0
            for batch in parquet.iter_batches(BLOCK_ROWS, columns=wanted):
                columns = [_readable(column) for column in batch.columns]
                yield Block(pa.RecordBatch.from_arrays(columns, batch.schema.names), range(row, row + batch.num_rows))
                row += batch.num_rows

    def place(self, row: int) -> str:
        return f"row {row + 1}"

    @contextmanager
    def _seekable(self) -> Iterator[IO[bytes]]:
        """The file itself or, if it is packed once more, an unpacked copy: Parquet is read from its end."""
        with opened(self.path) as file:
            if not isinstance(file, io.BufferedReader):
                with tempfile.TemporaryFile() as copy:
                    shutil.copyfileobj(file, copy)
                    yield copy
            else:
                yield file


def _readable(column: pa.Array) -> pa.Array:
    """`column` as text, or as timestamps in microseconds; nested values become JSON text."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=kind.unit != "ns")  # nanoseconds are cut off
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("us"))
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return text_array(texts(_values(column)))
    return column.cast(pa.string())


def _values(column: pa.Array) -> list[object]:
    """The values as JSON has them: maps, which Arrow gives out as pairs, as objects, and bytes as text."""
    values = column.to_pylist()
    if pa.types.is_map(column.type):
        return [pairs if pairs is None else dict(pairs) for pairs in values]
    return [value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value for value in values]
