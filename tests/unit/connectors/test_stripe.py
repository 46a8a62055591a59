"""Stripe: its minor units and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.connectors.stripe import StripeSettings
from reconciler.connectors.stripe.transaction import major

ZERO_DECIMAL = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()
THREE_DECIMAL = "BHD JOD KWD OMR TND".split()


@given(minor=st.integers(-(10**30), 10**30), code=st.sampled_from([*ZERO_DECIMAL, *THREE_DECIMAL, "USD", "ISK", "UGX"]))
def test_major_units_are_exact(minor: int, code: str) -> None:
    """An amount in major units, counted in minor ones again, is the amount it was: for every kind of currency."""
    digits = 0 if code in ZERO_DECIMAL else 3 if code in THREE_DECIMAL else 2

    assert Fraction(major(minor, code)) * 10**digits == minor
    assert major(10**digits, code) == Decimal(1)


@pytest.mark.parametrize(
    "block", [{"baseURL": "ftp://x"}, {"account": ""}, {"account": "cus_123"}, {"currency": "usd"}]
)
def test_settings_have_bounds(block: Mapping[str, Any]) -> None:
    """Settings beyond their bounds and unknown ones are refused."""
    with pytest.raises(ValidationError):
        StripeSettings.model_validate(block)
