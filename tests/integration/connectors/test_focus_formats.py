"""The same rows come out of every format and every version of FOCUS, to the last digit."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import Span
from reconciler.connectors.focus import FocusSettings
from reconciler.connectors.focus.formats import reader
from reconciler.connectors.focus.parquet import readable
from reconciler.connectors.focus.reader import BLOCK_BYTES, BLOCK_ROWS
from reconciler.connectors.focus.rows import batches
from reconciler.errors import BadData
from tests.integration.connectors.focus_files import FORMATS, Desk, Row, row, to_csv, to_jsonl, to_parquet

MARCH = Span(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
EXACT = Decimal("0.123456789012345678")
ROWS = [
    row("2026-03-01", str(EXACT), Tags={"team": "ü", "spot": True}, SkuPriceDetails={"x_Rate": Decimal("1.5")}),
    row("2026-03-02", "-12345678901234567890.5", ListUnitPrice=Decimal("1E-18"), RegionName='a\n"b", c'),
    row("2026-03-03", None, ConsumedQuantity=Decimal("1E6"), ConsumedUnit="GB", x_Cluster="main", Id="7"),
]
TWO = {"ServiceProviderName": "AWS", "ProviderName": None}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def charges_of(desk: Desk, content: bytes, name: str) -> list[Charge]:
    path = desk.put(name, content)
    return [charge for batch in batches(reader(path, name), UTC, MARCH) for charge in batch]


@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_says_the_same(desk: Desk, name: str) -> None:
    """CSV, JSON lines and Parquet, packed or not, give the same charges."""
    desk.put(name, FORMATS[name](ROWS))
    assert await desk.sync() == []
    first, second, third = sorted(desk.stored)
    assert first.billed_cost == EXACT
    assert first.tags == {"team": "ü", "spot": "true"}
    assert first.extra == {"SkuPriceDetails": '{"x_Rate": 1.5}'}
    assert second.billed_cost == Decimal("-12345678901234567890.5")
    assert second.extra == {"ListUnitPrice": "0.000000000000000001", "RegionName": 'a\n"b", c'}
    assert (third.billed_cost, third.consumed_quantity, third.consumed_unit) == (None, Decimal(1000000), "GB")
    assert third.extra == {"x_Cluster": "main", "x_Id": "7"}
    assert {charge.x_origin for charge in desk.stored} == {"file"}
    assert {charge.effective_cost for charge in desk.stored} == {None}


@pytest.mark.parametrize("name", FORMATS)
async def test_formats_are_told_by_content(desk: Desk, name: str) -> None:
    """Without a suffix that says so, the first bytes say what a file is."""
    desk.put("export", FORMATS[name](ROWS))
    assert await desk.sync() == []
    assert len(desk.stored) == 3


async def test_the_format_can_be_said(desk: Desk) -> None:
    """`format` decides where a name misleads."""
    desk.put("a.csv", to_jsonl(ROWS))
    assert len(await desk.sync()) == 1
    desk.settings = FocusSettings(files=("a.csv",), format="jsonl")
    assert await desk.sync() == []
    assert len(desk.stored) == 3


@pytest.mark.parametrize("null", ["", "NULL"])
async def test_nulls_of_csv(desk: Desk, null: str) -> None:
    """Empty cells and the text NULL are null, quoted or not."""
    desk.put("a.csv", to_csv([row(ListCost=None, RegionId=None, Tags=None, x_A=None, ChargeCategory=None)], null))
    assert await desk.sync() == []
    [charge] = desk.stored
    assert (charge.list_cost, charge.region_id, charge.tags, charge.extra) == (None, None, None, None)
    assert charge.charge_category == "Usage"


@pytest.mark.parametrize(
    ("names", "provider", "kept"),
    [
        ({"ProviderName": "AWS"}, "AWS", {}),
        ({"ProviderName": "Reseller", "ServiceProviderName": "AWS"}, "AWS", {"ProviderName": "Reseller"}),
        ({**TWO, "HostProviderName": "GCP"}, "AWS", {"HostProviderName": "GCP"}),
        ({"ProviderName": "AWS", "ServiceProviderName": None}, "AWS", {"ProviderName": "AWS"}),
        ({"ProviderName": None, "PublisherName": "AWS"}, "AWS", {"PublisherName": "AWS"}),
        ({"ProviderName": None, "InvoiceIssuerName": "AWS"}, "AWS", {"InvoiceIssuerName": "AWS"}),
    ],
)
async def test_who_provides(desk: Desk, names: dict[str, Any], provider: str, kept: dict[str, str]) -> None:
    """The provider is whoever the newest column names; what older ones say besides is kept."""
    desk.put("a.csv", to_csv([row(**names)]))
    assert await desk.sync() == []
    assert desk.stored[0].service_provider_name == provider
    assert (desk.stored[0].extra or {}) == kept


async def test_a_row_without_a_service(desk: Desk) -> None:
    """A row that names no service goes under its provider's name."""
    desk.put("a.csv", to_csv([row(ServiceName=None), row()]))
    await desk.sync()
    assert [charge.service_name for charge in desk.stored] == ["Acme", "Widgets"]


