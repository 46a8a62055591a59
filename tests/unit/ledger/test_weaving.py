"""Charges by the column come to the same bytes and sums as the same charges one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import AMOUNTS, CHARGE_CATEGORIES, MAX_TEXT, ORIGINS, Charge
from ledger.columns import Coded, Columns, combined
from ledger.encoding import line, moment, pack, row_id
from ledger.errors import InvalidCharge
from ledger.intake import MEMORY, Intake, Memory
from ledger.money import amount
from ledger.window import Span, Window, midnight

START = datetime(2026, 9, 1, tzinfo=UTC)
WINDOW = Window(Span(START, START + timedelta(days=3)))
HOURS = [START + timedelta(hours=hour) for hour in range(72)]
LINES = Memory(lines=50)

words = st.none() | st.sampled_from(["a", "b", "", "tab\there", "line\nbreak", "\\", "\0", "ü€", "x" * 300])
names = st.sampled_from(["Compute", "a\tb", "ü"])
numbers = st.one_of(
    st.none(),
    st.sampled_from([Decimal(text) for text in ("0", "100", "1.50", "-3", "1E-9", "0.0000001", "0E-12", "1E+3")]),
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9).map(amount),
    st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=0, max_value=10**15),
)
tags = st.none() | st.dictionaries(
    st.sampled_from(["team", "env", "z\n"]), st.sampled_from(["x", "\\", "ü"]), max_size=3
)
extra = st.none() | st.dictionaries(
    st.sampled_from(["x_A", "InvoiceId", "x_B"]), st.sampled_from(["1", "\0", [1, {"b": None}], {"n": {"m": "ü"}}])
)


@st.composite
def charges(draw: st.DrawFn) -> Charge:
    """A charge of the window, of which several may say the same."""
    start = draw(st.sampled_from(HOURS))
    values: dict[str, Any] = {field: draw(words) for field in Charge._fields[8:21]}
    values |= {field: draw(numbers) for field in sorted(AMOUNTS)}
    values |= {"consumed_unit": draw(words), "pricing_unit": draw(words), "tags": draw(tags), "extra": draw(extra)}
    return Charge(
        charge_period_start=start,
        charge_period_end=start + timedelta(hours=draw(st.integers(1, 3))),
        billing_currency=draw(st.sampled_from(["USD", "EUR", "usd"])),
        x_origin=draw(st.sampled_from(sorted(ORIGINS))),
        service_name=draw(names),
        service_provider_name=draw(names),
        charge_category=draw(st.sampled_from(sorted(CHARGE_CATEGORIES))),
        **values,
    )


@contextmanager
def intake(filled: Sequence[int] = (), memory: Memory = MEMORY) -> Iterator[Intake]:
    """One that is closed after use."""
    opened = Intake(WINDOW, filled, memory)
    with closing(opened._aside):
        yield opened


def taken_in(batch: Sequence[Charge], filled: Sequence[int], take: Callable[[Intake, Sequence[Charge]], object]) -> Any:
    """All that an intake knows after a batch."""
    with intake(filled, LINES) as own:
        take(own, batch)
        by_piece = {index: b"".join(own._aside.get([index])) for index in range(3)}
        sums = sorted(own.sums.rows(own.pieces, range(3))) if own.sums is not None else None
        return by_piece, own.rows, [own.digest(index) for index in range(3)], sums


@given(st.lists(charges(), min_size=1, max_size=25), st.sets(st.integers(0, 2)))
def test_columns_come_to_the_same_as_rows(rows: list[Charge], filled: set[int]) -> None:
    """Lines, rows kept aside, digests, counts and sums are the same, to the byte, and no row is looked at by itself."""
    woven = Columns.of(rows)
    assert list(woven) == rows
    took: list[bool] = []
    found = taken_in(woven, sorted(filled), lambda own, batch: took.append(own._add_columns(woven)))
    assert took == [True]
    assert found == taken_in(rows, sorted(filled), Intake.add)


def _charge(**fields: Any) -> Charge:
    return Charge(START, HOURS[1], "USD", Decimal("1.5"), "file", "Compute", "Vendor")._replace(**fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("x_origin", "guess"),
        ("charge_category", "Gift"),
        ("service_name", ""),
        ("resource_id", "x" * (MAX_TEXT + 1)),
        ("billing_currency", "Dollars"),
        ("extra", {"x_A": 0.5}),
        ("charge_period_start", START - timedelta(hours=1)),
        ("charge_period_end", START),
        ("charge_period_end", midnight(START.date()).replace(tzinfo=None)),
    ],
)
def test_what_is_wrong_with_a_row_is_told_of_the_row(field: str, value: object) -> None:
    """A batch of columns with a bad row is refused in the words that the row alone is refused with."""
    rows = [_charge(), _charge(**{field: value})]
    with intake() as own, pytest.raises((InvalidCharge, TypeError)) as expected:
        own.add(rows)
    with intake() as own, pytest.raises(expected.type) as told:
        own.add(Columns.of(rows))
    assert str(told.value) == str(expected.value)


@pytest.mark.parametrize("fields", [{"resource_id": "half \ud800 pair"}, {"list_cost": Decimal("1" * 40)}])
def test_what_columns_cannot_hold_is_taken_in_by_the_row(fields: dict[str, Any]) -> None:
    """Half of a pair of surrogates, or an amount too long to be summed up with others, is stored like any row's."""
    rows = [_charge(), _charge(**fields)]
    assert taken_in(Columns.of(rows), [], Intake.add) == taken_in(rows, [], Intake.add)


