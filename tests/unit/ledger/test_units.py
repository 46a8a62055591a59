"""Units: what can be counted in what, and that conversions lose no digit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.units import ROUNDED_TO, NoConversion, convert, decimal

QUANTITIES = st.decimals(0, 10**12, allow_nan=False, places=9)
SAME_KIND = st.sampled_from(
    [
        ("Bytes", "B", "KB", "GB", "TB", "KiB", "MiB", "GiB", "PiB"),
        ("Milliseconds", "Seconds", "Minutes", "Hours", "Days"),
        ("GB-Hours", "Bytes-Seconds", "Days-GiB", "Minutes-MiB"),
        ("Emails", "1000 Emails"),
        ("vCPU-Seconds", "Hours-vCPU", "60 Minutes-vCPU"),
    ]
)


@pytest.mark.parametrize(
    ("quantity", "unit", "target", "expected"),
    [
        (1, "GB", "Bytes", 10**9),
        (1, "GiB", "Bytes", 2**30),
        (90, "Minutes", "Hours", Fraction(3, 2)),
        (2500, "Emails", "1000 Emails", Fraction(5, 2)),
        (3600, "vCPU-Seconds", "vCPU-Hours", 1),
        (5, "Tokens", "Tokens", 5),
    ],
)
def test_what_units_mean(quantity: int, unit: str, target: str, expected: Fraction) -> None:
    """Sizes go by 1000 or by 1024 as they are written, times by 60, and a batch by its number."""
    assert convert(quantity, unit, target) == expected


@given(QUANTITIES, SAME_KIND, st.data())
def test_there_and_back_is_the_same(quantity: Decimal, units: tuple[str, ...], data: st.DataObject) -> None:
    """Between units of one kind nothing is lost, whichever way is taken."""
    unit, over, target = (data.draw(st.sampled_from(units)) for _ in range(3))

    assert convert(convert(quantity, unit, over), over, unit) == Fraction(quantity)
    assert convert(convert(quantity, unit, over), over, target) == convert(quantity, unit, target)


@pytest.mark.parametrize(
    ("unit", "target"),
    [("GB", "Hours"), ("GB", "GB-Hours"), ("Emails", "Contacts"), ("GB-Hours", "GB-Months"), ("", "GB")],
)
def test_different_things_are_not_converted(unit: str, target: str) -> None:
    """What measures something else is refused by both names, and a month has no length of its own."""
    with pytest.raises(NoConversion, match=target):
        convert(1, unit, target)


@pytest.mark.parametrize(("hours", "months"), [(744, 1), (372, 2), (720, Fraction(31, 30))])
def test_a_month_is_as_long_as_the_vendor_says(hours: int, months: Fraction) -> None:
    """Vendors count months of 720, 730 or 744 hours; whoever prices by them says which."""
    assert convert(744, "GB-Hours", "GB-Months", hours) == months


@given(st.decimals(-(10**20), 10**20, allow_nan=False, places=30))
def test_decimals_come_through_exactly(value: Decimal) -> None:
    """A fraction whose digits end is the same number as a decimal."""
    assert decimal(Fraction(value)) == value


@given(st.fractions(-(10**20), 10**20, max_denominator=10**9))
def test_endless_digits_are_rounded_where_it_cannot_matter(value: Fraction) -> None:
    """A fraction without end is off by half of the last digit kept, at most."""
    assert abs(Fraction(decimal(value)) - value) <= Fraction(1, 2 * 10**ROUNDED_TO)
