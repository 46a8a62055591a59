"""Charges as columns, as files hold them: what many rows share is read once, and later packed and written once.

`Columns` is a batch like any other, a sequence of charges; the ledger takes it in by the column (`ledger.weaving`),
which comes to the same bytes. Arrow is imported by whoever makes one: most processes never read a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import repeat
from operator import is_
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

from ledger.charge import AMOUNTS, Charge
from ledger.money import canonical, plain

if TYPE_CHECKING:
    import pyarrow as pa

USUAL: Final = r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,18})?$"
"""Amounts that are looked at all at once; others are read one by one."""
TINY: Final = "0.000000"
"""How amounts begin that Decimal writes with an exponent."""


class Coded(NamedTuple):
    """A column by its different values: as Charge holds them, and for every row the number of its own.

    Without `codes` all rows have the first value.
    """

    values: Sequence[Any]
    codes: pa.Int32Array | None = None

    def rows(self, count: int) -> Iterator[Any]:
        """The value of each of `count` rows."""
        if self.codes is None:
            return repeat(self.values[0], count)
        return map(self.values.__getitem__, self.codes.to_pylist())

    def array(self, kind: pa.DataType, count: int) -> pa.Array:
        """The same as an array of `count` rows."""
        import pyarrow as pa

        values = pa.array(self.values, kind)
        return pa.repeat(values[0], count) if self.codes is None else values.take(self.codes)

    def mapped(self, change: Callable[[Any], Any]) -> Coded:
        """The same rows, with other values."""
        return Coded([change(value) for value in self.values], self.codes)

    def distinct(self) -> Coded:
        """The same rows, with every value once; values are hashable."""
        import pyarrow as pa

        numbers = {value: number for number, value in enumerate(dict.fromkeys(self.values))}
        if self.codes is None or len(numbers) == len(self.values):
            return self
        if len(numbers) == 1:
            return Coded([*numbers])
        renumbered = pa.array([numbers[value] for value in self.values], pa.int32())
        return Coded([*numbers], renumbered.take(self.codes))


class Amounts(NamedTuple):
    """A column of amounts, of which nearly all differ: as `str` writes each, and as it is stored; null where absent."""

    written: pa.StringArray
    plain: pa.StringArray

    @classmethod
    def of(cls, cells: pa.StringArray, mask: pa.BooleanArray, rest: Coded | None) -> Amounts:
        """The column of cells: the usual ones as they are, the others as they were read, with None for absent."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if rest is None:
            return cls(cells, _trimmed(cells))
        written = rest.mapped(lambda value: None if value is None else str(value))
        stored = rest.mapped(lambda value: None if value is None else plain(canonical(value)))
        others = (column.array(pa.string(), len(cells)) for column in (written, stored))
        return cls(*map(pc.if_else, (mask, mask), (cells, _trimmed(cells)), others))

    def rows(self, count: int) -> Iterator[Any]:
        """The Decimal of each row, or None."""
        return (None if text is None else Decimal(text) for text in self.written.to_pylist())


