"""What the Query API answers: shapes, checked.

Columns come in an order of their own and are told by their names. Source: the API's model, version 2025-03-01.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from reconciler.connectors.reading import Answer, Number


def _day(value: object) -> date:
    """A day as Azure writes it: the whole number 20260302."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("not a day such as 20260302")
    return datetime.strptime(str(value), "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone


def _text(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise ValueError("not a text")
    return value or ""


Text = Annotated[str, PlainValidator(_text)]


class Line(Answer):
    """One row: what a pair of values of the two dimensions came to on a day."""

    day: Annotated[date, PlainValidator(_day)] = Field(alias="usagedate")
    cost: Number
    currency: str
    first: Text
    second: Text


class Column(Answer):
    """What the values at one place of every row are."""

    name: str


class Table(Answer):
    """One page of rows; the last names no next one."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    following: str | None = Field(default=None, alias="nextLink")


class Page(Answer):
    """The answer to a question, or a page of it."""

    table: Table = Field(alias="properties")

    def lines(self, by: tuple[str, str]) -> Iterator[dict[str, Any]]:
        """The rows as Line reads them; `by` names the dimensions. A row that lacks a value lacks its name."""
        names = [column.name.casefold() for column in self.table.columns]
        known = {by[0].casefold(): "first", by[1].casefold(): "second"}
        fields = [known.get(name, name) for name in names]
        for row in self.table.rows:
            yield dict(zip(fields, row, strict=False))
