"""Things that cost by the time for which they stand, day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.pricelist import Price, PriceList
from ledger.window import Span
from reconciler.connectors.inventory import Standing, bare, by_day, hours_of_month
from reconciler.connectors.pricing import Tariff

FEBRUARY = Span.of_days(date(2026, 2, 1), date(2026, 3, 1))
LATER = datetime(2026, 6, 1, tzinfo=UTC)


def tariff(unit: str) -> Tariff:
    return Tariff("acme", (PriceList("acme", date(2026, 1, 1), (Price("disk", unit, Decimal(7), "EUR"),)),))


def disk(size: str = "1", since: datetime | None = None, free: str = "0") -> Standing:
    return Standing("disk", bare("Acme"), Decimal(size), "GB", since, Decimal(free))


@pytest.mark.parametrize(
    ("unit", "month", "cost"), [("GB-Months", None, "7"), ("GB-Months", 720, "6.5333"), ("GB-Hours", None, "4704")]
)
def test_a_month_costs_a_month(unit: str, month: int | None, cost: str) -> None:
    """What stands all month costs its monthly price, or by the vendor's month; prices by the hour count hours."""
    charges = by_day([disk()], FEBRUARY, LATER, tariff(unit), month)

    total = sum(Fraction(each.billed_cost or 0) for each in charges)
    assert (len(charges), f"{float(total):.5g}") == (28, f"{float(cost):.5g}")
    assert {each.billing_currency for each in charges} == {"EUR"}


@given(st.integers(-12 * 86400, 32 * 86400), st.integers(-12 * 86400, 32 * 86400))
def test_only_the_time_that_it_stood_is_charged(since: int, now: int) -> None:
    """From its creation to now, to the second, within the days that were asked for."""
    start, end = (FEBRUARY.start + timedelta(seconds=seconds) for seconds in (since, now))
    charges = by_day([disk("2", start)], FEBRUARY, end, tariff("GB-Hours"), None)

    stood = max(timedelta(0), min(end, FEBRUARY.end) - max(start, FEBRUARY.start))
    hours = sum(Fraction(each.consumed_quantity or 0) for each in charges)
    assert abs(hours - 2 * Fraction(int(stood.total_seconds()), 3600)) < Fraction(1, 10**15)
    assert all(each.consumed_unit == "GB-Hours" for each in charges)


def test_what_is_free_is_not_charged() -> None:
    """Only the part beyond what is free has a cost; the whole quantity shows."""
    (first, *_) = by_day([disk("10", free="8")], FEBRUARY, LATER, tariff("GB-Hours"), None)
    assert (first.billed_cost, first.consumed_quantity) == (Decimal(336), Decimal(240))
    (first, *_) = by_day([disk("5", free="8")], FEBRUARY, LATER, tariff("GB-Hours"), None)
    assert first.billed_cost == Decimal(0)


def test_without_a_price_it_shows() -> None:
    """A thing whose SKU is in no list is an unpriced line on each of its days."""
    charges = by_day([Standing("server", bare("Acme"))], FEBRUARY, LATER, tariff("GB-Hours"), None)
    assert {(each.sku_id, each.billed_cost, each.consumed_unit) for each in charges} == {
        ("server", None, "Instances-Hours")
    }


def test_months_have_their_hours() -> None:
    """February has 672 hours, and December ends with its year."""
    assert [hours_of_month(datetime(2026, month, 17, tzinfo=UTC)) for month in (2, 4, 12)] == [672, 720, 744]
