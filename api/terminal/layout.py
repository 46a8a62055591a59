"""Tables that fit the terminal: the first of several layouts that needs no more room than there is."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import rich.table
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ledger.money import minor_digits, plain

NONE: Final = "-"
"""Shown where there is no value."""
GAP: Final = 2
"""Characters between two columns."""
WIDE: Final = 120
"""Characters of a line in a file or a pipe."""
CRUMB: Final = 16
"""Words may be broken to fit a column, but not into less than this."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title, and whether its cells are amounts: to the right, in one piece."""

    title: str
    amount: bool = False
    whole: bool = False
    """Never broken into lines, like an amount, but to the left."""


def table(columns: Sequence[Column], rows: Sequence[Sequence[RenderableType]]) -> Table:
    """A table without lines between its rows."""
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(
            column.title,
            justify="right" if column.amount else "left",
            no_wrap=column.amount or column.whole,
            overflow="fold",
        )
    for row in rows:
        made.add_row(*row)
    return made


def blocks(columns: Sequence[Column], rows: Sequence[Sequence[RenderableType]]) -> RenderableType:
    """Each row by itself, a line for each column: for terminals that no table fits."""
    made: list[RenderableType] = []
    for row in rows:
        block = Table.grid(padding=(0, GAP))
        block.add_column(no_wrap=True)
        block.add_column(overflow="fold")
        for column, cell in zip(columns, row, strict=True):
            block.add_row(Text(column.title, style="bold"), cell)
        made += [block, Text("")]
    return Group(*made[:-1])


def fitting(console: Console, *layouts: RenderableType) -> RenderableType:
    """The first layout that the console is wide enough for, else the last."""
    for layout in layouts[:-1]:
        if _fits(console, layout):
            return layout
    return layouts[-1]


def _fits(console: Console, layout: RenderableType) -> bool:
    """Whether no column that must stay in one piece would be cut, and no other be broken into crumbs."""
    if not isinstance(layout, Table):
        return Measurement.get(console, console.options, layout).minimum <= console.width
    return sum(_needed(console, column) for column in layout.columns) - GAP <= console.width


def _needed(console: Console, column: rich.table.Column) -> int:
    options = console.options.update(width=10_000)
    sizes = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
    if column.no_wrap:
        return GAP + max(size.maximum for size in sizes)
    return GAP + min(CRUMB, max(size.minimum for size in sizes))


def money(amount: Decimal, currency: str) -> Text:
    """An amount for people: thousands apart, rounded to the minor unit; a trifle says so rather than 0."""
    digits = minor_digits(currency)
    unit = Decimal(1).scaleb(-digits)
    if amount and abs(amount) < unit / 2:
        return Text(f"{'>-' if amount < 0 else '<'}{unit:f}", style="dim")
    return Text(f"{amount:,.{digits}f}", style="red" if amount < 0 else "")


def day(value: date | None) -> str:
    return NONE if value is None else value.isoformat()


def moment(value: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return NONE if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"


def count(value: int, one: str, many: str | None = None) -> str:
    """`1 row`, `2 rows`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def console(*, stderr: bool = False) -> Console:
    """Where to show things; where no terminal is, as wide as a wide one."""
    stream = sys.stderr if stderr else sys.stdout
    made = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not stream.isatty() and "COLUMNS" not in os.environ:
        made.width = WIDE
    return made


def write_json(value: Any) -> None:
    """Print `value` as JSON: dates and times as text, amounts exact in plain notation, as text too."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value.isoformat())
