"""What models were used for and at what cost: types and resolver."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Final

import strawberry

from api.graphql.context import Resolving
from api.graphql.costs import ProviderCompleteness
from api.graphql.errors import Code, PublicError
from api.graphql.inputs import ChargeFilter, Period, meant, text
from api.graphql.scalars import BigInt
from ledger.modelprices import ModelPrice, shipped_models
from ledger.money import EXACT, InvalidAmount, currency
from ledger.reads import models as reading

OWN: Final = "own prices"
"""What prices that a caller gives are called."""
MOST: Final = 10**12
"""No price is as high; what is worked out of lower ones is an amount that can be shown."""


@strawberry.input(
    description="What `per` tokens cost. Without a price of their own, cached tokens cost what input does."
)
class TokenPrices:
    currency: str
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    per: int = 1_000_000

    def meant(self) -> ModelPrice:
        stated = {
            "input": self.input,
            "cached_input": self.cached_input,
            "cache_write": self.cache_write,
            "output": self.output,
        }
        amounts = {name: amount for name, amount in stated.items() if amount is not None}
        if self.per < 1 or not all(0 <= amount < MOST for amount in amounts.values()):
            raise PublicError(
                Code.BAD_INPUT, f"A price is for one token or more, not negative and below {MOST}.", field="whatIf"
            )
        try:
            return ModelPrice(OWN, OWN, currency(self.currency), Decimal(self.per), amounts)
        except InvalidAmount as error:
            raise PublicError(Code.BAD_INPUT, f"{error}", field="whatIf") from None


@strawberry.input(one_of=True, description="A model of the list that ships, or prices of one's own: exactly one.")
class WhatIf:
    model: str | None = strawberry.UNSET
    prices: TokenPrices | None = strawberry.UNSET

    def meant(self) -> ModelPrice:
        if isinstance(self.prices, TokenPrices):
            return self.prices.meant()
        name = text(self.model or "", "whatIf")
        listed = shipped_models()
        found = listed.find(name)
        if found is None:
            raise PublicError(
                Code.BAD_INPUT,
                f"The list of {listed.as_of} has no model of this name; give its prices instead.",
                field="whatIf",
            )
        return found


@strawberry.type(description="Prices that usage is worked out at; `per` tokens of each type.")
class UsedPrices:
    model: str
    currency: str
    per: Decimal
    input: Decimal | None
    cached_input: Decimal | None
    cache_write: Decimal | None
    output: Decimal | None
    as_of: date | None = strawberry.field(description="The day of the list that ships; null for one's own prices.")
    source: str | None


@strawberry.type(description="Tokens of one type: input (uncached), cached_input, cache_write or output.")
class TokenUse:
    type: str | None = strawberry.field(description="Null where the vendor does not tell types apart.")
    tokens: Decimal
    cost: Decimal
    cost_per1000_tokens: Decimal | None


@strawberry.type
class WhatIfCost:
    cost: Decimal
    currency: str
    difference: Decimal | None = strawberry.field(
        description="Less what the same tokens were billed at; null if they were billed in another currency, or some "
        "have no billed cost."
    )


@strawberry.type(description="What one model did in one currency, whoever billed it.")
class ModelUsage:
    model: str | None = strawberry.field(description="Null in totals.")
    currency: str
    cost: Decimal = strawberry.field(description="Billed cost, also of what is not counted in tokens.")
    tokens: Decimal
    token_types: list[TokenUse]
    cost_per1000_tokens: Decimal | None = strawberry.field(
        description="Of what is counted in tokens; null without tokens, and where some have no known price."
    )
    cache_hit_share: Decimal | None = strawberry.field(
        description="cached_input as a part of all that went in (input, cached_input, cache_write), usually 0 to 1."
    )
    charges: BigInt
    unpriced: BigInt = strawberry.field(description="Charges that have no billed cost: they are in no sum.")
    what_if: WhatIfCost | None = strawberry.field(
        description="The same tokens at the other prices; null if none were asked for, or a type is not told or has no "
        "price."
    )


@strawberry.type
class ModelReport:
    from_: date = strawberry.field(name="from")
    to: date
    as_of: datetime | None
    complete_through: date | None = strawberry.field(
        description="The day through which every provider in this report is whole, as in CostReport."
    )
    completeness: list[ProviderCompleteness]
    what_if: UsedPrices | None
    usage: list[ModelUsage] = strawberry.field(
        description="One per model and currency, those that cost most first; `top` of each currency."
    )
    totals: list[ModelUsage] = strawberry.field(description="All models, per currency.")


async def models(
    info: Resolving,
    *,
    period: Period,
    filter: ChargeFilter | None = None,  # noqa: A002  # the schema's word
    what_if: WhatIf | None = None,
    as_of: datetime | None = None,
    top: int = 100,
) -> ModelReport:
    question = reading.ModelQuestion(
        period=period.meant(),
        filter=meant(filter),
        as_of=as_of,
        top=top,
        what_if=None if what_if is None else what_if.meant(),
    )
    async with info.context.ledger() as connection:
        return _report(await reading.models(connection, question))


def _report(report: reading.ModelReport) -> ModelReport:
    question = report.question
    price = question.what_if
    return ModelReport(
        from_=question.period.first,
        to=question.period.after_last,
        as_of=question.as_of,
        complete_through=report.completeness.through,
        completeness=[
            ProviderCompleteness(namespace=whole.namespace, provider=whole.provider, complete_through=whole.through)
            for whole in report.completeness.providers
        ],
        what_if=None if price is None else _prices(price),
        usage=[_usage(use, price) for use in report.usage],
        totals=[_usage(use, price) for use in report.totals],
    )


def _prices(price: ModelPrice) -> UsedPrices:
    own = price.vendor == OWN
    return UsedPrices(
        model=price.model,
        currency=price.currency,
        per=price.per,
        as_of=None if own else shipped_models().as_of,
        source=None if own else shipped_models().source,
        input=price.rate("input"),
        cached_input=price.rate("cached_input"),
        cache_write=price.rate("cache_write"),
        output=price.rate("output"),
    )


def _usage(use: reading.ModelUse, price: ModelPrice | None) -> ModelUsage:
    return ModelUsage(
        model=use.model,
        currency=use.currency,
        cost=use.cost,
        tokens=use.tokens,
        token_types=[
            TokenUse(type=each.token_type, tokens=each.tokens, cost=each.cost, cost_per1000_tokens=each.per_thousand)
            for each in sorted(use.uses.values(), key=lambda each: (each.token_type is None, each.token_type or ""))
        ],
        cost_per1000_tokens=use.per_thousand,
        cache_hit_share=use.cache_hit_share,
        charges=BigInt(use.charges),
        unpriced=BigInt(use.unpriced),
        what_if=None if price is None else _what_if(use, price),
    )


def _what_if(use: reading.ModelUse, price: ModelPrice) -> WhatIfCost | None:
    cost = use.at(price)
    if cost is None:
        return None
    billed = use.token_cost if use.currency == price.currency else None
    return WhatIfCost(
        cost=cost, currency=price.currency, difference=None if billed is None else EXACT.subtract(cost, billed)
    )
