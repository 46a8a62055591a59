"""Where each FOCUS column lives in a charge, and what is written where nobody stated anything."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ledger import focus
from ledger.charge import Charge

CHARGE = Charge(
    charge_period_start=datetime(2024, 9, 18, 22, tzinfo=UTC),
    charge_period_end=datetime(2024, 9, 18, 23, tzinfo=UTC),
    billing_currency="USD",
    billed_cost=Decimal("0.0000008"),
    x_origin="api",
    service_name="Amazon Simple Queue Service",
    service_provider_name="AWS",
)


def value(name: str, **changes: Any) -> focus.Value:
    return focus.getter(focus.COLUMNS[name])(CHARGE._replace(**changes))


@pytest.mark.parametrize(("version", "count"), [("1.0", 43), ("1.1", 50), ("1.2", 57), ("1.3", 65), ("1.4", 65)])
def test_every_version_has_its_columns(version: str, count: int) -> None:
    """Each version has as many columns as its specification, in alphabetical order."""
    names = [column.name for column in focus.columns(version)]
    assert len(names) == count
    assert names == sorted(names)


def test_the_provider_has_the_name_of_the_version() -> None:
    """1.2 says ProviderName, 1.4 says ServiceProviderName, 1.3 says both, and all mean the same field."""
    provider = {"ProviderName", "PublisherName", "ServiceProviderName"}
    named = {version: {c.name for c in focus.columns(version)} & provider for version in ("1.2", "1.3", "1.4")}
    assert named == {"1.2": {"ProviderName", "PublisherName"}, "1.3": provider, "1.4": {"ServiceProviderName"}}
    assert {value(name) for name in provider} == {"AWS"}


def test_every_field_has_a_column() -> None:
    """No field of a charge is left out of a file, save `extra`, which has columns of its own."""
    fields = {column.field for column in [*focus.COLUMNS.values(), *focus.OWN.values()] if column.field}
    assert fields == set(Charge._fields) - {"extra"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BillingPeriodStart", datetime(2024, 9, 1, tzinfo=UTC)),
        ("BillingPeriodEnd", datetime(2024, 10, 1, tzinfo=UTC)),
        ("InvoiceIssuerName", "AWS"),
        ("HostProviderName", "AWS"),
        ("ServiceCategory", "Other"),
        ("ServiceSubcategory", "Other (Other)"),
        ("EffectiveCost", Decimal("0.0000008")),
        ("ListCost", None),
        ("PricingQuantity", None),
        ("BillingAccountId", None),
        ("SkuPriceDetails", None),
        ("Tags", None),
    ],
)
def test_what_nobody_stated(name: str, expected: focus.Value) -> None:
    """Absent columns get what FOCUS's rules imply, and null where a value would be made up."""
    assert value(name) == expected


@pytest.mark.parametrize(
    ("name", "stated", "expected"),
    [
        ("BillingPeriodStart", "2024-10-01T00:00:00Z", datetime(2024, 10, 1, tzinfo=UTC)),
        ("PublisherName", "Amazon Web Services, Inc.", "Amazon Web Services, Inc."),
        ("ServiceSubcategory", "Messaging", "Messaging"),
        ("ListUnitPrice", "0.0000004", Decimal("0.0000004")),
        ("SkuPriceDetails", {"x_Tier": Decimal("1.50"), "Free": False}, '{"x_Tier": 1.5, "Free": false}'),
        ("SkuPriceDetails", '{"x_Tier": 1.50}', '{"x_Tier": 1.50}'),
        ("PricingCategory", 7, "7"),
        ("Tags", "team=a", "team=a"),
    ],
)
def test_what_the_vendor_stated(name: str, stated: object, expected: focus.Value) -> None:
    """A column kept in `extra` is written as the vendor stated it, in the column's own kind."""
    assert value(name, extra={name: stated}) == expected


def test_stated_costs_are_left_alone() -> None:
    """An effective cost of zero is stated, not absent."""
    assert value("EffectiveCost", effective_cost=Decimal(0)) == 0


def test_tags_are_json() -> None:
    """Tags are written as a JSON object, quotes and all."""
    assert value("Tags", tags={"team": 'the "a"', "ünit": ""}) == '{"team": "the \\"a\\"", "ünit": ""}'


def test_subcategory_follows_the_category() -> None:
    """Without a subcategory of its own a charge belongs to its category's `Other`, which every category has."""
    assert value("ServiceSubcategory", service_category="Compute") == "Other (Compute)"


def test_json_text_keeps_every_digit() -> None:
    """Amounts inside JSON are written plainly and to the last digit."""
    nested = [{"a": Decimal("1E-30")}, None, True, "x"]
    assert focus.json_text(nested) == '[{"a": 0.000000000000000000000000000001}, null, true, "x"]'
