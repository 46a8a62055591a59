"""Price lists: what a unit of a SKU costs from which day on, and the dated default lists that ship with Costhook.

A default list is a file of ledger/prices: JSON whose numbers are texts, with the page that its figures come from and
the day on which they stood there. A SKU without a price is unpriced, which is not the same as free.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from ledger.money import EXACT, InvalidAmount, amount, canonical, currency
from ledger.units import convert, decimal


class InvalidPriceList(ValueError):
    """A price list cannot be read; the text says where."""


@dataclass(frozen=True, slots=True)
class Price:
    """`amount` in `currency` (major units) for every `per` of `unit`. It holds from `valid_from` on, or always."""

    sku: str
    unit: str
    amount: Decimal
    currency: str
    per: Decimal = Decimal(1)
    valid_from: date | None = None

    @property
    def pricing_unit(self) -> str:
        """What `amount` buys, as FOCUS writes units: "Tokens" or "1000000 Tokens"."""
        return self.unit if self.per == 1 else f"{self.per:f} {self.unit}"

    def units(self, quantity: Decimal | Fraction | int, unit: str, hours_per_month: int | None = None) -> Fraction:
        """How many times `quantity` of `unit` costs `amount`. Raises NoConversion; see ledger.units.convert."""
        return convert(quantity, unit, self.unit, hours_per_month) / Fraction(self.per)

    def cost(self, quantity: Decimal | Fraction | int, unit: str, hours_per_month: int | None = None) -> Decimal:
        """What `quantity` of `unit` costs: exact, or rounded as ledger.units.decimal does. Raises NoConversion."""
        return decimal(self.units(quantity, unit, hours_per_month) * Fraction(self.amount))


@dataclass(frozen=True, slots=True)
class Rate:
    """A price per unit in which usage is counted: how many times one of it costs `amount`, and what one of it costs.

    Both also as decimals where their digits end, which they nearly always do: millions of lines are priced one by one.
    """

    units: Fraction
    cost: Fraction
    decimal_units: Decimal | None
    decimal_cost: Decimal | None

    @classmethod
    def of(cls, price: Price, unit: str, hours_per_month: int | None = None) -> Rate:
        """The rate of `price` for usage in `unit`. Raises NoConversion."""
        units = price.units(1, unit, hours_per_month)
        cost = units * Fraction(price.amount)
        return cls(units, cost, _ending(units), _ending(cost))

    def priced(self, quantity: Decimal | Fraction) -> tuple[Decimal, Decimal]:
        """What `quantity` costs, and how many times it costs the price's amount; as ledger.units.decimal gives them."""
        return (
            _times(quantity, self.cost, self.decimal_cost),
            _times(quantity, self.units, self.decimal_units),
        )


def _ending(value: Fraction) -> Decimal | None:
    exact = decimal(value)
    return exact if Fraction(exact) == value else None


def _times(quantity: Decimal | Fraction, factor: Fraction, decimal_factor: Decimal | None) -> Decimal:
    if decimal_factor is not None and isinstance(quantity, Decimal):
        try:
            return canonical(EXACT.multiply(quantity, decimal_factor))
        except InvalidAmount:  # more digits than an amount has, which are rounded below
            pass
    return decimal(Fraction(quantity) * factor)


@dataclass(frozen=True)
class PriceList:
    """What `vendor` asks, as its list was on the day `as_of`. `source` is the page; None if a person wrote the list."""

    vendor: str
    as_of: date
    prices: tuple[Price, ...]
    source: str | None = None

    def price(self, sku: str, day: date) -> Price | None:
        """The price of `sku` on `day`: the latest that is valid by then. None if there is none: unpriced."""
        known = (price for price in self._by_sku.get(sku, ()) if price.valid_from is None or price.valid_from <= day)
        return max(known, key=lambda price: price.valid_from or date.min, default=None)

    @cached_property
    def _by_sku(self) -> Mapping[str, list[Price]]:
        found: dict[str, list[Price]] = {}
        for price in self.prices:
            found.setdefault(price.sku, []).append(price)
        return found


@cache
def shipped(vendor: str) -> PriceList | None:
    """The default list of `vendor`; None if none ships."""
    file = files("ledger") / "prices" / f"{vendor}.json"
    return parsed(file.read_text(encoding="utf-8")) if file.is_file() else None


def parsed(text: str) -> PriceList:
    """A list from the JSON of a file in ledger/prices. Raises InvalidPriceList."""
    try:
        table = json.loads(text)
        prices = tuple(_price(row) for row in table["prices"])
        told = PriceList(table["vendor"], date.fromisoformat(table["asOf"]), prices, table["source"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidPriceList(f"the price list cannot be read: {type(error).__name__}: {error}") from None
    again = _repeated(told.prices)
    if again is not None:
        raise InvalidPriceList(f"{again.sku} has two prices from the same day on")
    return told


def _price(row: Mapping[str, Any]) -> Price:
    unknown = row.keys() - {"sku", "unit", "per", "amount", "currency", "validFrom"}
    if unknown:
        raise ValueError(f"{row['sku']} has the unknown field {min(unknown)}")
    numbers = {name: row.get(name, "1") for name in ("amount", "per")}
    if not all(isinstance(number, str) for number in numbers.values()) or "amount" not in row:
        raise ValueError(f"the numbers of {row['sku']} are to be texts")
    per = amount(numbers["per"])
    if per <= 0:
        raise ValueError(f"{row['sku']} is priced per {per}")
    since = date.fromisoformat(row["validFrom"]) if "validFrom" in row else None
    return Price(row["sku"], row["unit"], amount(numbers["amount"]), currency(row["currency"]), per, since)


def _repeated(prices: Iterable[Price]) -> Price | None:
    seen: set[tuple[str, date | None]] = set()
    for price in prices:
        if (price.sku, price.valid_from) in seen:
            return price
        seen.add((price.sku, price.valid_from))
    return None
