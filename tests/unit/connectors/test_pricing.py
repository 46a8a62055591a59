"""Estimates: usage times the price in force, with the list and its date named, and plans' fixed fees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.charge import Charge
from ledger.window import DAY, Span, midnight
from reconciler.connectors.pricing import Plan, PricedSettings, Tariff, fees
from reconciler.errors import NeedsPerson
from reconciler.kinds.shape import faults

START = midnight(date(2026, 3, 2))
USED = Charge(
    charge_period_start=START,
    charge_period_end=START + DAY,
    billing_currency="USD",
    billed_cost=None,
    x_origin="estimate",
    service_name="Acme",
    service_provider_name="Acme",
    sku_id="email",
    consumed_quantity=Decimal(1500),
    consumed_unit="Emails",
    extra={"x_domain": "example.com"},
)
ITEM = {"sku": "email", "unit": "Emails", "per": "1000", "amount": "0.90", "currency": "EUR"}


def tariff(*items: Mapping[str, Any], vendor: str = "acme") -> Tariff:
    block = {"prices": {"asOf": "2026-02-28", "items": items}} if items else {}
    return PricedSettings.model_validate(block).tariff(vendor)


def test_an_estimate_says_how_it_was_made() -> None:
    """Cost, currency, unit price and the date of the list stand in the charge, beside what it said before."""
    assert tariff(ITEM).priced(USED) == USED._replace(
        billed_cost=Decimal("1.35"),
        billing_currency="EUR",
        pricing_quantity=Decimal("1.5"),
        pricing_unit="1000 Emails",
        extra={
            "x_domain": "example.com",
            "ListUnitPrice": "0.9",
            "x_price_list_date": "2026-02-28",
            "x_price_list": "the Provider's own prices",
        },
    )


@given(st.decimals(0, 10**9, allow_nan=False, places=6), st.decimals(0, 10**6, allow_nan=False, places=8))
def test_estimates_are_exact(quantity: Decimal, amount: Decimal) -> None:
    """By the thousand, the estimate is what fractions give, to the last digit."""
    used = USED._replace(consumed_quantity=quantity)
    cost = tariff({**ITEM, "amount": f"{amount:f}"}).priced(used).billed_cost

    assert cost is not None
    assert Fraction(cost) == Fraction(quantity) * Fraction(amount) / 1000


def test_a_sku_without_a_price_is_unpriced() -> None:
    """What no list knows has no cost, in the currency of the list, and names no list."""
    assert tariff(ITEM).priced(USED._replace(sku_id="fax")) == USED._replace(sku_id="fax", billing_currency="EUR")
    assert tariff().priced(USED).billed_cost is None
    assert tariff().currency == "USD"


def test_a_quantity_that_is_not_known_is_unpriced() -> None:
    """Nothing is made of a usage that the vendor does not tell."""
    assert tariff(ITEM).priced(USED._replace(consumed_quantity=None)).billed_cost is None


def test_own_prices_go_before_the_ones_that_ship() -> None:
    """The Provider's price of a SKU decides; other SKUs keep the default list's, whose page and date are named."""
    own = {"sku": "egress", "unit": "GB", "amount": "0.05", "currency": "USD"}
    known = tariff(own, vendor="supabase")
    gigabyte = USED._replace(sku_id="egress", consumed_quantity=Decimal(1000), consumed_unit="MB")
    image = USED._replace(sku_id="storage_image_transformations", consumed_unit="Images")

    assert known.priced(gigabyte).billed_cost == Decimal("0.05")
    assert known.priced(image).billed_cost == Decimal("7.5")
    assert (known.priced(image).extra or {})["x_price_list"].startswith("https://supabase.com/")  # type: ignore[attr-defined]  # extra holds any JSON


def test_what_is_charged_for_may_be_less_than_what_was_used() -> None:
    """With an allowance the part beyond it is priced, and the whole stays the consumed quantity."""
    charge = tariff(ITEM).priced(USED, Fraction(500))

    assert (charge.billed_cost, charge.consumed_quantity) == (Decimal("0.45"), Decimal(1500))


def test_months_are_as_long_as_the_vendor_says() -> None:
    """A price by the month takes hours once the vendor's month has a length."""
    monthly = {"sku": "disk", "unit": "GB-Months", "amount": "0.15", "currency": "USD"}
    disk = USED._replace(sku_id="disk", consumed_quantity=Decimal(720), consumed_unit="GB-Hours")

    assert tariff(monthly).priced(disk, hours_per_month=720).billed_cost == Decimal("0.15")
    with pytest.raises(NeedsPerson, match=r"GB-Hours cannot be counted in GB-Months.*acme\.prices"):
        tariff(monthly).priced(disk)


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({"prices": {"items": [ITEM]}}, "prices.asOf"),
        ({"prices": {"asOf": "2026-02-28", "items": []}}, "prices.items"),
        ({"prices": {"asOf": "2026-02-28", "items": [ITEM, ITEM]}}, "prices.items"),
        ({"prices": {"asOf": "2026-02-28", "items": [{**ITEM, "amount": 0.9}]}}, "prices.items.0.amount"),
        ({"prices": {"asOf": "2026-02-28", "items": [{**ITEM, "amount": "-0.9"}]}}, "prices.items.0.amount"),
        ({"prices": {"asOf": "2026-02-28", "items": [{**ITEM, "per": "0"}]}}, "prices.items.0.per"),
        ({"plan": {"name": "Pro", "amount": "20", "currency": "dollars"}}, "plan.currency"),
    ],
)
def test_unsound_prices_are_refused_by_their_place(block: Any, path: str) -> None:
    """What cannot be a price is told by its place in the manifest, as an API server would."""
    found = faults(PricedSettings, block)

    assert [".".join(map(str, fault.path)) for fault in found] == [path]
    with pytest.raises(ValidationError):
        PricedSettings.model_validate(block)


