"""Files written from the ledger: the same values in every format, to the last digit."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import product
from threading import Event
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ledger.charge import Charge
from ledger.database import ReaderDB, WriterDB
from ledger.errors import TooSlow
from ledger.focus import OWN, columns, getter
from ledger.money import EXACT, ZERO, canonical, plain
from ledger.reads.copying import CHUNK
from ledger.reads.export import FORMATS, Format, export
from ledger.reads.filters import ChargeFilter
from ledger.reads.manifests import ExportQuestion, Manifest
from ledger.reads.periods import Period
from tests.integration.ledger.conftest import READ_AT, charge
from tests.integration.reads.conftest import SPAN, ledger_of, rich_charges

PERIOD = Period(SPAN.start.date(), SPAN.end.date())
CHARGES = ExportQuestion(what="charges", period=PERIOD)
COSTS = ExportQuestion(what="costs", period=PERIOD)
Row = dict[str, str | None]
FORMULAS = "=+@\t\r\n\uff1d\uff0b\uff20\uff0d-"

some = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


async def written(db: ReaderDB, namespace: str, question: ExportQuestion, format_: Format) -> tuple[Manifest, bytes]:
    async with export(db, [namespace], question, format_, READ_AT) as made:
        return made.manifest, b"".join([chunk async for chunk in made.chunks])


def rows(format_: Format, data: bytes) -> list[Row]:
    """The rows of a file, every value as text."""
    if format_ == "csv":
        found = csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True)
        return [{name: value or None for name, value in row.items()} for row in found]
    if format_ == "jsonl":
        return [{name: _text(value) for name, value in json.loads(line).items()} for line in data.splitlines()]
    table = pyarrow.parquet.read_table(io.BytesIO(data))
    return [{name: _text(value) for name, value in row.items()} for row in table.to_pylist()]


def _text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case Decimal():
            return plain(canonical(value))
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case _:
            return json.dumps(value, ensure_ascii=False)


def expected(charge: Charge) -> Row:
    """The FOCUS columns and Costhook's own, as ledger.focus says they are."""
    named = (*columns("1.2"), *OWN.values())
    return {column.name: _text(getter(column)(charge)) for column in named}


def comparable(found: Sequence[Row]) -> Counter[tuple[tuple[str, str | None], ...]]:
    """Rows without regard to their order, JSON without regard to its spaces."""
    return Counter(tuple(sorted((name, _squeezed(name, value)) for name, value in row.items())) for row in found)


def _squeezed(name: str, value: str | None) -> str | None:
    if name != "Tags" or value is None or not value.startswith("{"):
        return value
    return json.dumps(json.loads(value), sort_keys=True)


def shown(found: Sequence[Row]) -> list[Row]:
    """Rows with the columns that `expected` knows."""
    names = [column.name for column in (*columns("1.2"), *OWN.values())]
    return [{name: row.get(name) for name in names} for row in found]


@some
@given(charges=st.lists(rich_charges, max_size=8))
async def test_files_hold_what_focus_says(writer: WriterDB, reader: ReaderDB, charges: list[Charge]) -> None:
    """Postgres writes of every charge exactly the columns that ledger.focus reads from it in Python."""
    desk = await ledger_of(writer, charges)
    for format_ in ("jsonl", "parquet"):
        _, data = await written(reader, desk.namespace, CHARGES, format_)
        assert comparable(shown(rows(format_, data))) == comparable([expected(held) for held in charges])


@some
@given(charges=st.lists(rich_charges, max_size=8))
async def test_csv_differs_only_by_the_apostrophe_before_formulas(
    writer: WriterDB, reader: ReaderDB, charges: list[Charge]
) -> None:
    """A text cell never begins as a formula does; without the apostrophe it is what the ledger holds."""
    desk = await ledger_of(writer, charges)
    _, data = await written(reader, desk.namespace, CHARGES, "csv")
    numbers = {column.name for column in columns("1.2") if column.kind == "decimal"}

    found = rows("csv", data)
    for row in found:
        cells = [cell for name, cell in row.items() if cell and name not in numbers]
        assert not [cell for cell in cells if cell[0] in FORMULAS]
    freed = [{name: cell and re.sub(f"^'(?=[{FORMULAS}])", "", cell) for name, cell in row.items()} for row in found]
    assert comparable(shown(freed)) == comparable([expected(held) for held in charges])


