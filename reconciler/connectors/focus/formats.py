"""The three formats FOCUS data comes in: CSV, JSON lines and Parquet, each read in blocks without loss."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Final, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ledger.focus import json_text
from reconciler.connectors.focus.reader import BLOCK_ROWS, Block, Reader, explained, opened, shortened, text_array
from reconciler.errors import BadData

Format = Literal["csv", "jsonl", "parquet"]

BLOCK_BYTES: Final = 4 * 1024**2
"""Bytes of CSV parsed at a time, and the longest row of a CSV or JSON file."""
JSON_ROWS: Final = 1024
"""Rows of JSON read at a time: few, so that the objects stay in the processor's cache until they are columns."""
PARQUET_MAGIC: Final = b"PAR1"
SUFFIXES: Final[Mapping[str, Format]] = {
    ".csv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


def reader(path: Path, name: str, format_: Format | None = None) -> Reader:
    """The reader for the file at `path`: of the format asked for, else by its first bytes, else by its name."""
    return _READERS[format_ or _guess(path, name)](path, name)


def _guess(path: Path, name: str) -> Format:
    with explained(CsvReader(path, name)), opened(path) as file:
        start = file.read(64)
    if start.startswith(PARQUET_MAGIC):
        return "parquet"
    named = SUFFIXES.get(Path(name.lower().removesuffix(".gz")).suffix)
    return named or ("jsonl" if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "csv")


class CsvReader(Reader):
    """CSV as RFC 4180 has it, with a header. Every column is read as text: Arrow's guesses would lose digits."""

    def blocks(self, only: AbstractSet[str] | None = None) -> Iterator[Block]:
        with explained(self):
            names, is_all = self._header()
            yield Block.header(names)
            if is_all:
                return
            wanted = [name for name in names if _is_wanted(name, only)]
            with opened(self.path) as file:
                counted = _QuoteCounter(file)
                yield from self._parsed(counted, names, wanted)
            if counted.quotes % 2:
                self._check_quotes()

    def place(self, row: int) -> str:
        with self._text() as text:
            lines = csv.reader(text)
            before, seen = 0, -1
            with suppress(csv.Error):
                for cells in lines:
                    if cells and seen == row:
                        return f"line {before + 1}"
                    before, seen = lines.line_num, seen + bool(cells)
        return f"row {row + 1}"

    def _header(self) -> tuple[list[str], bool]:
        """The names of the columns, and whether there is nothing behind them."""
        with opened(self.path) as file:
            first = file.readline(BLOCK_BYTES).decode("utf-8-sig")
        names = next(csv.reader([first]), None)
        if not names or any("\n" in name for name in names):
            raise self.bad_file("has no header in its first line; write it again")
        if len(set(names)) < len(names):
            raise self.bad_file(f"names a column twice: {sorted({n for n in names if names.count(n) > 1})}")
        return names, not first.endswith(("\n", "\r"))

    def _parsed(self, file: _QuoteCounter, names: Sequence[str], wanted: Sequence[str]) -> Iterator[Block]:
        row = 0
        try:
            for batch in self._arrow(file, names, wanted):
                yield Block(batch, range(row, row + batch.num_rows))
                row += batch.num_rows
        except pa.ArrowInvalid as error:
            raise self._explain(str(error)) from error

    def _arrow(self, file: _QuoteCounter, names: Sequence[str], wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        convert = pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), include_columns=list(wanted), strings_can_be_null=False
        )
        read = pa.csv.ReadOptions(block_size=BLOCK_BYTES, column_names=list(names), skip_rows=1, use_threads=False)
        parse = pa.csv.ParseOptions(newlines_in_values=True)
        with pa.csv.open_csv(file, read_options=read, parse_options=parse, convert_options=convert) as batches:
            yield from batches

    def _explain(self, error: str) -> BadData:
        """Arrow counts rows from the header on and leaves out empty lines, as `place` does."""
        if "straddling" in error:
            return self.bad_file(f"has a row of more than {BLOCK_BYTES >> 20} MB, or a quoted text that never ends")
        found = re.search(r"Row #(\d+): (.*)", error, re.DOTALL)
        if found is None:
            return self.bad_file(f"cannot be read: {error[:200]}")
        return BadData(f"{self.name}, {self.place(int(found[1]) - 2)}: {found[2][:200]}")

    def _check_quotes(self) -> None:
        """Raise if the file ends within a quoted text, which Arrow takes for the text's end."""
        with self._text() as text:
            lines = csv.reader(text, strict=True)
            start = 0
            try:
                for _ in lines:
                    start = lines.line_num
            except csv.Error as error:
                raise BadData(f"{self.name}, line {start + 1}: {error}; is the file cut short?") from error

    @contextmanager
    def _text(self) -> Iterator[io.TextIOWrapper]:
        with opened(self.path) as file, io.TextIOWrapper(file, "utf-8-sig", "replace", newline="") as text:
            yield text


class _QuoteCounter:
    """A file that counts the quotes that pass: an odd number means that one is never closed."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.quotes = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.quotes += data.count(b'"')
        return data

    def close(self) -> None:
        self.closed = True


class JsonLinesReader(Reader):
    """One JSON object a line; numbers keep their digits."""

    def blocks(self, only: AbstractSet[str] | None = None) -> Iterator[Block]:
        with explained(self), opened(self.path) as file:
            rows, seen = self._rows(file), dict[str, None]()
            while block := list(islice(rows, JSON_ROWS)):
                numbers, objects = zip(*block, strict=True)
                seen.update(dict.fromkeys(chain.from_iterable(objects)))
                names = [name for name in seen if _is_wanted(name, only)]
                columns = zip(*(_texts(map(row.get, names)) for row in objects), strict=True)
                yield Block(pa.RecordBatch.from_arrays(list(map(text_array, columns)), names), numbers)

    def place(self, row: int) -> str:
        return f"line {row + 1}"

    def _rows(self, file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, line in enumerate(iter(lambda: file.readline(BLOCK_BYTES), b"")):
            text = line.decode("utf-8" if index else "utf-8-sig").strip()
            if text:
                yield index, self._row(text, index)

    def _row(self, line: str, index: int) -> dict[str, Any]:
        try:
            row = _DECODER.decode(line)
        except (ValueError, ArithmeticError, RecursionError):
            row = None
        if not isinstance(row, dict):
            expected = "where one JSON object a line is expected"
            raise BadData(f"{self.name}, {self.place(index)} is {shortened(line)}, {expected}")
        return row


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
    if pa.types.is_string(kind):
        return column
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("us"))
    if pa.types.is_map(kind):
        return text_array(_texts([pairs if pairs is None else dict(pairs) for pairs in column.to_pylist()]))
    if pa.types.is_nested(kind):
        return text_array(_texts(column.to_pylist()))
    return column.cast(pa.string())


def _is_wanted(name: str, only: AbstractSet[str] | None) -> bool:
    return only is None or name.lower() in only


def _texts(values: Iterable[Any]) -> list[str | None]:
    """JSON values as the texts of cells; numbers as they were written."""
    return [value if value is None or isinstance(value, str) else _text(value) for value in values]


def _text(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else json_text(value)


_DECODER: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=str)
_READERS: Final[Mapping[Format, type[Reader]]] = {"csv": CsvReader, "jsonl": JsonLinesReader, "parquet": ParquetReader}
