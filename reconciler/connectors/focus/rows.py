"""Rows of a file in, charges out, column by column.

Speed comes from doing things once per different value, not once per row: Arrow numbers the different values
of a column, each is read once, and the rows look theirs up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from itertools import repeat
from operator import le
from typing import TYPE_CHECKING, Any, Final

from ledger.charge import Charge
from ledger.window import Span
from reconciler.connectors.base import BATCH
from reconciler.connectors.focus import columns
from reconciler.connectors.focus.cells import NULLS
from reconciler.connectors.focus.columns import Feed, Layout, NotFocus
from reconciler.connectors.focus.reader import Block, Reader

if TYPE_CHECKING:
    import pyarrow as pa

ORIGIN: Final = "file"
CATEGORY: Final = "Usage"
"""The category of a row that states none."""

Column = Iterable[Any] | None
"""A value per row, to be run through once; None where no row has one."""


class BadCell(Exception):
    """A cell does not hold what its column should; `row` is the file's own number of the row."""

    def __init__(self, row: int, column: str, cell: object, expected: str) -> None:
        super().__init__(column)
        self.row, self.column, self.cell, self.expected = row, column, cell, expected


class Coded:
    """A column of a block as its different values, read, and for every row the number of its value."""

    def __init__(self, feed: Feed, block: Block) -> None:
        self._feed, self._rows = feed, block.rows
        encoded = block.batch.column(feed.place).dictionary_encode(null_encoding="encode")
        cells = [None if cell in NULLS else cell for cell in _cells(encoded.dictionary)]
        self.codes: list[int] = encoded.indices.to_pylist()
        self.values: list[Any] = []
        try:
            for cell in cells:
                self.values.append(None if cell is None else feed.parse(cell))
        except (ValueError, OverflowError):
            bad = len(self.values)
            raise BadCell(block.rows[self.codes.index(bad)], feed.name, cells[bad], feed.expected) from None

    def needed(self) -> Coded:
        """Itself, if no row is null. Raises BadCell."""
        if None in self.values:
            row = self._rows[self.codes.index(self.values.index(None))]
            raise BadCell(row, self._feed.name, None, self._feed.expected)
        return self

    def rows(self) -> list[Any]:
        """The value of every row."""
        return list(map(self.values.__getitem__, self.codes))

    def column(self, kind: type = object) -> Column:
        """As `rows` without the list; values that are not of the `kind` count as None."""
        values = [value if isinstance(value, kind) else None for value in self.values]
        if all(value is None for value in values):
            return None
        return repeat(values[0], len(self.codes)) if len(values) == 1 else map(values.__getitem__, self.codes)


def _cells(array: pa.Array) -> list[Any]:
    """The values of text or timestamps; a time beyond the calendar is shown by its number, to be refused as none."""
    try:
        return list(array.to_pylist())
    except OverflowError:
        return [_cell(scalar) for scalar in array]


def _cell(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except OverflowError:
        return str(scalar.value)


def batches(reader: Reader, zone: tzinfo, span: Span) -> Iterator[list[Charge]]:
    """The charges of a file that start in `span`, in the file's order. Raises BadData, RetryLater."""
    try:
        for block in reader.blocks():
            layout = columns.layout(block.batch.schema.names, zone)
            found = charges(layout, within(layout, block, span))
            for first in range(0, len(found), BATCH):
                yield found[first : first + BATCH]
    except BadCell as error:
        raise reader.bad_cell(error.row, error.column, error.cell, error.expected) from None
    except NotFocus as error:
        raise reader.bad_file(str(error)) from None


def within(layout: Layout, block: Block, span: Span) -> Block:
    """The rows of `block` whose charges start in `span`. Raises BadCell."""
    starts = Coded(layout.start, block).needed().rows()
    keep = [index for index, start in enumerate(starts) if span.start <= start < span.end]
    if len(keep) == len(starts):
        return block
    import pyarrow as pa

    return Block(block.batch.take(pa.array(keep, pa.int64())), [block.rows[index] for index in keep])


def charges(layout: Layout, block: Block) -> list[Charge]:
    """The rows of `block` as charges. Raises BadCell."""
    there = {field: Coded(feed, block).column() for field, feed in layout.fields.items()}
    there |= _period(layout, block) | _names(layout, block)
    there["billing_currency"] = Coded(layout.currency, block).needed().rows()
    there["charge_category"] = _category(layout, block)
    tags = Coded(layout.tags, block) if layout.tags else None
    there["tags"] = tags.column(dict) if tags else None
    there["extra"] = _extra(layout, block, tags.column(str) if tags else None)
    there["x_origin"] = repeat(ORIGIN)
    every = (repeat(None) if (column := there.get(field)) is None else column for field in Charge._fields)
    return list(map(Charge._make, zip(*every, strict=False)))


def _period(layout: Layout, block: Block) -> dict[str, Column]:
    starts, ends = Coded(layout.start, block).needed().rows(), Coded(layout.end, block).needed().rows()
    if any(map(le, ends, starts)):
        bad = next(index for index, (start, end) in enumerate(zip(starts, ends, strict=True)) if end <= start)
        raise BadCell(block.rows[bad], layout.end.name, ends[bad], f"a time after ChargePeriodStart ({starts[bad]})")
    return {"charge_period_start": starts, "charge_period_end": ends}


def _names(layout: Layout, block: Block) -> dict[str, Column]:
    """The names of service and provider; a row that names no service goes under its provider's name."""
    providers = _first_stated(layout.providers, block, [None] * len(block.rows))
    if None in providers:
        raise BadCell(block.rows[providers.index(None)], "ServiceProviderName", None, "a provider's name")
    services = _first_stated((layout.service,), block, providers) if layout.service else providers
    return {"service_provider_name": providers, "service_name": services}


def _first_stated(feeds: Sequence[Feed], block: Block, otherwise: list[Any]) -> list[Any]:
    """In every row the value of the first feed that has one."""
    stated = Coded(feeds[0], block).rows() if feeds else otherwise
    if None not in stated or not feeds:
        return stated
    others = _first_stated(feeds[1:], block, otherwise)
    return [other if value is None else value for value, other in zip(stated, others, strict=True)]


def _category(layout: Layout, block: Block) -> Column:
    if layout.category is None:
        return repeat(CATEGORY)
    coded = Coded(layout.category, block)
    coded.values = [value or CATEGORY for value in coded.values]
    return coded.column()


def _extra(layout: Layout, block: Block, stray_tags: Column) -> Column:
    kept: Mapping[str, Column] = {key: Coded(feed, block).column() for key, feed in layout.extra.items()}
    stated = {key: column for key, column in {**kept, "Tags": stray_tags}.items() if column is not None}
    if not stated:
        return None
    keys = list(stated)
    return [
        {key: value for key, value in zip(keys, row, strict=True) if value is not None} or None
        for row in zip(*stated.values(), strict=True)
    ]