class Columns(Sequence[Charge]):
    """`count` charges by their fields. A field without a column has its default in every row."""

    def __init__(self, count: int, columns: Mapping[str, Coded | Amounts]) -> None:
        self._count, self._columns = count, columns

    @classmethod
    def of(cls, rows: Sequence[Charge]) -> Columns:
        """The same charges by the column. Raises TypeError where a value is not what it should be."""
        every = dict(zip(Charge._fields, zip(*rows, strict=True), strict=True))
        made: dict[str, Coded | Amounts | None] = {}
        for field, cells in every.items():
            if field not in AMOUNTS:
                made[field] = _coded(cells)
                continue
            same = next((name for name in AMOUNTS & made.keys() if all(map(is_, every[name], cells))), None)
            made[field] = (
                _amounts(cells) if same is None else made[same]
            )  # most vendors' effective costs are the billed
        return cls(len(rows), {field: column for field, column in made.items() if column is not None})

    def coded(self, field: str) -> Coded:
        """The column of a field that is no amount."""
        column = self._columns.get(field)
        return column if isinstance(column, Coded) else Coded([Charge._field_defaults.get(field)])

    def amounts(self, field: str) -> Amounts | None:
        """The column of an amount; None where no row has one."""
        column = self._columns.get(field)
        return column if isinstance(column, Amounts) else None

    def stored(self, field: str) -> pa.StringArray | None:
        """The amounts of a field as they are stored: what states no effective cost takes effect as it was billed."""
        import pyarrow.compute as pc

        own = self.amounts(field)
        billed = self.amounts("billed_cost") if field == "effective_cost" else None
        if own is not None and billed is not None:
            return pc.coalesce(own.plain, billed.plain)
        either = own or billed
        return None if either is None else either.plain

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Charge]:
        every = ((self.amounts(field) or self.coded(field)).rows(self._count) for field in Charge._fields)
        return map(Charge._make, zip(*every, strict=True))

    @overload
    def __getitem__(self, index: int) -> Charge: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Charge]: ...
    def __getitem__(self, index: int | slice) -> Charge | Sequence[Charge]:
        return list(self)[index]


def usual(cells: pa.StringArray) -> pa.BooleanArray:
    """Which cells are amounts that Decimal writes as they stand; null where there is none."""
    import pyarrow.compute as pc

    return pc.and_not(pc.match_substring_regex(cells, USUAL), pc.starts_with(cells, TINY))


def combined(columns: Sequence[Coded]) -> Coded:
    """Columns as one, whose values are the tuples of theirs that occur together in a row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    codes: pa.Array | None = None
    for column in columns:
        if column.codes is not None:
            before = pa.scalar(0, pa.int64()) if codes is None else pc.multiply(codes.cast("int64"), len(column.values))
            codes = pc.add(before, column.codes).dictionary_encode().indices
    if codes is None:
        return Coded([tuple(column.values[0] for column in columns)])
    rows = pa.table({"code": codes, "row": pa.array(range(len(codes)), pa.int64())})
    first = rows.group_by("code", use_threads=False).aggregate([("row", "min")]).sort_by("code")
    there = first.column("row_min").combine_chunks()
    met = (Coded(c.values, None if c.codes is None else c.codes.take(there)).rows(len(there)) for c in columns)
    return Coded(list(zip(*met, strict=True)), codes)


def _coded(cells: Sequence[Any]) -> Coded:
    """A column by its different values; documents are told apart as objects."""
    import pyarrow as pa

    try:
        numbers = {cell: number for number, cell in enumerate(dict.fromkeys(cells))}
        keys = cells
    except TypeError:
        objects = {id(cell): cell for cell in cells}
        numbers = {key: number for number, key in enumerate(objects)}
        keys, values = list(map(id, cells)), list(objects.values())
    else:
        values = list(numbers)
    return Coded(values) if len(values) == 1 else Coded(values, pa.array(map(numbers.__getitem__, keys), pa.int32()))


def _amounts(cells: Sequence[Any]) -> Amounts | None:
    """A column of Decimals; None where no row has one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = set(map(type, cells))
    if not types <= {Decimal, NoneType}:
        raise TypeError("an amount must be a Decimal")
    if types == {NoneType}:
        return None
    texts = pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
    mask = usual(texts)
    if mask.true_count + mask.null_count == len(cells):
        return Amounts.of(texts, mask, None)
    odd = pc.if_else(mask, None, texts).dictionary_encode(null_encoding="encode")
    values = [None if text is None else Decimal(text) for text in odd.dictionary.to_pylist()]
    return Amounts.of(texts, mask, Coded(values, odd.indices))


def _trimmed(texts: pa.StringArray) -> pa.StringArray:
    """Usual amounts without zeros at their end that say nothing."""
    import pyarrow.compute as pc

    if not pc.any(pc.ends_with(texts, "0")).as_py():
        return texts
    short = pc.ascii_rtrim(pc.ascii_rtrim(texts, "0"), ".")
    return pc.if_else(pc.match_substring(texts, "."), short, texts)