async def test_a_file_without_categories(desk: Desk) -> None:
    """Where no column says otherwise, a line is usage."""
    desk.put("a.csv", to_csv([{name: value for name, value in row().items() if name != "ChargeCategory"}]))
    assert await desk.sync() == []
    assert [charge.charge_category for charge in desk.stored] == ["Usage"]


async def test_tags_that_are_none(desk: Desk) -> None:
    """What stands in Tags without being an object is kept beside the tags, and costs no row its place."""
    desk.put("a.csv", to_csv([row(Tags="team=a"), row(Tags={"team": "a"}), row(Tags="{}")]))
    await desk.sync()
    assert [(charge.tags, charge.extra) for charge in desk.stored] == [
        (None, {"Tags": "team=a"}),
        ({"team": "a"}, None),
        (None, None),
    ]


async def test_keys_of_json_come_and_go(desk: Desk) -> None:
    """A key that only some lines have is null in the others, however far apart they are."""
    rows = [row(cost=str(i) if i < 1500 else None, x_A="first" if i == 0 else None) for i in range(3000)]
    rows[-1] = {**rows[-1], "x_B": "last"}
    some = [{name: value for name, value in line.items() if value is not None} for line in rows]
    desk.put("a.jsonl", to_jsonl(some).replace(b"\n", b"\n\n"))
    assert await desk.sync() == []
    assert [charge.billed_cost for charge in desk.stored] == [*range(1500), *[None] * 1500]
    assert [charge.extra for charge in desk.stored] == [{"x_A": "first"}, *[None] * 2998, {"x_B": "last"}]


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64, max_value=1e50, min_value=-1e50), min_size=1)
)
def test_doubles_are_read_as_they_are_shown(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    """Of a double, the shortest decimal that names it is read: what the file's tools show for it."""
    desk = Desk(tmp_path_factory.mktemp("doubles"))
    small = [value if abs(value) > 1e-40 else 0.0 for value in values]
    content = to_parquet([{**row(), "BilledCost": value} for value in small], BilledCost=pa.float64())
    charges = charges_of(desk, content, "a.parquet")
    assert [charge.billed_cost for charge in charges] == [Decimal(repr(value)) for value in small]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.decimal256(60, 30), Decimal("123456789012345678901234567890.123456789012345678901234567891"), None),
        (pa.decimal128(38, 38), Decimal("0.00000000000000000000000000000000000001"), None),
        (pa.int64(), 7, Decimal(7)),
        (pa.float32(), 0.1, Decimal("0.1")),
        (pa.string(), "1.50", Decimal("1.5")),
        (pa.dictionary(pa.int32(), pa.string()), "2.50", Decimal("2.5")),
        (pa.large_string(), "3", Decimal(3)),
        (pa.binary(), b"4.25", Decimal("4.25")),
    ],
)
def test_amounts_of_parquet(desk: Desk, kind: pa.DataType, value: Any, expected: Decimal | None) -> None:
    """Amounts are exact in whatever type the column has."""
    [charge] = charges_of(desk, to_parquet([{**row(), "BilledCost": value}], BilledCost=kind), "a.parquet")
    assert charge.billed_cost == (expected or value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.timestamp("ms", "UTC"), datetime(2026, 3, 1, tzinfo=UTC)),
        (pa.timestamp("ns"), int(MARCH.start.timestamp()) * 10**9 + 7),
        (pa.timestamp("s", "Europe/Berlin"), datetime(2026, 3, 1, tzinfo=UTC)),
        (pa.date32(), date(2026, 3, 1)),
        (pa.string(), "2026-03-01 00:00:00"),
    ],
)
def test_times_of_parquet(desk: Desk, kind: pa.DataType, value: Any) -> None:
    """Times are the same instant in whatever type the column has; without a zone they are UTC."""
    rows = [{**row(), "ChargePeriodStart": value, "x_When": value}]
    [charge] = charges_of(desk, to_parquet(rows, ChargePeriodStart=kind, x_When=kind), "a.parquet")
    assert charge.charge_period_start == MARCH.start
    assert charge.extra is not None
    assert str(charge.extra["x_When"]).startswith("2026-03-01")


def test_nested_columns_of_parquet(desk: Desk) -> None:
    """Maps, structs and lists, as AWS and Google write them, become tags and JSON text."""
    credit = pa.list_(pa.struct({"Name": pa.string(), "Amount": pa.decimal128(10, 2)}))
    rows = [{**row(), "Tags": [("team", "a")], "x_Credits": [{"Name": "c", "Amount": Decimal("-1.50")}], "x_On": True}]
    nulls = {**row(), "Tags": None, "x_Credits": None, "x_On": None}
    types = {"Tags": pa.map_(pa.string(), pa.string()), "x_Credits": credit, "x_On": pa.bool_()}
    first, second = charges_of(desk, to_parquet([*rows, nulls], **types), "a.parquet")
    assert first.tags == {"team": "a"}
    assert first.extra == {"x_Credits": '[{"Name": "c", "Amount": -1.5}]', "x_On": "true"}
    assert (second.tags, second.extra) == (None, None)


