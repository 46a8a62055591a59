"""Rows of a file in, charges out, column by column.

Speed comes from doing things once per different value, not once per row: Arrow numbers the different values
of a column, and each is read once. Amounts, of which nearly all differ, are looked at all at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from itertools import compress
from typing import TYPE_CHECKING, Any, Final

from ledger.charge import AMOUNTS
from ledger.columns import Amounts, Coded, Columns, combined, usual
from ledger.window import Span
from reconciler.connectors.focus import columns
from reconciler.connectors.focus.cells import NULLS
from reconciler.connectors.focus.columns import Feed, Layout, NotFocus
from reconciler.connectors.focus.reader import Block, Reader

if TYPE_CHECKING:
    import pyarrow as pa

ORIGIN: Final = "file"
CATEGORY: Final = "Usage"
"""The category of a row that states none."""


class BadCell(Exception):
    """A cell does not hold what its column should; `row` is the file's own number of the row."""

    def __init__(self, row: int, column: str, cell: object, expected: str) -> None:
        super().__init__(column)
        self.row, self.column, self.cell, self.expected = row, column, cell, expected


def batches(reader: Reader, zone: tzinfo, span: Span) -> Iterator[Columns]:
    """The charges of a file that start in `span`, in the file's order. Raises BadData, RetryLater."""
    try:
        for block in reader.blocks():
            layout = columns.layout(block.batch.schema.names, zone)
            found = charges(layout, within(layout, block, span))
            if found:
                yield found
    except BadCell as error:
        raise reader.bad_cell(error.row, error.column, error.cell, error.expected) from None
    except NotFocus as error:
        raise reader.bad_file(str(error)) from None


def within(layout: Layout, block: Block, span: Span) -> Block:
    """The rows of `block` whose charges start in `span`. Raises BadCell."""
    starts = needed(layout.start, block)
    lie = [span.start <= start < span.end for start in starts.values]
    if all(lie) or starts.codes is None:
        return block
    import pyarrow as pa

    mask = pa.array(lie, pa.bool_()).take(starts.codes)
    return Block(block.batch.filter(mask), list(compress(block.rows, mask.to_pylist())))


def charges(layout: Layout, block: Block) -> Columns:
    """The rows of `block` as charges. Raises BadCell."""
    there: dict[str, Coded | Amounts] = {
        field: amounts(feed, block) if field in AMOUNTS else coded(feed, block) for field, feed in layout.fields.items()
    }
    there |= _period(layout, block) | _names(layout, block)
    there["billing_currency"] = needed(layout.currency, block)
    if layout.category is not None:
        there["charge_category"] = coded(layout.category, block).mapped(lambda value: value or CATEGORY)
    tags = coded(layout.tags, block) if layout.tags else Coded([None])
    there["tags"] = tags.mapped(lambda value: value if isinstance(value, dict) else None)
    there["extra"] = _extra(layout, block, tags.mapped(lambda value: value if isinstance(value, str) else None))
    there["x_origin"] = Coded([ORIGIN])
    return Columns(len(block.rows), there)


def coded(feed: Feed, block: Block) -> Coded:
    """The different values of a column, each read once. Raises BadCell."""
    return _read(feed, block, block.batch.column(feed.place))


def needed(feed: Feed, block: Block) -> Coded:
    """As `coded`. Raises BadCell also when a row has none."""
    return _needed(coded(feed, block), feed, block)


def amounts(feed: Feed, block: Block) -> Amounts:
    """A column of amounts: usual ones at a glance, and others one by one. Raises BadCell."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = block.batch.column(feed.place)
    if not pa.types.is_string(cells.type):  # times, of all things
        cells = pa.nulls(len(cells), pa.string()) if cells.null_count == len(cells) else cells.cast(pa.string())
    mask = usual(cells)
    if mask.true_count + mask.null_count == len(cells):
        return Amounts.of(cells, mask, None)
    return Amounts.of(cells, mask, _read(feed, block, pc.if_else(mask, None, cells)))


def _read(feed: Feed, block: Block, column: pa.Array) -> Coded:
    encoded = column.dictionary_encode(null_encoding="encode")
    cells = [None if cell in NULLS else cell for cell in _cells(encoded.dictionary)]
    values: list[Any] = []
    try:
        for cell in cells:
            values.append(None if cell is None else feed.parse(cell))  # noqa: PERF401  # how far it came tells which is bad
    except (ValueError, OverflowError):
        bad = len(values)
        raise BadCell(_row(block, encoded.indices, bad), feed.name, cells[bad], feed.expected) from None
    return Coded(values, encoded.indices) if len(values) != 1 else Coded(values)


def _needed(column: Coded, feed: Feed, block: Block) -> Coded:
    if None in column.values and len(block.rows):
        raise BadCell(_row(block, column.codes, column.values.index(None)), feed.name, None, feed.expected)
    return column


def _row(block: Block, codes: pa.Int32Array | None, number: int) -> int:
    """The file's number of the first row that has the value of a number."""
    return block.rows[0 if codes is None else codes.index(number).as_py()]


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


def _period(layout: Layout, block: Block) -> dict[str, Coded]:
    starts, ends = needed(layout.start, block), needed(layout.end, block)
    periods = combined([starts, ends])
    bad = next((number for number, (start, end) in enumerate(periods.values) if end <= start), None)
    if bad is not None and block.rows:
        start, end = periods.values[bad]
        expected = f"a time after ChargePeriodStart ({start})"
        raise BadCell(_row(block, periods.codes, bad), layout.end.name, end, expected)
    return {"charge_period_start": starts, "charge_period_end": ends}


def _names(layout: Layout, block: Block) -> dict[str, Coded]:
    """The names of service and provider; a row that names no service goes under its provider's name."""
    providers = _stated([coded(feed, block) for feed in layout.providers])
    if None in providers.values and block.rows:
        row = _row(block, providers.codes, providers.values.index(None))
        raise BadCell(row, "ServiceProviderName", None, "a provider's name")
    services = _stated([coded(layout.service, block), providers]) if layout.service else providers
    return {"service_provider_name": providers, "service_name": services}


def _stated(columns: Sequence[Coded]) -> Coded:
    """In every row the value of the first column that has one."""
    if not columns or None not in columns[0].values:
        return columns[0] if columns else Coded([None])
    return combined(columns).mapped(_first)


def _first(values: Sequence[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _extra(layout: Layout, block: Block, stray_tags: Coded) -> Coded:
    """What has no field, by name; None where a row has none of it."""
    kept = {key: coded(feed, block) for key, feed in layout.extra.items()} | {"Tags": stray_tags}
    stated = {key: column for key, column in kept.items() if any(value is not None for value in column.values)}
    return combined(list(stated.values())).mapped(lambda values: _document(stated, values))


def _document(keys: Mapping[str, object], values: Sequence[Any]) -> dict[str, Any] | None:
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None} or None
