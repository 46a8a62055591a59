"""The kind Alert: what to watch, from which levels on, and whom to tell."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Final, Literal

from pydantic import Field

from ledger.alerts.rule import AlertKind, BudgetPeriod, CostMetric, Level, NoData, Severity
from ledger.alerts.rule import Rule as Compiled
from ledger.money import plain
from reconciler.kinds.base import Block, Condition, listed_by
from reconciler.kinds.budget import BudgetSpec
from reconciler.kinds.durations import PATTERN, seconds_in_cel
from reconciler.kinds.forms import Amount, Currency, Duration
from reconciler.kinds.rules import Rule
from reconciler.kinds.scope import ResourceName, ScopeBlock

_MEASURES: Final = ("percent", "amount", "changePercent", "count", "after")
_ONE_MEASURE: Final = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in _MEASURES)

MEASURES: Final[dict[AlertKind, tuple[str, ...]]] = {
    "Spend": ("percent", "amount", "changePercent"),
    "Forecast": ("percent", "amount"),
    "Anomaly": (),
    "Restatement": ("amount",),
    "SyncFailure": ("count", "after"),
    "MissingData": ("after",),
    "UnpricedLines": ("count",),
}
"""Which measures the levels of each kind have."""


class LevelBlock(Block):
    """One threshold; exactly one of percent, amount, changePercent, count and after."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_ONE_MEASURE} == 1", "give exactly one of percent, amount, changePercent, count and after"),
        Rule(
            f"!has(self.after) || !self.after.matches('^({PATTERN})$') || {seconds_in_cel('self.after')} <= 31 * 86400",
            "too long; write 31d or less",
            "after",
        ),
    )

    severity: Severity = Field(default="warning", description="How grave it is: info, warning or critical.")
    percent: int | None = Field(default=None, description="Percent of the budget.", ge=1, le=10_000)
    amount: Amount | None = Field(
        default=None, description='An amount in the budget\'s or in spec.currency, as text, such as "500.00".'
    )
    change_percent: int | None = Field(
        default=None,
        description="By how many percent the whole days of the period exceed the same days of the one before.",
        ge=1,
        le=100_000,
    )
    count: int | None = Field(
        default=None, description="SyncFailure: syncs failed in a row. UnpricedLines: lines.", ge=1, le=1_000_000
    )
    after: Duration | None = Field(
        default=None,
        description="SyncFailure: time without a sync that went well. MissingData: time beyond the moment at which "
        "the data should have been whole; 0s for at once.",
    )

    def meant(self, currency: str | None) -> Level:
        """In the ledger's own terms."""
        return Level(
            name=self.name(currency),
            severity=self.severity,
            percent=None if self.percent is None else Decimal(self.percent),
            amount=self.amount,
            change_percent=None if self.change_percent is None else Decimal(self.change_percent),
            count=self.count,
            after=self.after,
        )

    def name(self, currency: str | None) -> str:
        """What it is called: 90%, 500.00 USD, +20%, 3, 24h."""
        if self.percent is not None:
            return f"{self.percent}%"
        if self.change_percent is not None:
            return f"+{self.change_percent}%"
        if self.amount is not None:
            return f"{plain(self.amount)} {currency or ''}".strip()
        return str(self.count) if self.count is not None else spoken(self.after or timedelta())


class BudgetRef(Block):
    """A Budget in the resource's own namespace."""

    name: ResourceName = Field(description="Name of a Budget in the resource's own namespace.")


class ChannelRef(Block):
    """A Channel in the resource's own namespace."""

    name: ResourceName = Field(description="Name of a Channel in the resource's own namespace.")


def _only(kind: AlertKind) -> Rule:
    allowed = MEASURES[kind]
    wrong = " && ".join(f"!has(level.{name})" for name in _MEASURES if name not in allowed) or "true"
    words = " or ".join(allowed) or "no level"
    return Rule(f"{_ON} != '{kind}' || self.levels.all(level, {wrong})", f"levels on {kind} have {words}", "levels")


_ON: Final = "(has(self.on) ? self.on : has(self.__true__) ? self.__true__ : '')"


