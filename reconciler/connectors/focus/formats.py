"""The three formats FOCUS data comes in, and how to tell which one a file has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from reconciler.connectors.focus.reader import Reader, explained, opened

Format = Literal["csv", "jsonl", "parquet"]

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
    readers = _readers()
    return readers[format_ or _guess(readers["csv"](path, name), path, name)](path, name)


def _readers() -> Mapping[Format, type[Reader]]:
    """Imported when there is a file to read: Arrow takes 30 MB, and most processes never need it."""
    from reconciler.connectors.focus.csvfile import CsvReader
    from reconciler.connectors.focus.jsonlines import JsonLinesReader
    from reconciler.connectors.focus.parquet import ParquetReader

    return {"csv": CsvReader, "jsonl": JsonLinesReader, "parquet": ParquetReader}


def _guess(any_reader: Reader, path: Path, name: str) -> Format:
    with explained(any_reader), opened(path) as file:
        start = file.read(64)
    if start.startswith(PARQUET_MAGIC):
        return "parquet"
    named = SUFFIXES.get(Path(name.lower().removesuffix(".gz")).suffix)
    return named or ("jsonl" if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "csv")
