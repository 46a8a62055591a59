"""What an alert asks, in the ledger's own terms: its scope, its levels, and how it is told.

A rule is compiled from an Alert and the Budget that it names, and kept as a document; amounts in it are exact texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, Literal, Self

AlertKind = Literal["Spend", "Forecast", "Anomaly", "Restatement", "SyncFailure", "MissingData", "UnpricedLines"]
BudgetPeriod = Literal["Daily", "Weekly", "Monthly", "Quarterly", "Yearly"]
CostMetric = Literal["BilledCost", "EffectiveCost"]
Severity = Literal["info", "warning", "critical"]
NoData = Literal["Keep", "Ok", "Alert"]

SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")
"""From the lightest to the gravest."""
OF_PERIODS: Final = frozenset({"Spend", "Forecast"})
"""Kinds that are judged for a period of the calendar; the others are judged for each provider."""

Words = tuple[str, ...] | None
"""Any of these; None: all."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which charges of a namespace are meant: any of each list, and all of the labels and tags.

    `labels` are those of the provider. Providers that only attribute count where `providers` names them.
    """

    providers: Words = None
    labels: Mapping[str, str] = field(default_factory=dict)
    services: Words = None
    sub_accounts: Words = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """What `document` made of it."""
        lists = {name: _words(document[name]) for name in ("providers", "services", "sub_accounts")}
        return cls(**lists, labels=document["labels"], tags=document["tags"])


@dataclass(frozen=True, slots=True)
class Level:
    """One threshold. `name` tells it from the others of its rule; one of the measures is set."""

    name: str
    severity: Severity
    percent: Decimal | None = None
    """Of the budget, or of what was restated."""
    amount: Decimal | None = None
    change_percent: Decimal | None = None
    """Against the same days of the previous period."""
    count: int | None = None
    """Failures in a row, or lines without a price."""
    after: timedelta | None = None
    """Time without success, or without data that should be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An alert. `amount`, `currency` and `period` are those of its budget, or its own."""

    kind: AlertKind
    scope: Scope
    levels: tuple[Level, ...]
    channels: tuple[str, ...] = ()
    budget: str | None = None
    metric: CostMetric = "BilledCost"
    currency: str | None = None
    period: BudgetPeriod | None = None
    amount: Decimal | None = None
    renotify_after: timedelta | None = None
    pending_for: timedelta = timedelta()
    no_data: NoData = "Keep"
    within: timedelta = timedelta(days=1)
    """How long a restatement counts."""

    def limit(self, level: Level) -> Decimal | None:
        """The amount that the level stands for; None where it is no amount."""
        if level.amount is not None:
            return level.amount
        if level.percent is None or self.amount is None:
            return None
        return self.amount * level.percent / 100

    def document(self) -> dict[str, Any]:
        """As JSON values, from which `of` makes the same rule."""
        stated = {each.name: _value(getattr(self, each.name)) for each in fields(self)}
        levels = [{each.name: _value(getattr(level, each.name)) for each in fields(level)} for level in self.levels]
        return {**stated, "scope": self.scope.document(), "levels": levels}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """What `document` made of it."""
        levels = tuple(
            Level(
                **{
                    **level,
                    "percent": _decimal(level["percent"]),
                    "amount": _decimal(level["amount"]),
                    "change_percent": _decimal(level["change_percent"]),
                    "after": _span(level["after"]),
                }
            )
            for level in document["levels"]
        )
        read = {
            "scope": Scope.of(document["scope"]),
            "levels": levels,
            "channels": tuple(document["channels"]),
            "amount": _decimal(document["amount"]),
            "renotify_after": _span(document["renotify_after"]),
            "pending_for": _span(document["pending_for"]),
            "within": _span(document["within"]),
        }
        return cls(**{**document, **read})


def _value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.total_seconds() if isinstance(value, timedelta) else value


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _words(values: list[str] | None) -> Words:
    return None if values is None else tuple(values)