def plan(**fields: Any) -> Plan:
    return Plan.model_validate({"name": "Pro", "amount": "20.00", "currency": "USD", **fields})


def days(first: str, after_last: str) -> Span:
    return Span.of_days(date.fromisoformat(first), date.fromisoformat(after_last))


@pytest.mark.parametrize(
    ("start", "span", "expected"),
    [
        (None, days("2026-03-01", "2026-04-01"), ["2026-03-01"]),
        (None, days("2026-03-02", "2026-04-01"), []),
        (None, days("2026-01-15", "2026-04-02"), ["2026-02-01", "2026-03-01", "2026-04-01"]),
        (date(2026, 1, 31), days("2026-01-01", "2026-04-01"), ["2026-01-31", "2026-02-28", "2026-03-31"]),
        (date(2026, 3, 20), days("2026-01-01", "2026-03-20"), []),
    ],
)
def test_a_fee_is_due_on_the_first_day_of_each_month_of_the_plan(
    start: date | None, span: Span, expected: list[str]
) -> None:
    """Fees fall on the plan's own day of the month, from its start on, and each into one window only."""
    charges = fees(plan(start=start), span, USED)

    assert [f"{charge.charge_period_start:%Y-%m-%d}" for charge in charges] == expected
    assert all(charge.billed_cost == 20 for charge in charges)
    assert all((charge.charge_category, charge.charge_frequency) == ("Purchase", "Recurring") for charge in charges)
    assert all(
        (charge.consumed_quantity, charge.consumed_unit, charge.x_origin) == (None, None, "estimate")
        for charge in charges
    )


@given(st.dates(date(2026, 1, 1), date(2026, 12, 1)), st.integers(1, 90), st.sampled_from(["Whole", "Daily"]))
def test_windows_share_no_fee_and_lose_none(first: date, length: int, spread: str) -> None:
    """However the days are cut into windows, the fees are the same."""
    paid = plan(start=date(2025, 12, 31), spread=spread)
    whole = Span.of_days(first, first + length * DAY)

    apart = [charge for piece in whole.pieces() for charge in fees(paid, piece, USED)]
    assert apart == fees(paid, whole, USED)


def test_a_month_of_days_costs_the_fee() -> None:
    """Spread over its days, a month's fee adds up to the cent."""
    charges = fees(plan(spread="Daily"), days("2026-03-01", "2026-04-01"), USED)

    assert len(charges) == 31
    assert sum(charge.billed_cost or 0 for charge in charges) == 20


def test_no_plan_has_no_fee() -> None:
    """Without a plan nothing recurs."""
    assert fees(None, days("2026-03-01", "2026-04-01"), USED) == []
