"""Parquet files: read by Arrow in blocks, every type of column as text or as times."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import IO, Final

import pyarrow as pa
import pyarrow.compute as pc
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

BETWEEN: Final = "\x1f"
NO_VALUE: Final = "\x1e"
"""Characters that no tag has; where one does, rows are looked at one by one."""


class ParquetReader(Reader):
    """Parquet. Decimals keep their digits; of a double, the shortest text that names it is what is left to read."""

    def blocks(self, only: AbstractSet[str] | None = None) -> Iterator[Block]:
        with explained(self), self._seekable() as file, pa.parquet.ParquetFile(file, buffer_size=1 << 20) as parquet:
            names = parquet.schema_arrow.names
            wanted = None if only is None else [name for name in names if name.lower() in only]
            yield Block.header(names)
            row = 0
            for batch in parquet.iter_batches(BLOCK_ROWS, columns=wanted):
                columns = [readable(column) for column in batch.columns]
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


def readable(column: pa.Array) -> pa.Array:
    """`column` as text, or as timestamps in microseconds; nested values become JSON text."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=kind.unit != "ns")  # nanoseconds are cut off
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("us"))
    if pa.types.is_map(kind) and kind.key_type == kind.item_type == pa.string():
        return _documents(column)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return text_array(texts(_values(column)))
    return column.cast(pa.string())


def _documents(column: pa.MapArray) -> pa.StringArray:
    """Maps of texts as JSON text. A month's tags are much the same in every row, and each of them is written once."""
    keys, items = column.keys, column.items.fill_null(NO_VALUE)
    if any(pc.any(pc.match_substring_regex(part, f"[{BETWEEN}{NO_VALUE}]")).as_py() for part in (keys, column.items)):
        return text_array(texts(_values(column)))
    pairs = pa.ListArray.from_arrays(column.offsets, pc.binary_join_element_wise(keys, items, BETWEEN))
    said = pc.if_else(column.is_valid(), pc.binary_join(pairs, BETWEEN), None).dictionary_encode()
    rows = pa.table({"said": said.indices, "row": pa.array(range(len(column)), pa.int64())})
    first = rows.group_by("said", use_threads=False).aggregate([("row", "min")]).sort_by("said")
    written = text_array(texts(_values(column.take(first.column("row_min").combine_chunks()))))
    return written.take(said.indices)


def _values(column: pa.Array) -> list[object]:
    """The values as JSON has them: maps, which Arrow gives out as pairs, as objects, and bytes as text."""
    values = column.to_pylist()
    if pa.types.is_map(column.type):
        return [pairs if pairs is None else dict(pairs) for pairs in values]
    return [value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value for value in values]
