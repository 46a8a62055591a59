"""What can be asked about costs: by which dimensions, in which buckets, of which charges, within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from ledger.errors import InvalidQuestion
from ledger.reads.filters import EVERYTHING, ChargeFilter
from ledger.reads.periods import Comparison, Granularity, Period

MAX_GROUPS: Final = 4
MAX_BUCKETS: Final = 1_200
"""Three years of days and a bit."""
MAX_TOP: Final = 1_000
MAX_CELLS: Final = 50_000
"""Amounts in one answer, roughly: series times buckets."""


class Metric(Enum):
    """Which of a charge's costs is added up; the value is its column."""

    BILLED_COST = "billed_cost"
    EFFECTIVE_COST = "effective_cost"
    LIST_COST = "list_cost"
    CONTRACTED_COST = "contracted_cost"


class Dimension(Enum):
    """What costs are grouped by; the value is its column."""

    NAMESPACE = "namespace"
    PROVIDER = "provider"
    SERVICE = "service_name"
    SERVICE_CATEGORY = "service_category"
    SUB_ACCOUNT = "sub_account_id"
    MODEL = "x_model"
    TOKEN_TYPE = "x_token_type"
    REGION = "region_id"
    RESOURCE = "resource_id"
    SKU = "sku_id"
    CHARGE_CATEGORY = "charge_category"
    ORIGIN = "x_origin"


@dataclass(frozen=True, slots=True)
class ByTag:
    """Group by the value of a charge's tag."""

    key: str


@dataclass(frozen=True, slots=True)
class ByLabel:
    """Group by the value of a label of the provider."""

    key: str


@dataclass(frozen=True, slots=True)
class ByAllocation:
    """Group by what the Allocations of this dimension make of charges, each by that of its own namespace."""

    dimension: str


Grouping = Dimension | ByTag | ByLabel | ByAllocation


@dataclass(frozen=True, slots=True, kw_only=True)
class CostQuestion:
    """What is asked. `top` is how many series of each currency are shown one by one; the rest is added up."""

    period: Period
    group_by: tuple[Grouping, ...] = ()
    granularity: Granularity = Granularity.TOTAL
    metric: Metric = Metric.BILLED_COST
    filter: ChargeFilter = EVERYTHING
    compare_to: Comparison | None = None
    as_of: datetime | None = None
    top: int = 100

    def __post_init__(self) -> None:
        if len(self.group_by) > MAX_GROUPS or len(set(self.group_by)) < len(self.group_by):
            raise InvalidQuestion(f"group by at most {MAX_GROUPS} different things", "groupBy")
        if sum(isinstance(group, ByAllocation) for group in self.group_by) > 1:
            raise InvalidQuestion("group by one allocation at a time", "groupBy")
        if not 1 <= self.top <= MAX_TOP:
            raise InvalidQuestion(f"top is between 1 and {MAX_TOP}", "top")
        buckets = len(self.period.buckets(self.granularity))
        if buckets > MAX_BUCKETS:
            raise InvalidQuestion(
                f"{buckets} buckets are more than the {MAX_BUCKETS} one answer holds; ask for a shorter period or a "
                "coarser granularity",
                "granularity",
            )
        if self.group_by and buckets * self.top > MAX_CELLS:
            raise InvalidQuestion(
                f"top {self.top} times {buckets} buckets are more than the {MAX_CELLS} amounts one answer holds; ask "
                f"for at most top {MAX_CELLS // buckets}",
                "top",
            )