@some
@given(charges=st.lists(rich_charges, max_size=8))
async def test_the_manifest_is_true(writer: WriterDB, reader: ReaderDB, charges: list[Charge]) -> None:
    """Rows and totals of the manifest are those of the file, in every currency, to the last digit."""
    desk = await ledger_of(writer, charges)
    for question, format_ in product((CHARGES, COSTS), FORMATS):
        manifest, data = await written(reader, desk.namespace, question, format_)
        check_manifest(manifest, rows(format_, data), charges)


def check_manifest(manifest: Manifest, found: Sequence[Row], charges: Sequence[Charge]) -> None:
    sums: dict[str | None, Decimal] = {}
    with localcontext(EXACT):
        for row in found:
            sums[row["BillingCurrency"]] = sums.get(row["BillingCurrency"], ZERO) + Decimal(row.get("BilledCost") or 0)
    assert manifest.rows == len(found)
    assert {total.currency: total.billed_cost for total in manifest.totals} == sums
    assert sum(total.charges for total in manifest.totals) == len(charges)
    assert sum(total.unpriced for total in manifest.totals) == sum(held.billed_cost is None for held in charges)
    assert not any("E" in (row.get("BilledCost") or "") for row in found)


@some
@given(before=st.lists(rich_charges, max_size=5), after=st.lists(rich_charges, max_size=5))
async def test_costs_as_of_a_moment_are_the_rollup_of_that_moment(
    writer: WriterDB, reader: ReaderDB, before: list[Charge], after: list[Charge]
) -> None:
    """Daily costs as of a moment, added up from charges and history, are the file the rollup gave at that moment."""
    desk = await ledger_of(writer, before)
    _, then = await written(reader, desk.namespace, COSTS, "jsonl")
    await desk.sync(SPAN, after, at=READ_AT + timedelta(hours=1))

    _, remembered = await written(reader, desk.namespace, replace(COSTS, as_of=READ_AT), "jsonl")
    assert comparable(rows("jsonl", remembered)) == comparable(rows("jsonl", then))


async def test_what_has_no_column_is_kept(writer: WriterDB, reader: ReaderDB) -> None:
    """Vendors' columns come back under their names; names that no statement may hold come back in x_extra."""
    extra = {"x_Region": "eu", "HostProviderName": "Cloud", "x_odd $1 name'": "=1", "x_number": 5}
    desk = await ledger_of(writer, [charge(0, "a", "1")._replace(extra=extra)])

    _, data = await written(reader, desk.namespace, CHARGES, "jsonl")
    row = json.loads(data)
    assert (row["x_Region"], row["x_HostProviderName"], row["x_number"]) == ("eu", "Cloud", "5")
    assert row["x_extra"] == {"x_odd $1 name'": "=1"}
    assert (row["x_namespace"], row["x_provider"]) == (desk.namespace, desk.name)


async def test_vendors_columns_may_be_many(writer: WriterDB, reader: ReaderDB) -> None:
    """More columns than a function of Postgres takes values come out whole, beside charges that have none of them."""
    extra = {f"x_{number}": f'"{number}"' for number in range(250)}
    desk = await ledger_of(writer, [charge(0, "a", "1")._replace(extra=extra), charge(1, "b", "1")])

    _, data = await written(reader, desk.namespace, CHARGES, "jsonl")
    one, other = sorted(map(json.loads, data.splitlines()), key=lambda row: str(row["SkuId"]))
    assert {name: one.get(name) for name in extra} == extra
    assert not other.keys() & extra.keys()