def test_times_beyond_the_calendar(desk: Desk) -> None:
    """A time that no calendar has is a bad cell of its row where it matters, and kept by its number elsewhere."""
    types = {"x_When": pa.timestamp("us"), "ChargePeriodEnd": pa.timestamp("us", "UTC")}
    good, far = int(MARCH.end.timestamp() * 10**6), 2**62
    [charge] = charges_of(desk, to_parquet([{**row(), "x_When": far, "ChargePeriodEnd": good}], **types), "a.parquet")
    assert charge.extra == {"x_When": str(far)}
    rows = [{**row(), "x_When": None, "ChargePeriodEnd": end} for end in (good, far)]
    with pytest.raises(BadData, match=rf"row 2: ChargePeriodEnd is '{far}'"):
        charges_of(desk, to_parquet(rows, **types), "a.parquet")


def test_bytes_that_are_no_text(desk: Desk) -> None:
    """A column of bytes that are no text, such as a hash, does not keep a file from being read."""
    [charge] = charges_of(desk, to_parquet([{**row(), "x_Hash": b"a\xff"}], x_Hash=pa.binary()), "a.parquet")
    assert charge.extra == {"x_Hash": "a\\xff"}


def test_json_of_all_kinds(desk: Desk) -> None:
    """Numbers, nested values and broken surrogates are kept as text; a mark before the first line is no data."""
    line = to_jsonl([row(x_A={"n": Decimal("1.10")}, x_B=1.5, x_C=[1, None], x_D=10**30)]).replace(
        b"Widgets", b"\\ud800"
    )
    [charge] = charges_of(desk, b"\xef\xbb\xbf" + line, "a.jsonl")
    assert charge.extra == {"x_A": '{"n": 1.1}', "x_B": "1.5", "x_C": "[1, null]", "x_D": str(10**30)}
    assert charge.service_name == "?"


def test_a_mark_before_the_header(desk: Desk) -> None:
    """The byte order mark that Excel and Azure write is not part of the first column's name."""
    assert len(charges_of(desk, b"\xef\xbb\xbf" + to_csv(ROWS), "a.csv")) == 3


def test_gzip_in_members(desk: Desk) -> None:
    """A gzip file put together from several, as tools that append do, is read to its end."""
    lines = to_csv([row(cost=str(cost)) for cost in range(10)]).splitlines(keepends=True)
    packed = b"".join(gzip.compress(b"".join(part)) for part in (lines[:4], lines[4:]))
    assert len(charges_of(desk, packed, "a.csv.gz")) == 10


def test_stray_quotes(desk: Desk) -> None:
    """An inch mark in a text without quotes is an inch mark."""
    content = to_csv([row(ServiceName="5in disk"), row()]).replace(b"5in", b'5"')
    assert [charge.service_name for charge in charges_of(desk, content, "a.csv")] == ['5" disk', "Widgets"]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_rows_of_other_months_are_left_out(desk: Desk, name: str) -> None:
    """Of a file with more months than the window, the window's rows are read; others may even be bad."""
    rows: Sequence[Row] = [row("2026-02-28"), row("2026-03-01"), row("2026-04-01", BillingCurrency=None)]
    assert [c.charge_period_start for c in charges_of(desk, FORMATS[name](rows), name)] == [MARCH.start]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_many_rows_come_in_batches(desk: Desk, name: str) -> None:
    """A large file comes in batches that keep memory flat, in order and complete."""
    path = desk.put(name, FORMATS[name]([row(cost=str(cost), ServiceName=f"s{cost % 7}") for cost in range(20000)]))
    found = list(batches(reader(path, name), UTC, MARCH))
    assert max(map(len, found)) <= (BLOCK_BYTES // 50 if name == "rows.csv" else BLOCK_ROWS)
    assert [charge.billed_cost for batch in found for charge in batch] == list(range(20000))


tags_of_rows = st.none() | st.lists(
    st.tuples(st.sampled_from(["team", "env", "k\x1f", ""]), st.none() | st.sampled_from(["a", "b", "", "\x1e", "ü"])),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


@given(st.lists(tags_of_rows, min_size=1, max_size=20), st.integers(0, 5))
def test_maps_are_the_tags_that_json_would_be(rows: list[list[tuple[str, str | None]] | None], skipped: int) -> None:
    """Tags come out of Arrow's maps as out of the JSON text of each, wherever in an array the rows lie."""
    maps = pa.array(rows, pa.map_(pa.string(), pa.string())).slice(skipped)
    expected = [None if pairs is None else json.dumps(dict(pairs)) for pairs in rows[skipped:]]
    found = [None if text is None else json.loads(text) for text in readable(maps).to_pylist()]
    assert found == [None if text is None else json.loads(text) for text in expected]
