"""CSV files: parsed by Arrow, column by column, and looked into again to say on which line something is wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from typing import IO

import pyarrow as pa
import pyarrow.csv

from reconciler.connectors.focus.reader import BLOCK_BYTES, Block, Reader, explained, is_wanted, opened
from reconciler.errors import BadData


class CsvReader(Reader):
    """CSV as RFC 4180 has it, with a header. Every column is read as text: Arrow's guesses would lose digits."""

    def blocks(self, only: AbstractSet[str] | None = None) -> Iterator[Block]:
        with explained(self):
            names, is_all = self._header()
            yield Block.header(names)
            if is_all:
                return
            wanted = [name for name in names if is_wanted(name, only)]
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