@pytest.mark.parametrize("format_", FORMATS)
async def test_billing_periods_are_the_same_in_every_period(
    writer: WriterDB, reader: ReaderDB, format_: Format
) -> None:
    """A charge's billing period does not depend on the months of the period that is asked for."""
    desk = await ledger_of(writer, [charge(2, "a", "1"), charge(3, "b", "1")])
    october = replace(CHARGES, period=Period(date(2026, 10, 1), date(2026, 10, 2)))
    ages = replace(CHARGES, period=Period(date(1950, 1, 1), date(2100, 1, 1)))

    async def billed(question: ExportQuestion) -> dict[str | None, tuple[str | None, str | None]]:
        _, data = await written(reader, desk.namespace, question, format_)
        return {row["SkuId"]: (row["BillingPeriodStart"], row["BillingPeriodEnd"]) for row in rows(format_, data)}

    september = ("2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z")
    assert await billed(october) == {"b": ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")}
    assert await billed(CHARGES) == await billed(ages) == {"a": september, **await billed(october)}


async def test_files_come_in_chunks_of_whole_rows(writer: WriterDB, reader: ReaderDB) -> None:
    """What Postgres sends in small pieces is passed on in large ones, none of which ends within a row."""
    desk = await ledger_of(writer, [charge(day % 7, f"sku {day}", "1") for day in range(3000)])
    async with export(reader, [desk.namespace], CHARGES, "jsonl", READ_AT) as made:
        *chunks, last = [chunk async for chunk in made.chunks]

    assert chunks
    assert all(CHUNK <= len(chunk) < 4 * CHUNK for chunk in chunks)
    assert all(chunk.endswith(b"\n") for chunk in (*chunks, last))


async def test_parquet_tells_what_it_holds(writer: WriterDB, reader: ReaderDB) -> None:
    """A Parquet file has exact decimals, times in UTC, and the manifest among its metadata."""
    desk = await ledger_of(writer, [charge(0, "a", "0.1234567890123"), charge(1, "b", "12345678901234567890123456789")])
    manifest, data = await written(reader, desk.namespace, CHARGES, "parquet")

    schema = pyarrow.parquet.read_schema(io.BytesIO(data))
    assert str(schema.field("BilledCost").type) == "decimal256(76, 13)"
    assert str(schema.field("ListCost").type) == "decimal128(38, 12)"
    assert str(schema.field("ChargePeriodStart").type) == "timestamp[us, tz=UTC]"
    assert json.loads(schema.metadata[b"costhook.manifest"]) == json.loads(manifest.text())


async def test_amounts_beyond_any_decimal_type_are_text(writer: WriterDB, reader: ReaderDB) -> None:
    """An amount of more than 76 digits is not rounded: its column is text."""
    huge = Decimal("9" * 60 + "." + "1" * 60)
    desk = await ledger_of(writer, [charge(0, "a", str(huge))])
    _, data = await written(reader, desk.namespace, CHARGES, "parquet")

    assert rows("parquet", data)[0]["BilledCost"] == str(huge)


async def test_filters_hold_for_files(writer: WriterDB, reader: ReaderDB) -> None:
    """A filter, also one that the rollup knows nothing of, chooses rows and totals alike."""
    desk = await ledger_of(writer, [charge(0, "a", "1"), charge(1, "b", "2"), charge(1, "c", "4")])
    for question in (CHARGES, COSTS):
        chosen = replace(question, filter=ChargeFilter(skus=("a", "c")))
        manifest, data = await written(reader, desk.namespace, chosen, "csv")
        assert sum(Decimal(row.get("BilledCost") or 0) for row in rows("csv", data)) == 5
        assert [total.billed_cost for total in manifest.totals] == [5]
        assert manifest.rows == len(rows("csv", data)) == 2


@pytest.mark.parametrize("format_", FORMATS)
async def test_leaving_early_frees_the_connection(writer: WriterDB, reader: ReaderDB, format_: Format) -> None:
    """Whoever stops reading in the middle of a file leaves no statement running and no connection taken."""
    desk = await ledger_of(writer, [charge(day % 7, f"sku {day}", "1") for day in range(3000)])
    async with export(reader, [desk.namespace], CHARGES, format_, READ_AT) as made:
        async for _ in made.chunks:
            break

    assert reader.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of the pool it is, not of its base
    async with reader.transaction([desk.namespace]) as connection:
        assert (await connection.execute(text("select count(*) from charge"))).scalar() == 3000


async def test_a_file_that_takes_too_long_is_cut_off(writer: WriterDB, reader: ReaderDB) -> None:
    """The time an export may take holds while it is read, and ends it with an error that says so."""
    desk = await ledger_of(writer, [charge(day % 7, f"sku {day}", "1") for day in range(20_000)])

    async def slowly() -> None:
        async with export(reader, [desk.namespace], CHARGES, "csv", READ_AT, seconds=0.1) as made:
            async for _ in made.chunks:
                await asyncio.to_thread(Event().wait, 0.05)

    with pytest.raises(TooSlow):
        await slowly()
