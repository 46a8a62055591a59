"""What tells rows apart, how COPY is given them, and what is refused before it reaches the database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import MAX_TEXT, Charge, check_period
from ledger.encoding import line, moment, pack, row_id, unpack
from ledger.errors import InvalidCharge
from ledger.schema import CHARGE_COLUMNS

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BASE = Charge(START, START + DAY, "USD", Decimal("1.5"), "api", "S", "V", tags={"a": "b"})
COLUMNS = CHARGE_COLUMNS[3:]
UNESCAPED = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


def _line(charge: Charge) -> str:
    return line(
        charge, row_id(pack(charge)).hex(), 0, moment(charge.charge_period_start), moment(charge.charge_period_end)
    )


def _cells(charge: Charge) -> dict[str, str | None]:
    """The line's cells by column, read as Postgres reads its text format with '' for null."""
    text = _line(unpack(pack(charge)))
    assert text.endswith("\n")
    cells = text[:-1].split("\t")
    assert len(cells) == len(COLUMNS)
    return {name: _unescaped(cell) or None for name, cell in zip(COLUMNS, cells, strict=True)}


def _unescaped(cell: str) -> str:
    text, at = "", 0
    while at < len(cell):
        pair = cell[at : at + 2]
        text += UNESCAPED.get(pair, cell[at])
        at += 2 if pair in UNESCAPED else 1
    return text


@pytest.mark.parametrize("name", [name for name in Charge._fields if name != "charge_period_start"])
def test_every_field_is_part_of_the_row(name: str) -> None:
    """Whatever a charge says differently makes another row."""
    other: dict[str, Any] = {
        "tags": {"x": "y"},
        "extra": {"x": "y"},
        "charge_period_end": START + 2 * DAY,
        "billing_currency": "EUR",
        "x_origin": "file",
        "charge_category": "Tax",
    }
    value = other.get(name, Decimal(7) if "cost" in name or "quantity" in name else "other")

    assert row_id(pack(BASE._replace(**{name: value}))) != row_id(pack(BASE))


def test_the_order_of_tags_says_nothing() -> None:
    """Two mappings with the same entries are the same."""
    one, other = BASE._replace(tags={"x": "1", "y": "2"}), BASE._replace(tags={"y": "2", "x": "1"})

    assert row_id(pack(one)) == row_id(pack(other))


def test_the_encoding_is_pinned() -> None:
    """Stored hashes are compared with new ones: a change of the encoding would restate every row there is."""
    full = BASE._replace(billed_cost=Decimal("-12.34"), x_model="gpt", extra={"InvoiceId": "7", "n": 1})

    assert row_id(pack(BASE)).hex() == "31c89653f1a84b9f256965c95992b697"
    assert row_id(pack(full)).hex() == "6cc59fa7ce82ca97709a05e501d7a306"


@given(st.text(max_size=50), st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=4))
def test_any_text_of_a_vendor_can_be_stored(name: str, tags: dict[str, str]) -> None:
    """Tabs, newlines, backslashes come back as they were; NUL and lone surrogates, which Postgres refuses, do not."""
    cells = _cells(BASE._replace(resource_id=name, sub_account_name=name, tags=tags))

    storable = name.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    assert cells["resource_id"] == cells["sub_account_name"] == (storable or None)
    stored = json.loads(cells["tags"] or "{}")
    assert "\0" not in str(stored)
    if not any("\0" in text or not text.isascii() for pair in tags.items() for text in pair):
        assert stored == tags


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=15))
def test_amounts_are_written_to_the_last_digit(amount: Decimal) -> None:
    """Plainly, whatever form the Decimal has; the effective cost is the billed one where none is given."""
    cells = _cells(BASE._replace(billed_cost=amount))

    assert cells["billed_cost"] is not None
    assert Decimal(cells["billed_cost"]) == amount
    assert "E" not in cells["billed_cost"]
    assert cells["effective_cost"] == cells["billed_cost"]


def test_absent_is_null() -> None:
    """An unpriced line has no amounts, not zeros."""
    cells = _cells(BASE._replace(billed_cost=None, tags=None))

    assert [cells[name] for name in ("billed_cost", "effective_cost", "list_cost", "tags", "region_id")] == [None] * 5


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"billed_cost": 1.5}, "Decimal"),
        ({"billed_cost": Decimal("NaN")}, "finite"),
        ({"billed_cost": Decimal("1E+500")}, "digits"),
        ({"billing_currency": "dollars"}, "currency"),
        ({"resource_id": "x" * (MAX_TEXT + 1)}, "characters"),
        ({"tags": {"a": 1.5}}, "floats"),
        ({"extra": {"a": {"b": [1.5]}}}, "floats"),
        ({"extra": {"a": object()}}, "object"),
        ({"region_id": 5}, "int"),
        ({"x_origin": "guess"}, "origin"),
        ({"charge_category": "usage"}, "category"),
        ({"service_name": ""}, "service name"),
        ({"service_provider_name": ""}, "who provides"),
    ],
)
def test_what_cannot_be_a_charge_is_refused(fields: dict[str, Any], says: str) -> None:
    """In words that say which rule, before anything is stored."""
    with pytest.raises(InvalidCharge, match=says):
        _line(BASE._replace(**fields))


@pytest.mark.parametrize(
    ("since", "until", "says"),
    [
        (START - DAY, START, "outside the window"),
        (START + DAY, START + 2 * DAY, "outside the window"),
        (START, START, "ends"),
        (START.replace(tzinfo=None), (START + DAY).replace(tzinfo=None), "UTC"),
    ],
)
def test_rules_of_a_period(since: datetime, until: datetime, says: str) -> None:
    """A charge lies in the window it was asked for, in UTC."""
    check_period(START, START + 31 * DAY, START, START + DAY)
    with pytest.raises(InvalidCharge, match=says):
        check_period(since, until, START, START + DAY)
