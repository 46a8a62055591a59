"""The tables that ElevenLabs' workspace analytics answer: columns with types and units, and rows of cells.

Columns are looked up by name, type or unit and never by place. The specification (package `elevenlabs` 2.78.0) leaves
open what the column of time is called, and whether its cells are texts or milliseconds; a number may come as a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic import model_validator

from ledger.money import InvalidAmount, amount
from ledger.window import EPOCH
from reconciler.connectors.reading import Answer
from reconciler.errors import Bug

TIME_NAMES: Final = ("timestamp", "time", "bucket", "date")
CURRENCIES: Final = ("usd", "eur", "gbp", "inr", "pln")
"""Units of columns that are amounts of money."""


class Table(Answer):
    """An answer of the workspace analytics."""

    columns: list[str]
    column_types: list[str]
    column_units: list[str | None]
    rows: list[list[Any]]

    @model_validator(mode="after")
    def rectangular(self) -> Table:
        """Every row has a cell for each column, and every column a type and a unit."""
        widths = {len(self.column_types), len(self.column_units), *map(len, self.rows)}
        if widths != {len(self.columns)}:
            raise ValueError("a row has more or fewer cells than there are columns")
        return self

    def lines(self) -> Iterator[Line]:
        """The rows, by the names of their columns."""
        units = dict(zip(self.columns, self.column_units, strict=True))
        time = self._time()
        for row in self.rows:
            cells = dict(zip(self.columns, row, strict=True))
            yield Line(cells, units, _moment(cells[time], time))

    def _time(self) -> str:
        types = dict(zip(self.columns, self.column_types, strict=True))
        named = [name for name in self.columns if types[name] == "DateTime"]
        named += [name for known in TIME_NAMES for name in self.columns if known in name.lower()]
        if not named:
            raise Bug(f"ElevenLabs' answer has no column of time, but {', '.join(self.columns)[:200] or 'none'}.")
        return named[0]


@dataclass(frozen=True, slots=True)
class Line:
    """A row by the names of its columns, with the units of the columns."""

    cells: Mapping[str, Any]
    units: Mapping[str, str | None]
    start: datetime
    """The beginning of the row's bucket, in UTC."""

    def text(self, *names: str) -> str | None:
        """The first of the named cells that holds something, as text."""
        for name in names:
            cell = self.cells.get(name)
            if cell not in (None, ""):
                return str(cell)
        return None

    def number(self, name: str) -> Decimal | None:
        """The named cell; None if the column is not there. Raises Bug if it holds no number."""
        if name not in self.cells:
            return None
        cell = self.cells[name]
        try:
            if isinstance(cell, bool):
                raise InvalidAmount("not a number")
            return amount(cell)
        except InvalidAmount:
            raise Bug(f"ElevenLabs' answer has no number in its column {name}.") from None

    def of_unit(self, *units: str) -> Sequence[str]:
        """The columns that are counted in one of `units`."""
        return [name for name, unit in self.units.items() if unit in units]


def _moment(cell: object, column: str) -> datetime:
    """A time in UTC, from text or milliseconds. Raises Bug."""
    try:
        if isinstance(cell, str):
            moment = datetime.fromisoformat(cell)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(cell, int):
            return EPOCH + timedelta(milliseconds=cell)
    except (ValueError, OverflowError):
        pass
    raise Bug(f"ElevenLabs' answer has no time in its column {column}.")
