"""The kind Allocation: how costs map to the values of a dimension of one's own, such as teams."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from ledger.allocation import Split
from reconciler.kinds.base import Block, Condition, listed_by
from reconciler.kinds.forms import Form
from reconciler.kinds.rules import Rule
from reconciler.kinds.scope import ResourceName, Word

DimensionName = Annotated[
    str, Form("[a-z]([-a-z0-9]*[a-z0-9])?", "a dimension; use lower-case letters, digits and -, like team", 63)
]
Key = Annotated[str, Field(min_length=1, max_length=317)]
Source = Literal["Provider", "ServiceName", "SubAccountId", "RegionId", "ResourceId"]

_ONE_OUTCOME: Final = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in ("value", "valueFrom", "split"))
_ONE_SOURCE: Final = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in ("tag", "label", "dimension"))


class KeyMatchBlock(Block):
    """A label or a tag. Of values and prefix, one is enough; without both, the key only has to be there."""

    key: Key = Field(description="The key of the label or tag.")
    values: tuple[Annotated[str, Field(max_length=256)], ...] = Field(
        default=(), description="Any of these values.", max_length=64
    )
    prefix: str | None = Field(default=None, description="How the value begins.", min_length=1, max_length=256)


class MatchBlock(Block):
    """Every charge, unless a field narrows it; several fields mean all of them."""

    providers: tuple[ResourceName, ...] = Field(
        default=(), description="Names of Providers and ManualCosts: any of these.", max_length=32
    )
    labels: tuple[KeyMatchBlock, ...] = Field(
        default=(), description="Labels of the Provider: all of these.", max_length=8
    )
    services: tuple[Word, ...] = Field(default=(), description="FOCUS ServiceName: any of these.", max_length=64)
    sub_accounts: tuple[Word, ...] = Field(default=(), description="FOCUS SubAccountId: any of these.", max_length=64)
    regions: tuple[Word, ...] = Field(default=(), description="FOCUS RegionId: any of these.", max_length=64)
    resources: tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] = Field(
        default=(), description="FOCUS ResourceId: any of these.", max_length=64
    )
    tags: tuple[KeyMatchBlock, ...] = Field(default=(), description="Tags of the charge: all of these.", max_length=8)


class SourceBlock(Block):
    """Where the value is read; exactly one of tag, label and dimension."""

    rules: ClassVar[tuple[Rule, ...]] = (Rule(f"{_ONE_SOURCE} == 1", "give exactly one of tag, label and dimension"),)

    tag: Key | None = Field(default=None, description="A tag of the charge, by its key.")
    label: Key | None = Field(default=None, description="A label of the Provider, by its key.")
    dimension: Source | None = Field(
        default=None, description="Provider, or a FOCUS dimension: ServiceName, SubAccountId, RegionId, ResourceId."
    )


class ShareBlock(Block):
    """What one value has of a fixed split: its weight, of all weights together."""

    value: Word = Field(description="The value that has the share.")
    weight: int = Field(description="How large the share is beside the others.", ge=1, le=1_000_000)


class RuleBlock(Block):
    """One rule: which charges, and where they go. Exactly one of value, valueFrom and split."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_ONE_OUTCOME} == 1", "give exactly one of value, valueFrom and split"),
        Rule(
            "(has(self.split) && self.split == 'Fixed') == (has(self.shares) && self.shares.size() > 0)",
            "a Fixed split needs shares, and nothing else has them",
            "shares",
        ),
        Rule(
            "!has(self.shares) || self.shares.all(a, self.shares.filter(b, b.value == a.value).size() == 1)",
            "two shares are of the same value; add their weights up in one",
            "shares",
        ),
    )

    match: MatchBlock | None = Field(default=None, description="Which charges it is about; all if absent.")
    value: Word | None = Field(default=None, description="The value to which the charges go.")
    value_from: SourceBlock | None = Field(
        default=None, description="What names the value; charges without it are left to the rules below."
    )
    split: Split | None = Field(
        default=None,
        description="The charges are shared costs. Fixed splits them by shares; Proportional in proportion to what "
        "the period asked for costs each value by value and valueFrom.",
    )
    shares: tuple[ShareBlock, ...] = Field(
        default=(), description="Who has which share of a Fixed split.", max_length=24
    )


class AllocationSpec(Block):
    """Rules that put charges under the values of one dimension. Nothing is stored by them: they hold when asked."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.dimension == oldSelf.dimension",
            "cannot be changed: questions name it; declare another Allocation instead",
            "dimension",
        ),
    )

    dimension: DimensionName = Field(
        description="What the values are, such as team, product or environment: costs are grouped by this name."
    )
    ordered: tuple[RuleBlock, ...] = Field(
        alias="rules",
        description="Tried in this order; the first that matches a charge decides. What none matches is unallocated.",
        min_length=1,
        max_length=100,
    )


class AllocationStatus(Block):
    """How the Allocation stands; it is written by Costhook alone."""

    observed_generation: int = Field(
        default=-1, description="The generation of the spec that this status is about.", ge=-1
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Ready says whether costs are allocated by these rules.",
        max_length=16,
        json_schema_extra=listed_by("type"),
    )
    in_force_generation: int | None = Field(
        default=None, description="The generation of the spec by which costs are allocated; absent while none is.", ge=0
    )
