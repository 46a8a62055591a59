"""The kind Budget: an amount per period over a scope, and how it stands."""

from __future__ import annotations

from datetime import date
from typing import ClassVar

from pydantic import Field

from ledger.alerts.rule import BudgetPeriod, CostMetric
from reconciler.kinds.base import Block, Condition, Money, listed_by
from reconciler.kinds.forms import Amount, Currency
from reconciler.kinds.rules import Rule
from reconciler.kinds.scope import ScopeBlock


class BudgetSpec(Block):
    """An amount that a scope may cost in a period of the calendar."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!self.amount.matches('^-?[0]*([.][0]*)?$') && !self.amount.startsWith('-')",
            "must be more than 0",
            "amount",
        ),
    )

    amount: Amount = Field(description='What a period may cost, as text, such as "5000.00"; more than 0.')
    currency: Currency = Field(
        description="Currency of the amount: an ISO 4217 code. Spend in other currencies is shown apart."
    )
    period: BudgetPeriod = Field(
        default="Monthly", description="The calendar's periods, in UTC; weeks begin on Monday."
    )
    metric: CostMetric = Field(
        default="BilledCost", description="FOCUS BilledCost is what is invoiced; EffectiveCost spreads commitments."
    )
    scope: ScopeBlock | None = Field(default=None, description="Whose charges count; all of the namespace if absent.")


class BudgetStatus(Block):
    """How the Budget stands; it is written by Costhook alone. Amounts are in spec.currency."""

    observed_generation: int = Field(
        default=-1, description="The generation of the spec that this status is about.", ge=-1
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Ready says whether the Budget could be worked out, and what its figures leave out.",
        max_length=16,
        json_schema_extra=listed_by("type"),
    )
    period_start: date | None = Field(default=None, description="First UTC day of the current period.")
    period_end: date | None = Field(default=None, description="The first UTC day after it.")
    spent: str | None = Field(default=None, description="What has been billed so far.", max_length=128)
    remaining: str | None = Field(default=None, description="The amount less what is spent.", max_length=128)
    share: str | None = Field(default=None, description="spent / amount: 0.9 is 90 %.", max_length=128)
    used: str | None = Field(default=None, description="share in percent, for tables: 90%.", max_length=128)
    burn_rate: str | None = Field(
        default=None, description="Average of the last seven whole days, a day.", max_length=128
    )
    projected: str | None = Field(
        default=None, description="What the period will have cost at its end, at the burn rate.", max_length=128
    )
    exhausted_on: date | None = Field(
        default=None, description="The day on which the amount was, or at the burn rate will be, used up."
    )
    complete_through: date | None = Field(
        default=None, description="The last UTC day on which every provider of the scope is whole."
    )
    other_currencies: tuple[Money, ...] = Field(
        default=(),
        description="What the period cost in other currencies; it is in none of the figures above.",
        max_length=32,
        json_schema_extra=listed_by("currency"),
    )
