"""Lines of the FOCUS export, or of a view in the form of FOCUS, read by the reader of FOCUS files.

All columns stay as they came. FOCUS wants tags as one object, where Google has lists of pairs, by where they come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ledger.focus import json_text
from reconciler.connectors.focus.reader import Block, Reader, text_array
from reconciler.connectors.gcp.cells import Row

if TYPE_CHECKING:
    import pyarrow as pa

SECOND: Final = timedelta(seconds=1)
OF_TABLE: Final = (("x_ProjectLabels", "project/"), ("x_Tags", None), ("x_SystemLabels", ""), ("x_Labels", ""))
"""The lists of the export's table, and what stands before their keys: for tags, their namespace."""
OF_VIEW: Final = {"project_label": "project/", "tag": None}
"""The same of the pairs in the view's list, by their type."""


class Lines(Reader):
    """A page of lines; `table` is what people call it."""

    def __init__(self, table: str, names: Sequence[str], found: Sequence[Row]) -> None:
        super().__init__(Path(), table)
        self._names, self._found = names, found

    def blocks(self, only: AbstractSet[str] | None = None) -> Iterator[Block]:
        import pyarrow as pa

        shaped = [_shaped(row) for row in self._found]
        names = list(self._names) if "Tags" in self._names else [*self._names, "Tags"]
        columns = [_column([row.get(name) for row in shaped]) for name in names]
        yield Block(pa.RecordBatch.from_arrays(columns, names), range(len(shaped)))

    def place(self, row: int) -> str:
        return f"line of {self._found[row].get('ChargePeriodStart')}"


def _shaped(row: Row) -> Row:
    """A line with its tags as one object; what has no length, such as a fee of a moment, lasts a second."""
    start, end = row.get("ChargePeriodStart"), row.get("ChargePeriodEnd")
    changed: dict[str, Any] = {"Tags": _tags(row)}
    if start is not None and start == end:
        changed["ChargePeriodEnd"] = start + SECOND
    return {**row, **changed}


def _tags(row: Row) -> object:
    stated = row.get("Tags")
    if stated is not None and not _is_list_of_pairs(stated):
        return stated
    found: dict[str, str] = {}
    for name, prefix in OF_TABLE:
        found |= _object(row.get(name) or (), prefix)
    for each in stated or ():
        found |= _object([each], OF_VIEW.get(each.get("x_type"), ""))
    return found or None


def _is_list_of_pairs(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) and "key" in each for each in value)


def _object(pairs: Iterable[Mapping[str, Any]], prefix: str | None) -> dict[str, str]:
    """Pairs as an object; Google writes `Key` in its table and `key` in its view."""
    found = {}
    for each in pairs:
        key, value = each.get("Key") or each.get("key"), each.get("Value") or each.get("value")
        if key:
            before = prefix if prefix is not None else f"{_namespace(each)}/"
            found[f"{before}{key}"] = value or ""
    return found


def _namespace(tag: Mapping[str, Any]) -> str:
    return tag.get("x_Namespace") or tag.get("x_namespace") or "tag"


def _column(values: Sequence[Any]) -> pa.Array:
    """A column as the reader of files has it: times, or text; records and lists as JSON."""
    import pyarrow as pa

    if any(isinstance(value, datetime) for value in values):
        return pa.array(values, pa.timestamp("us", "UTC"))
    return text_array([value if value is None or isinstance(value, str) else _json(value) for value in values])


def _json(value: object) -> str | None:
    return json_text(value) if value else None