async def _batches(rows: Sequence[Charge], sizes: Sequence[int]) -> AsyncIterator[Sequence[Charge]]:
    first = 0
    for size in sizes:
        yield rows[first : first + size]
        first += size


@pytest.mark.parametrize("sizes", [[9_000], [1_000] * 9, [1_500, 3, 7_000, 1, 496], [999] * 9 + [9]])
async def test_batches_of_any_size_come_to_the_same(sizes: list[int]) -> None:
    """Whether rows come by thousands or few at a time, the same is taken in."""
    rows = [
        _charge(charge_period_start=HOURS[n % 24], charge_period_end=HOURS[n % 24 + 1], sku_id=str(n // 2))
        for n in range(9_000)
    ]
    with intake() as own:
        assert await own.read(_batches(rows, sizes))
        found = own.rows, own.digest(0), sorted(own.sums.rows(own.pieces, [0]))  # type: ignore[union-attr]  # few lines
    with intake() as own:
        own._add_rows(rows)
        assert found == (own.rows, own.digest(0), sorted(own.sums.rows(own.pieces, [0])))  # type: ignore[union-attr]  # few lines


@pytest.mark.parametrize("named", [True, False])
async def test_rows_kept_aside_become_lines_whatever_their_number(named: bool) -> None:
    """Of rows kept aside, by thousands or few, those asked for come to the lines that each comes to by itself."""
    rows = [_charge(sku_id=str(n)) for n in range(3_000)]
    asked = {row_id(pack(row)) for row in rows[::2]} if named else None
    expected = [
        "mine\t" + line(row, row_id(pack(row)).hex(), 0, moment(row[0]), moment(row[1]))
        for row in (rows[::2] if named else rows)
    ]
    for size in (3_000, 100):
        with intake(filled=[0]) as own:
            assert await own.read(_batches(rows, [size] * (3_000 // size)))
            found = b"".join([part async for part in own.lines_of([0], asked, b"mine\t")])
            assert found.decode().splitlines(keepends=True) == expected


def test_combined_columns_name_what_occurs_together() -> None:
    """The values of combined columns are the tuples that rows have, whatever the number of columns."""
    left, right = ["a", "b", "a", "c"], [1, 1, 2, 1]

    def coded(cells: list[Any]) -> Coded:
        values = sorted(set(cells))
        return Coded(values, pa.array(map(values.index, cells), pa.int32()))

    columns = [coded(left), Coded(["same"]), coded(right), coded(left)]
    found = combined(columns)
    assert list(found.rows(4)) == [(a, "same", b, a) for a, b in zip(left, right, strict=True)]
    assert len(found.values) == 4


def test_many_periods_are_told_apart() -> None:
    """A batch that comes when more periods are known than are kept is summed up like any other."""
    moments = [START + timedelta(seconds=n) for n in range(30_001)]
    rows = [_charge(charge_period_start=since, charge_period_end=until) for since, until in pairwise(moments)]
    with intake() as whole, intake() as parts:
        whole.add(rows)
        for first in range(0, len(rows), 7_000):
            parts.add(rows[first : first + 7_000])
        assert [*whole.sums.rows(whole.pieces, [0])] == [*parts.sums.rows(parts.pieces, [0])]  # type: ignore[union-attr]  # few lines
