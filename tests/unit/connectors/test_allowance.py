"""Allowances: what is free, and what of it is charged for, to the last part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.connectors.allowance import beyond

START = datetime(2026, 3, 1, tzinfo=UTC)
AMOUNTS = st.fractions(0, 10**6, max_denominator=1000)
FIGURES = st.lists(st.tuples(st.integers(0, 9).map(lambda day: START + timedelta(days=day)), AMOUNTS), max_size=12)


@given(FIGURES, AMOUNTS)
def test_all_but_the_allowance_is_charged(used: list[tuple[datetime, Fraction]], allowance: Fraction) -> None:
    """The parts beyond add up to what was used in all, less the allowance, and no part is more than its figure."""
    parts = beyond(used, allowance)

    assert sum(parts) == max(Fraction(0), sum((amount for _, amount in used), Fraction(0)) - allowance)
    assert all(0 <= part <= amount for part, (_, amount) in zip(parts, used, strict=True))


@given(FIGURES, AMOUNTS)
def test_what_comes_first_is_free_first(used: list[tuple[datetime, Fraction]], allowance: Fraction) -> None:
    """Nothing is charged before the day on which the allowance ends, and all is after it."""
    parts = beyond(used, allowance)
    charged = [moment for part, (moment, _) in zip(parts, used, strict=True) if part]

    assert all(
        part == amount for part, (moment, amount) in zip(parts, used, strict=True) if charged and moment > min(charged)
    )


@pytest.mark.parametrize("order", [1, -1])
def test_a_moment_is_shared(order: int) -> None:
    """Those who use something at the moment the allowance ends share what is beyond it by what they used."""
    used = [(START, Fraction(90)), (START, Fraction(30)), (START - timedelta(days=1), Fraction(40))][::order]
    assert beyond(used, Fraction(100))[::order] == [45, 15, 0]