class AlertSpec(Block):
    """When to tell whom."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.on) != has(self.__true__)", "say what to watch: on: Spend, Forecast, Restatement, ...", "on"),
        *(_only(kind) for kind in MEASURES if kind != "Anomaly"),
        Rule(
            "!has(self.budgetRef) || !(has(self.scope) || has(self.period) || has(self.currency) || has(self.metric))",
            "the Budget says it; leave out scope, period, currency and metric, or budgetRef",
            "budgetRef",
        ),
        Rule(
            "has(self.budgetRef) || !self.levels.exists(level, has(level.percent))",
            "percent is of a budget; name one in budgetRef, or give amounts",
            "budgetRef",
        ),
        Rule(
            "has(self.budgetRef) || has(self.currency) || !self.levels.exists(level, has(level.amount) || "
            "has(level.changePercent))",
            "levels with amounts need it: an ISO 4217 code",
            "currency",
        ),
        Rule(
            "self.levels.all(one, self.levels.filter(other, other == one).size() == 1)",
            "two levels are the same; leave one out",
            "levels",
        ),
    )

    on: AlertKind | None = Field(
        default=None,
        description="What to watch: Spend, Forecast (the projected end of the period), Restatement (a past day "
        "changed), SyncFailure, MissingData, UnpricedLines, or Anomaly, which is not supported yet.",
    )
    yaml_on: AlertKind | None = Field(
        default=None,
        alias="true",
        description="The same as on: this is what YAML 1.1 makes of the bare word. Write on.",
    )
    budget_ref: BudgetRef | None = Field(
        default=None, description="The Budget whose amount, period, currency and scope hold; or scope with amounts."
    )
    scope: ScopeBlock | None = Field(
        default=None, description="Whose charges or syncs; all of the namespace if absent."
    )
    currency: Currency | None = Field(default=None, description="Currency of the levels' amounts: an ISO 4217 code.")
    period: BudgetPeriod | None = Field(
        default=None, description="The calendar's periods that spend is judged for; Monthly if absent."
    )
    metric: CostMetric | None = Field(default=None, description="BilledCost if absent, or EffectiveCost.")
    levels: tuple[LevelBlock, ...] = Field(
        description="Thresholds; of several that are crossed at once, the gravest is told.", min_length=1, max_length=16
    )
    channels: tuple[ChannelRef, ...] = Field(
        default=(), description="Whom to tell; nobody if empty: it is judged and shown.", max_length=16
    )
    renotify_after: Duration | None = Field(
        default=None, description="Tell again while it fires and nobody has acknowledged it; once if absent."
    )
    pending_for: Duration = Field(
        default=timedelta(), description="How long a level must stay crossed before it fires; 0s for at once."
    )
    no_data: NoData = Field(
        default="Keep",
        description="What becomes of it without data: Keep leaves what fires firing, Ok ends it, Alert tells.",
    )
    within: Duration = Field(
        default=timedelta(days=1), description="How long after it a restatement counts; at most 31d."
    )

    @property
    def kind(self) -> AlertKind:
        """What is watched."""
        kind = self.on or self.yaml_on
        assert kind is not None  # a rule says so
        return kind

    def compiled(self, budget: BudgetSpec | None) -> Compiled:
        """In the ledger's own terms, with the Budget that is named."""
        own = (self.scope if budget is None else budget.scope) or ScopeBlock()
        currency = self.currency if budget is None else budget.currency
        return Compiled(
            kind=self.kind,
            scope=own.meant(),
            levels=tuple(level.meant(currency) for level in self.levels),
            channels=tuple(dict.fromkeys(channel.name for channel in self.channels)),
            budget=None if self.budget_ref is None else self.budget_ref.name,
            metric=(self.metric or "BilledCost") if budget is None else budget.metric,
            currency=currency,
            period=(self.period or "Monthly") if budget is None else budget.period,
            amount=None if budget is None else budget.amount,
            renotify_after=self.renotify_after,
            pending_for=self.pending_for,
            no_data=self.no_data,
            within=self.within,
        )


class AlertLevelStatus(Block):
    """How one level stands now."""

    level: str = Field(
        description="The level, such as 90%, and the provider where it is judged for each.", max_length=512
    )
    state: Literal["Ok", "Pending", "Firing", "Resolved", "Retracted", "NoData"] = Field(
        description="Retracted: the vendor's correction took the reason away."
    )
    severity: Severity = Field(description="How grave it is.")
    since: datetime = Field(description="When it turned to this state (UTC).")


class AlertStatus(Block):
    """How the Alert stands; it is written by Costhook alone."""

    observed_generation: int = Field(
        default=-1, description="The generation of the spec that this status is about.", ge=-1
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Ready says whether the Alert is judged.",
        max_length=16,
        json_schema_extra=listed_by("type"),
    )
    state: str | None = Field(default=None, description="The gravest state of its levels.", max_length=64)
    firing: str | None = Field(default=None, description="The levels that fire, for tables.", max_length=4096)
    level_states: tuple[AlertLevelStatus, ...] = Field(
        default=(),
        description="Levels that are not Ok; at most 64 are shown here, GraphQL has all.",
        max_length=64,
        json_schema_extra=listed_by("level"),
    )


def spoken(span: timedelta) -> str:
    """A duration as manifests have it: 1d, 36h, 90m, 0s."""
    seconds = int(span.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
