"""Prices of models: names as vendors and gateways write them, and costs by token type."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.modelprices import TOKEN_TYPES, ModelPrice, ModelPrices, shipped_models

MILLION = Decimal(10**6)
PLAIN = ModelPrice("plain-1.5", "acme", "USD", MILLION, {"input": Decimal(2), "output": Decimal(8)})
CACHING = ModelPrice(
    "caching-2",
    "acme",
    "USD",
    MILLION,
    {"input": Decimal(3), "cached_input": Decimal("0.3"), "cache_write": Decimal("3.75"), "output": Decimal(15)},
)
LIST = ModelPrices(date(2026, 3, 2), "https://acme.example/pricing", (PLAIN, CACHING))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("plain-1.5", PLAIN),
        ("Plain-1-5", PLAIN),
        ("acme/plain-1.5", PLAIN),
        ("openrouter/acme/plain-1.5", PLAIN),
        ("plain-1.5-2026-04-23", PLAIN),
        ("acme/caching-2-20260423", CACHING),
        ("caching-2-latest", CACHING),
        ("plain-1", None),
        ("plain-1.5-mini", None),
        ("caching-2-0423", None),
        ("", None),
    ],
)
def test_names_are_looked_up_by_plain_rules(name: str, found: ModelPrice | None) -> None:
    """Prefixes of gateways, dates and spelling do not matter; a variant of another name is another model."""
    assert LIST.find(name) is found


@given(st.fixed_dictionaries({token_type: st.integers(0, 10**15) for token_type in TOKEN_TYPES}))
def test_a_cost_is_the_sum_over_token_types(tokens: dict[str, int]) -> None:
    """Each type at its own price, exactly."""
    exact = sum(Fraction(count) * Fraction(CACHING.amounts[name]) for name, count in tokens.items()) / 10**6

    assert Fraction(CACHING.cost(tokens) or 0) == exact


@pytest.mark.parametrize(
    ("price", "token_type", "rate"),
    [
        (CACHING, "cache_write_1h", Decimal("3.75")),
        (PLAIN, "cached_input", Decimal(2)),
        (PLAIN, "cache_write_1h", Decimal(2)),
        (PLAIN, "output", Decimal(8)),
        (PLAIN, "images", None),
    ],
)
def test_a_type_without_a_price_of_its_own(price: ModelPrice, token_type: str, rate: Decimal | None) -> None:
    """Longer keeping costs as keeping does, cached tokens as input does; any other type has no price."""
    assert price.rate(token_type) == rate


def test_a_cost_that_is_not_known_is_none() -> None:
    """Tokens of a type without a price make the whole unknown; none of them changes nothing."""
    assert PLAIN.cost({"input": 10**6, "images": 1}) is None
    assert PLAIN.cost({"input": 10**6, "images": 0}) == 2


def test_the_list_that_ships_is_sound() -> None:
    """It is dated and sourced, every model has prices for input and output, and no two names mean the same."""
    listed = shipped_models()

    assert listed.source.startswith("https://")
    assert date(2026, 1, 1) <= listed.as_of <= date(2026, 11, 22)
    assert all({"input", "output"} <= price.amounts.keys() for price in listed.models)
    assert all(amount > 0 for price in listed.models for amount in price.amounts.values())
    assert not [
        name for name, count in Counter(id(listed.find(each.model)) for each in listed.models).items() if count > 1
    ]


def test_known_models_are_found_in_the_list_that_ships() -> None:
    """Names as OpenAI, Anthropic and gateways write them lead to the same prices."""
    find = shipped_models().find

    assert find("gpt-5.5-2026-04-23") == find("openai/gpt-5.5") is not None
    assert find("anthropic/claude-opus-4.6") == find("claude-opus-4-6-20260205") is not None
