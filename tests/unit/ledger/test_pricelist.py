"""Price lists: which price holds on which day, what a quantity costs, and that every list that ships is sound."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.pricelist import InvalidPriceList, Price, PriceList, Rate, parsed, shipped
from ledger.units import NoConversion, decimal

DAY = date(2026, 3, 2)
PAGE = Path(__file__).parents[3] / "docs/price-lists.md"
FILES = {file.name.removesuffix(".json") for file in (files("ledger") / "prices").iterdir()}
SHIPPED = sorted(FILES - {"models"})  # of which test_modelprices tells
AMOUNTS = st.decimals(0, 10**6, allow_nan=False, places=10)
DAYS = st.dates(date(2025, 1, 1), date(2026, 12, 31))


def row(**fields: Any) -> dict[str, Any]:
    return {"sku": "email", "unit": "Emails", "per": "1000", "amount": "0.90", "currency": "USD", **fields}


def text(*rows: Any, **fields: Any) -> str:
    table = {"vendor": "acme", "asOf": "2026-03-02", "source": "https://acme.example/pricing", **fields}
    return json.dumps({**table, "prices": list(rows)})


@given(AMOUNTS, st.integers(0, 10**15), st.integers(1, 10**9))
def test_a_cost_is_quantity_times_price(amount: Decimal, quantity: int, per: int) -> None:
    """The cost is what fractions give, to the last digit where there is one."""
    cost = Price("email", "Emails", amount, "USD", Decimal(per)).cost(quantity, "Emails")

    exact = Fraction(amount) * quantity / per
    assert Fraction(cost) == exact or abs(Fraction(cost) - exact) <= Fraction(1, 10**20)


@given(
    st.decimals(0, 10**30, allow_nan=False, places=30),
    st.decimals(0, 10**9, allow_nan=False, places=25),
    st.integers(1, 10**9),
    st.sampled_from(["GB-Hours", "Bytes-Seconds", "MiB-Minutes"]),
    st.sampled_from([None, 730, 744]),
)
def test_a_rate_prices_as_fractions_do(
    quantity: Decimal, amount: Decimal, per: int, unit: str, hours: int | None
) -> None:
    """However often a price is used, and however its digits end, it gives what it gives by fractions alone."""
    price = Price("disk", "GB-Months" if hours else "GB-Hours", amount, "USD", Decimal(per))
    rate = Rate.of(price, unit, hours)
    exactly = (price.cost(quantity, unit, hours), decimal(price.units(quantity, unit, hours)))

    assert rate.priced(quantity) == rate.priced(Fraction(quantity)) == exactly


@given(st.dictionaries(DAYS, AMOUNTS, max_size=6), DAYS)
def test_the_latest_price_that_is_valid_holds(amounts: dict[date, Decimal], day: date) -> None:
    """On a day the last price counts that began by then; before the first, there is none."""
    prices = tuple(Price("email", "Emails", amount, "USD", valid_from=since) for since, amount in amounts.items())
    price = PriceList("acme", DAY, prices).price("email", day)

    begun = [since for since in amounts if since <= day]
    assert (price.amount if price else None) == (amounts[max(begun)] if begun else None)


def test_a_price_without_a_day_holds_until_another_begins() -> None:
    """A price that says no day is the oldest."""
    listed = parsed(text(row(), row(amount="0.80", validFrom="2026-03-02")))

    found = [listed.price("email", day) for day in (DAY - timedelta(days=1), DAY)]
    assert [price.amount for price in found if price] == [Decimal("0.9"), Decimal("0.8")]


def test_an_unknown_sku_has_no_price() -> None:
    """What is not in the list is unpriced, not free."""
    assert parsed(text(row())).price("fax", DAY) is None


def test_another_unit_is_refused() -> None:
    """A price by the thousand emails says nothing about gigabytes."""
    with pytest.raises(NoConversion, match="GB cannot be counted in Emails"):
        Price("email", "Emails", Decimal(1), "USD").cost(1, "GB")


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ("{", "JSON"),
        ("[]", "TypeError"),
        (text(row(), asOf="yesterday"), "isoformat"),
        (text(row(amount=0.9)), "texts"),
        (text(row(amount="free")), "free"),
        (text(row(per="0")), "per 0"),
        (text(row(currency="dollars")), "currency"),
        (text(row(validfrom="2026-01-01")), "validfrom"),
        (text(row(), row()), "two prices"),
        (text({"sku": "email"}), "texts"),
    ],
)
def test_a_list_that_cannot_be_read_says_so(listed: str, words: str) -> None:
    """Floats, unknown fields, repeated SKUs and everything else that is unsound is refused with its reason."""
    with pytest.raises(InvalidPriceList, match=words):
        parsed(listed)


@pytest.mark.parametrize("vendor", SHIPPED)
def test_what_ships_is_sound_dated_and_sourced(vendor: str) -> None:
    """Every default list reads, is named like its file, says since when it stands and where, and has prices."""
    listed = shipped(vendor)

    assert listed is not None
    assert listed.vendor == vendor
    assert (listed.source or "").startswith("https://")
    assert date(2026, 1, 1) <= listed.as_of <= date(2026, 11, 22)
    assert listed.prices
    assert all(price.amount > 0 for price in listed.prices)


def test_every_list_is_told_with_its_date_and_source() -> None:
    """The page on price lists has a row for each list that ships, with the day and the page of its figures."""
    tables = {name: json.loads((files("ledger") / "prices" / f"{name}.json").read_text()) for name in FILES}

    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \|$", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted((name, table["asOf"], table["source"]) for name, table in tables.items())


def test_no_list_ships_for_others() -> None:
    """A vendor without a default list has none."""
    assert shipped("acme") is None
