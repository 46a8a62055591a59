"""What language models cost per token: the dated list that ships, and how a model's name is looked up in it.

The list is ledger/prices/models.json: list prices for plain requests, without the vendors' discounts for batches and
surcharges for long contexts, fast answers or regions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache, cached_property
from importlib.resources import files
from typing import Final

from ledger.money import amount, currency
from ledger.units import decimal

TOKEN_TYPES: Final = ("input", "cached_input", "cache_write", "output")
_DATE: Final = re.compile(r"-(20[0-9]{2}-[0-9]{2}-[0-9]{2}|20[0-9]{6})\Z")
_OPTIONAL: Final = ("cached_input", "cache_write")


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What `per` tokens of a model cost by token type, in `currency`."""

    model: str
    vendor: str
    currency: str
    per: Decimal
    amounts: Mapping[str, Decimal]

    def rate(self, token_type: str) -> Decimal | None:
        """The price of `per` tokens of a type; None for types that no price is known for.

        Where a model has no price of its own for tokens kept longer, that for keeping them at all counts; where it
        has none for cached tokens, they cost what input does.
        """
        kind = token_type if token_type in self.amounts else re.sub(r"_[0-9]+[mh]\Z", "", token_type)
        return self.amounts.get(kind, self.amounts.get("input") if kind in _OPTIONAL else None)

    def cost(self, tokens: Mapping[str, Decimal | int]) -> Decimal | None:
        """What tokens by type cost together; None if one of the types, of which there are some, has no price."""
        total = Fraction(0)
        for token_type, count in tokens.items():
            rate = self.rate(token_type)
            if rate is None and count:
                return None
            total += Fraction(count) * Fraction(rate or 0)
        return decimal(total / Fraction(self.per))


@dataclass(frozen=True)
class ModelPrices:
    """Prices of models as they were on the day `as_of`, and the page that they are from."""

    as_of: date
    source: str
    models: tuple[ModelPrice, ...]

    def find(self, name: str) -> ModelPrice | None:
        """The price of the model that `name` means; None if it is not in the list.

        Capitals, and dots for dashes, make no difference. What is not found so is tried without what stands before
        its last slash (anthropic/claude-...), then without a date at its end (gpt-...-2026-04-23), then without
        -latest.
        """
        return next((self._by_key[key] for key in _keys(name) if key in self._by_key), None)

    @cached_property
    def _by_key(self) -> Mapping[str, ModelPrice]:
        return {_plain(price.model): price for price in self.models}


def _keys(name: str) -> Iterable[str]:
    whole = _plain(name)
    bare = whole.rpartition("/")[2]
    yield whole
    yield bare
    undated = _DATE.sub("", bare)
    yield undated
    yield undated.removesuffix("-latest")


def _plain(name: str) -> str:
    return name.strip().lower().replace(".", "-")


@cache
def shipped_models() -> ModelPrices:
    """The list that ships."""
    table = json.loads((files("ledger") / "prices" / "models.json").read_text(encoding="utf-8"))
    code, per = currency(table["currency"]), amount(table["per"])
    return ModelPrices(
        date.fromisoformat(table["asOf"]),
        table["source"],
        tuple(_price(row, code, per) for row in table["models"]),
    )


def _price(row: Mapping[str, str], code: str, per: Decimal) -> ModelPrice:
    amounts = {name: amount(text) for name, text in row.items() if name not in ("model", "vendor")}
    return ModelPrice(row["model"], row["vendor"], code, per, amounts)
