"""What tells charges apart, and what is refused before it reaches the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import MAX_TEXT, Charge, check
from ledger.errors import InvalidCharge
from ledger.identity import encode
from ledger.schema import CHARGE_VALUES, DIMENSIONS, NAMES

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BASE = Charge(START, START + DAY, "USD", Decimal("1.5"), "api", "S", "V", tags={"a": "b"})


def _value(charge: Charge, name: str) -> Any:
    return encode(charge).values[CHARGE_VALUES.index(name)]


@pytest.mark.parametrize("name", [*DIMENSIONS, "charge_period_end"])
def test_a_dimension_makes_another_line(name: str) -> None:
    """Every dimension is part of the identity, and so of the row."""
    values: dict[str, Any] = {
        "billing_currency": "EUR",
        "x_origin": "file",
        "charge_category": "Tax",
        "charge_period_end": START + 2 * DAY,
    }
    other = BASE._replace(**{name: values.get(name, "other")})

    assert encode(other).identity != encode(BASE).identity
    assert encode(other).row_id != encode(BASE).row_id


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "a name") for name in NAMES),
        ("billed_cost", Decimal("1.51")),
        ("billed_cost", None),
        ("effective_cost", Decimal(1)),
        ("list_cost", Decimal(2)),
        ("contracted_cost", Decimal(2)),
        ("consumed_quantity", Decimal(10)),
        ("pricing_quantity", Decimal(10)),
        ("tags", {"a": "c"}),
        ("extra", {"InvoiceId": "1"}),
    ],
)
def test_content_changes_the_row_and_not_the_line(name: str, value: Any) -> None:
    """So that a restatement is seen as a change of a line."""
    other = BASE._replace(**{name: value})

    assert encode(other).identity == encode(BASE).identity
    assert encode(other).row_id != encode(BASE).row_id


def test_the_same_said_differently_is_the_same() -> None:
    """Trailing zeros, empty text for none, case of the currency, order of tags."""
    two = BASE._replace(tags={"x": "1", "y": "2"})
    said = two._replace(
        billed_cost=Decimal("1.500"),
        billing_currency="usd",
        region_id="",
        tags={"y": "2", "x": "1"},
        extra={},
        effective_cost=Decimal("1.5"),
    )

    assert encode(said) == encode(two)


def test_the_encoding_is_pinned() -> None:
    """Stored hashes are compared with new ones: a change of the encoding would restate every row there is."""
    assert encode(BASE).identity.hex() == PINNED_IDENTITY
    assert encode(BASE).row_id.hex() == PINNED_ROW


PINNED_IDENTITY = "84b95d2a7d2e127a43cddfaef2d8dc5d"
PINNED_ROW = "e2eeff0cdde2bc390604c29b793ba3c4"


@given(st.text(max_size=50), st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=4))
def test_any_text_of_a_vendor_can_be_stored(name: str, tags: dict[str, str]) -> None:
    """NUL and lone surrogates, which Postgres refuses, are replaced; everything else is kept."""
    stored = _value(BASE._replace(resource_id=name, tags=tags), "resource_id")

    stored_text = stored or ""
    stored_text.encode()
    assert "\0" not in stored_text
    if "\0" not in name and not any("\ud800" <= c <= "\udfff" for c in name):
        assert stored_text == name


def test_escaped_nul_in_documents_is_replaced() -> None:
    """JSON may hold it escaped; Postgres' jsonb may not."""
    assert "\\u0000" not in _value(BASE._replace(tags={"a\0": "b\0\ud800"}), "tags")


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
        ({"extra": {"a": object()}}, "JSON"),
        ({"service_name": 5}, "S|sequence item|str"),
    ],
)
def test_what_cannot_be_a_charge_is_refused(fields: dict[str, Any], says: str) -> None:
    """In words that name the service and day, before anything is stored."""
    with pytest.raises(InvalidCharge, match=says):
        encode(BASE._replace(**fields))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"charge_period_start": START - DAY}, "outside the window"),
        ({"charge_period_start": START + DAY, "charge_period_end": START + 2 * DAY}, "outside the window"),
        ({"charge_period_end": START}, "ends"),
        ({"charge_period_start": START.replace(tzinfo=None)}, "UTC"),
        ({"x_origin": "guess"}, "origin"),
        ({"charge_category": "usage"}, "category"),
        ({"service_name": ""}, "service name"),
        ({"service_provider_name": ""}, "who provides"),
    ],
)
def test_rules_of_a_charge(fields: dict[str, Any], says: str) -> None:
    """Broken ones name the rule."""
    check(BASE, START, START + DAY)
    with pytest.raises(InvalidCharge, match=says):
        check(BASE._replace(**fields), START, START + DAY)
