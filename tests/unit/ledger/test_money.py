"""Exact amounts: what is accepted, how it is written, and that splitting loses nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import InvalidAmount, amount, canonical, currency, minor_digits, plain, split

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**12), max_value=10**12)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1.50", "1.5"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("-0.00", "0"),
        ("0E-6176", "0"),
        ("-12.3400", "-12.34"),
        ("0.000000000000000000001", "0.000000000000000000001"),
        ("99999999999999999999999999999999.99", "99999999999999999999999999999999.99"),
    ],
)
def test_amounts_are_written_plainly(text: str, written: str) -> None:
    """No exponent, no trailing zeros, one zero, and every digit that came in."""
    assert plain(amount(text)) == written


@pytest.mark.parametrize(
    "text", ["", "abc", "NaN", "Infinity", "1e999999", "1e-999999", "1e-999999999", "9" * 400, "1,5", "0." + "9" * 300]
)
def test_what_is_no_exact_amount_is_refused(text: str) -> None:
    """Refused rather than rounded or stored as something else."""
    with pytest.raises(InvalidAmount):
        amount(text)


@given(
    sign=st.sampled_from((0, 1)), digits=st.lists(st.integers(0, 9), min_size=1, max_size=130), at=st.integers(-130, 70)
)
def test_sixty_digits_either_side_and_no_more(sign: int, digits: list[int], at: int) -> None:
    """However it is written, an amount is taken if it has at most sixty digits either side, and then to the last."""
    value = Decimal((sign, tuple(digits), at))
    written = f"{value:f}".lstrip("-")
    before, _, after = written.partition(".")
    if len(before.lstrip("0")) > 60 or len(after.rstrip("0")) > 60:
        with pytest.raises(InvalidAmount):
            canonical(value)
    else:
        assert canonical(value) == value


@given(AMOUNTS)
def test_canonical_changes_no_value(value: Decimal) -> None:
    """Equal amounts have one form, equal to what it was made from."""
    assert canonical(value) == value
    assert str(canonical(value)) == str(canonical(value + Decimal("0.000000000000")))


@given(AMOUNTS)
def test_plain_reads_back(value: Decimal) -> None:
    """What is written is what is read again, without an exponent."""
    assert "E" not in plain(value)
    assert Decimal(plain(value)) == value


@pytest.mark.parametrize(("code", "clean"), [("usd", "USD"), (" EUR ", "EUR")])
def test_currencies_are_upper_case(code: str, clean: str) -> None:
    """Vendors write them both ways."""
    assert currency(code) == clean


@pytest.mark.parametrize("code", ["", "US", "USDT", "U$D", "12A"])
def test_what_is_no_currency_is_refused(code: str) -> None:
    """A figure without its currency is no figure."""
    with pytest.raises(InvalidAmount):
        currency(code)


@given(AMOUNTS, st.lists(st.integers(0, 10**6), min_size=1, max_size=400).filter(any), st.sampled_from([0, 2, 3]))
def test_parts_add_up_to_the_whole(total: Decimal, weights: list[int], digits: int) -> None:
    """To the last digit, whatever the sign, and nobody with weight 0 pays."""
    parts = split(total, weights, digits)

    assert sum(parts) == total
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)


@given(st.decimals(places=2, min_value=-(10**6), max_value=10**6), st.integers(1, 366))
def test_equal_parts_differ_by_one_minor_unit_at_most(total: Decimal, days: int) -> None:
    """A month's amount spread over its days is as even as cents allow."""
    parts = split(total, [1] * days, 2)

    assert max(parts) - min(parts) <= Decimal("0.01")


@pytest.mark.parametrize("weights", [[], [0], [-1, 2]])
def test_weights_that_say_nothing_are_refused(weights: list[int]) -> None:
    """There is no way to split by them."""
    with pytest.raises(ValueError, match="weights"):
        split(Decimal(1), weights, 2)


@pytest.mark.parametrize(("code", "digits"), [("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)])
def test_minor_units(code: str, digits: int) -> None:
    """By ISO 4217."""
    assert minor_digits(code) == digits
