"""What models were used for and at what cost, across vendors: tokens by type, and the same usage at other prices.

Answered from the daily rollup unless the filter asks for what it does not know. Amounts of different currencies are
never added together: a model that is billed in two has two rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import InvalidQuestion
from ledger.modelprices import ModelPrice
from ledger.money import EXACT, ZERO, canonical
from ledger.reads.completeness import Completeness, completeness
from ledger.reads.cost_rows import charges_source, within
from ledger.reads.costs import ratio
from ledger.reads.filters import BEYOND_ROLLUP, EVERYTHING, ChargeFilter, Parameters, where
from ledger.reads.periods import Period
from ledger.reads.questions import MAX_TOP

PER_THOUSAND: Final = Decimal("1E-12")
"""Costs per 1,000 tokens are rounded to this; amounts never are."""
INPUTS: Final = ("input", "cached_input", "cache_write")
"""What tokens that go in are, by the beginning of their type."""

_TOKENS: Final = re.compile(r"(?:([1-9][0-9]{0,8}) ?([KM]?) ?)?tokens?\Z", re.IGNORECASE)
_FACTORS: Final = {"": 1, "K": 1_000, "M": 1_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuestion:
    """Which charges; `top` rows of each currency are shown. `what_if` are prices to work the same usage out at."""

    period: Period
    filter: ChargeFilter = EVERYTHING
    as_of: datetime | None = None
    top: int = 100
    what_if: ModelPrice | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.top <= MAX_TOP:
            raise InvalidQuestion(f"top is between 1 and {MAX_TOP}", "top")


@dataclass(slots=True)
class TokenUse:
    """Tokens of one type, None where the vendor does not tell types apart, and what they were billed at."""

    token_type: str | None
    tokens: Decimal = ZERO
    cost: Decimal = ZERO
    unpriced: int = 0

    @property
    def per_thousand(self) -> Decimal | None:
        """Billed cost of 1,000 tokens; None without tokens, and where some of them have no known price."""
        return None if self.unpriced else _per_thousand(self.cost, self.tokens)


@dataclass(slots=True)
class ModelUse:
    """What one model did in one currency; the totals of a currency have no model.

    `cost` also holds what is not counted in tokens, such as searches and images.
    """

    model: str | None
    currency: str
    cost: Decimal = ZERO
    charges: int = 0
    unpriced: int = 0
    uses: dict[str | None, TokenUse] = field(default_factory=dict)

    @property
    def tokens(self) -> Decimal:
        return _sum(use.tokens for use in self.uses.values())

    @property
    def token_cost(self) -> Decimal | None:
        """Billed cost of what is counted in tokens; None where some of it has no known price."""
        if any(use.unpriced for use in self.uses.values()):
            return None
        return _sum(use.cost for use in self.uses.values())

    @property
    def per_thousand(self) -> Decimal | None:
        """Billed cost of 1,000 tokens of any type; None without tokens, and where some have no known price."""
        cost = self.token_cost
        return None if cost is None else _per_thousand(cost, self.tokens)

    @property
    def cache_hit_share(self) -> Decimal | None:
        """Part of the tokens that went in that was read from a cache; None where types are not told apart."""
        given = _sum(use.tokens for use in self.uses.values() if (use.token_type or "").startswith(INPUTS))
        hit = _sum(use.tokens for use in self.uses.values() if (use.token_type or "").startswith("cached_input"))
        return ratio(hit, given) if given > 0 else None

    def at(self, price: ModelPrice) -> Decimal | None:
        """What the same tokens would cost at another model's prices; None if a type is not told or has no price."""
        used = {use.token_type: use.tokens for use in self.uses.values() if use.tokens}
        if None in used:
            return None
        return price.cost({token_type or "": tokens for token_type, tokens in used.items()})


@dataclass(frozen=True, slots=True)
class ModelReport:
    """The answer: rows of models, those that cost most first, and the totals of each currency."""

    question: ModelQuestion
    usage: Sequence[ModelUse]
    totals: Sequence[ModelUse]
    completeness: Completeness


async def models(connection: AsyncConnection, question: ModelQuestion) -> ModelReport:
    """Answer the question from what the connection may see. Charges without a model are left out."""
    whole = await completeness(connection, question.filter, as_of=question.as_of)
    parameters = Parameters()
    rows = await connection.execute(text(_statement(question, parameters)), parameters.values)
    found: dict[tuple[str, str], ModelUse] = {}
    totals: dict[str, ModelUse] = {}
    for row in rows:
        use = found.setdefault((row.model, row.currency), ModelUse(row.model, row.currency))
        for each in (use, totals.setdefault(row.currency, ModelUse(None, row.currency))):
            _add(each, row)
    usage = [use for currency in sorted(totals) for use in _largest(found.values(), currency, question.top)]
    return ModelReport(question, usage, [totals[currency] for currency in sorted(totals)], whole)


def _statement(question: ModelQuestion, parameters: Parameters) -> str:
    rollup = question.as_of is None and not question.filter.asked() & BEYOND_ROLLUP
    source = "daily_cost c" if rollup else charges_source(question.as_of, parameters)
    counted = "sum(c.charges)", "sum(c.unpriced)"
    charges, unpriced = counted if rollup else ("count(*)", "count(*) - count(c.billed_cost)")
    return f"""
        select c.x_model as model, c.billing_currency as currency, c.x_token_type as token_type,
            c.consumed_unit as unit, coalesce(sum(c.consumed_quantity), 0) as quantity,
            coalesce(sum(c.billed_cost), 0) as cost, ({charges})::bigint as charges, ({unpriced})::bigint as unpriced
        from {source}
        where c.x_model is not null and {within(question.period, parameters, rollup=rollup)}
            and {where(question.filter, parameters, "c")}
        group by 1, 2, 3, 4
    """


def _add(use: ModelUse, row: Any) -> None:
    use.cost = EXACT.add(use.cost, row.cost)
    use.charges += row.charges
    use.unpriced += row.unpriced
    factor = _tokens_in(row.unit)
    if factor is not None:
        held = use.uses.setdefault(row.token_type, TokenUse(row.token_type))
        held.tokens = EXACT.fma(row.quantity, factor, held.tokens)
        held.cost = EXACT.add(held.cost, row.cost)
        held.unpriced += row.unpriced


def _tokens_in(unit: str | None) -> int | None:
    """How many tokens a unit is, such as "Tokens", "1000 tokens" or "1K tokens"; None for what is no token."""
    match = _TOKENS.match(unit or "")
    if match is None:
        return None
    return int(match[1] or 1) * _FACTORS[(match[2] or "").upper()]


def _largest(uses: Iterable[ModelUse], currency: str, top: int) -> list[ModelUse]:
    mine = [use for use in uses if use.currency == currency]
    return sorted(mine, key=lambda use: (-abs(use.cost), -use.tokens, use.model or ""))[:top]


def _per_thousand(cost: Decimal, tokens: Decimal) -> Decimal | None:
    if tokens <= 0:
        return None
    return canonical(EXACT.quantize(EXACT.divide(EXACT.multiply(cost, 1000), tokens), PER_THOUSAND))


def _sum(values: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = EXACT.add(total, value)
    return total
