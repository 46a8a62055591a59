"""The cells of an answer of BigQuery as values: JSON says everything as texts in lists within objects.

A row is `{"f": [{"v": ...}]}`, a repeated value a list of `{"v": ...}`, a record a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from ledger.window import EPOCH
from reconciler.connectors.gcp.report import Column
from reconciler.errors import Bug

RECORDS: Final = frozenset({"RECORD", "STRUCT"})
MICROSECOND: Final = timedelta(microseconds=1)

Row = Mapping[str, Any]
"""Values by column: text for amounts and all else, datetimes, None, lists and objects."""


def rows(columns: Sequence[Column], found: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """The rows of an answer. Raises Bug where one is not as the columns say."""
    for row in found:
        yield _row(columns, row)


def _row(columns: Sequence[Column], row: object) -> Row:
    cells = row.get("f") if isinstance(row, Mapping) else None
    if not isinstance(cells, list) or len(cells) != len(columns):
        raise Bug("a row of BigQuery's answer has other cells than columns, so none of it was counted")
    return {column.name: _repeated(column, cell) for column, cell in zip(columns, cells, strict=True)}


def _repeated(column: Column, cell: object) -> Any:
    value = _inner(cell)
    if column.mode != "REPEATED":
        return _value(column, value)
    if not isinstance(value, list | None):
        raise Bug(f"{column.name} of BigQuery's answer is no list, so none of it was counted")
    return [_value(column, _inner(each)) for each in value or ()]


def _inner(cell: object) -> Any:
    if not isinstance(cell, Mapping) or "v" not in cell:
        raise Bug("a cell of BigQuery's answer has no value, so none of it was counted")
    return cell["v"]


def _value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.type in RECORDS:
        return _row(column.fields, value)
    if not isinstance(value, str):
        raise Bug(f"{column.name} of BigQuery's answer is no text, so none of it was counted")
    if column.type == "TIMESTAMP":
        return _moment(column, value)
    return value


def _moment(column: Column, value: str) -> Any:
    """Microseconds since 1970, as they are asked for."""
    try:
        return EPOCH + int(value) * MICROSECOND
    except (ValueError, OverflowError):
        raise Bug(f"{column.name} of BigQuery's answer is no time: {value[:40]!r}") from None
