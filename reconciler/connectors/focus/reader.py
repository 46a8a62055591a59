"""A FOCUS file opened: blocks of rows out of it, whatever its format, and where in it a row is."""

from __future__ import annotations

import csv
import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from ledger.focus import json_text
from reconciler.errors import BadData, RetryLater

if TYPE_CHECKING:
    import pyarrow as pa

GZIP_MAGIC = b"\x1f\x8b"
BLOCK_ROWS = 8192
BLOCK_BYTES = 1024**2
"""Rows, or bytes of text, read at a time. A line of text may have no more."""


class Block(NamedTuple):
    """Some rows of a file. Cells are text or timestamps; null, empty text and `NULL` all mean null."""

    batch: pa.RecordBatch
    rows: Sequence[int]
    """The file's own number of each row, as `Reader.place` understands it."""

    @classmethod
    def header(cls, names: Sequence[str]) -> Block:
        """No rows, only the names of the columns."""
        import pyarrow as pa

        return cls(pa.RecordBatch.from_arrays([pa.array([], pa.string())] * len(names), list(names)), ())


class Reader(ABC):
    """A file of one format. `name` is what people call it."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    @abstractmethod
    def blocks(self, only: AbstractSet[str] | None = None) -> Iterator[Block]:
        """All rows in order; of the columns, those whose names in lower case are in `only`.

        Formats that name their columns apart from the rows begin with a block that has all names and no rows.
        Raises BadData where the file is not what it should be, RetryLater when it has gone.
        """

    @abstractmethod
    def place(self, row: int) -> str:
        """Where a person finds the row, such as `line 17`."""

    def bad_cell(self, row: int, column: str, cell: object, expected: str) -> BadData:
        """The error that says which cell is wrong, what it holds and what it should hold."""
        shown = "is empty" if cell is None else f"is {shortened(cell)}"
        return BadData(f"{self.name}, {self.place(row)}: {column} {shown}, where {expected} is expected")

    def bad_file(self, why: str) -> BadData:
        """The error that says what is wrong with the file as a whole."""
        return BadData(f"{self.name} {why}", reason="BadFile")


def shortened(cell: object) -> str:
    """A cell as it is shown to people: quoted, and never long."""
    shown = repr(cell if isinstance(cell, str) else str(cell))
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked if it is a gzip file."""
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        if not packed:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield unpacked  # type: ignore[misc]  # it reads like any other file


@contextmanager
def explained(reader: Reader) -> Iterator[None]:
    """Turn what libraries say about a broken file into what a person should know."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise RetryLater(f"{reader.name} has gone while it was read", reason="FileChanged") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise reader.bad_file(f"is cut short or damaged: {error}; write it again") from error
    except UnicodeError as error:
        raise reader.bad_file(f"is not UTF-8 text ({error}); export it as UTF-8") from error
    except (pa.ArrowException, csv.Error, OSError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise reader.bad_file(f"cannot be read: {why[:200]}") from error


def text_array(values: Sequence[Any]) -> pa.Array:
    """Texts and Nones as an Arrow array; halves of surrogate pairs, which no database holds, become `?`."""
    import pyarrow as pa

    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([v if v is None else v.encode("utf-8", "replace").decode() for v in values], pa.string())


def texts(values: Iterable[Any]) -> list[str | None]:
    """JSON values as the texts of cells; numbers as they were written."""
    return [value if value is None or isinstance(value, str) else _text(value) for value in values]


def _text(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else json_text(value)


def is_wanted(name: str, only: AbstractSet[str] | None) -> bool:
    """Whether `Reader.blocks` is to read a column of that name."""
    return only is None or name.lower() in only
