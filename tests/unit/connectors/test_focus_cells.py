"""What cells mean: times, amounts, words and tags as exports write them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import plain
from reconciler.connectors.focus import cells

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "cell",
    [
        "2024-09-18T22:00:00Z",
        "2024-09-18 22:00:00",
        "2024-09-18T22:00Z",
        "2024-09-18 22:00:00 UTC",
        "2024-09-18 22:00:00.000000 UTC",
        "2024-09-18T22:00:00.000Z",
        "2024-09-18T22:00:00+00:00",
        "2024-09-19T00:00:00+02:00",
        " 2024-09-18T22:00:00Z ",
        datetime(2024, 9, 18, 22, tzinfo=UTC),
    ],
)
def test_times_as_vendors_write_them(cell: str | datetime) -> None:
    """Every form that real exports use names the same instant, in UTC."""
    read = cells.moment(cell, UTC)
    assert read == datetime(2024, 9, 18, 22, tzinfo=UTC)
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2024-09-01", "2024-08-31T22:00:00Z"),
        ("2024-01-01 00:00:00", "2023-12-31T23:00:00Z"),
        (datetime(2024, 1, 1), "2023-12-31T23:00:00Z"),  # noqa: DTZ001  # as Parquet without a zone gives it
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01 00:00:00 UTC", "2024-01-01T00:00:00Z"),
    ],
)
def test_times_without_a_zone(cell: str | datetime, expected: str) -> None:
    """What names no zone is in the zone of the settings; what names one is not."""
    assert cells.plain_moment(cell, BERLIN) == expected


@pytest.mark.parametrize("cell", ["", "soon", "09/18/2024", "1726696800", "1900-01-01", "9999-12-31T23:59:59Z"])
def test_times_that_are_none(cell: str) -> None:
    """Anything else is refused rather than guessed at."""
    with pytest.raises(ValueError, match=r"isoformat|the year"):
        cells.moment(cell, UTC)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("0.00000080000", "0.0000008"),
        ("24", "24"),
        ("-1.50", "-1.5"),
        ("+2", "2"),
        (".5", "0.5"),
        ("5.", "5"),
        (" 7 ", "7"),
        ("1.5E-7", "0.00000015"),
        ("12e3", "12000"),
        ("123456789012345678901234567890.123456789012345678901234567890", None),
    ],
)
def test_amounts(cell: str, expected: str | None) -> None:
    """Amounts are exact, with or without an exponent."""
    assert cells.plain_number(cell) == (expected or cell.removesuffix("0"))


@pytest.mark.parametrize(
    "cell", ["", "1,000.00", "$5", "1_000", "NaN", "Infinity", "0x10", "1 000", "1e999", "9" * 90, "²"]
)
def test_amounts_that_are_none(cell: str) -> None:
    """Thousands, signs of currency, and what no bill holds, are refused."""
    with pytest.raises(ValueError, match=r"no decimal number|more than"):
        cells.number(cell)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**20), max_value=10**20))
def test_amounts_are_exact(value: Decimal) -> None:
    """Whatever the digits, and whichever way they are written, they are the digits that come out."""
    assert cells.number(plain(value)) == value
    assert cells.number(f"{value:E}") == value


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("ChargeFrequency", "Usage-based", "Usage-Based"),
        ("ChargeFrequency", "USAGE-BASED ", "Usage-Based"),
        ("ServiceCategory", "ai and machine learning", "AI and Machine Learning"),
        ("ServiceCategory", "Build & Deploy", "Build & Deploy"),
        ("PricingCategory", "standard", "Standard"),
    ],
)
def test_words(column: str, cell: str, expected: str) -> None:
    """Words of FOCUS's lists are spelled as there; a vendor's own words are kept."""
    assert cells.word(column)(cell) == expected


def test_categories_are_known_or_refused() -> None:
    """A charge category is one of five, in any case of letters; what is none is not guessed at."""
    assert cells.category("credit") == "Credit"
    with pytest.raises(ValueError, match="Refund"):
        cells.category("Refund")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('{"team": "a", "env": ""}', {"team": "a", "env": ""}),
        ('{"spot": true, "n": 7, "rate": 0.50, "none": null}', {"spot": "true", "n": "7", "rate": "0.5", "none": ""}),
        ('{"owner": {"name": "ü", "n": 1.25}}', {"owner": '{"name": "ü", "n": 1.25}'}),
        ('{"deep": 1e999999999}', {"deep": "1E+999999999"}),
        ("{}", None),
        ('["a"]', '["a"]'),
        ("team=a", "team=a"),
        ('{"a": ' * 100_000, '{"a": ' * 100_000),
        ('{"n": ' + "9" * 5000 + "}", '{"n": ' + "9" * 5000 + "}"),
    ],
)
def test_tags(cell: str, expected: object) -> None:
    """Tags are texts by name; what is no JSON object is kept as it is."""
    assert cells.tags_or_text(cell) == expected
