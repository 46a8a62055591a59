"""What Cost Explorer answers: shapes, checked.

Source: botocore's model `ce` 2017-10-25. Amounts are texts; a grouped answer has no totals of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pydantic import Field

from reconciler.connectors.reading import Answer, Number


class Amount(Answer):
    """An amount in a unit, which is a currency where the metric is a cost."""

    amount: Number = Field(alias="Amount")
    unit: str = Field(alias="Unit")


class Group(Answer):
    """What a pair of values of the two dimensions came to."""

    keys: tuple[str, str] = Field(alias="Keys")
    metrics: Mapping[str, Amount] = Field(alias="Metrics")


class Period(Answer):
    """One day; the end is exclusive."""

    start: date = Field(alias="Start")
    end: date = Field(alias="End")


class Result(Answer):
    """One day's groups, or some of them where the page ends within the day."""

    period: Period = Field(alias="TimePeriod")
    groups: Sequence[Group] = Field(alias="Groups")
    estimated: bool = Field(alias="Estimated")


class Described(Answer):
    """A value of a dimension and what AWS tells of it, such as an account's name."""

    value: str = Field(alias="Value")
    attributes: Mapping[str, str] = Field(default_factory=dict, alias="Attributes")


class Page(Answer):
    """One page; the last names no next one."""

    results: Sequence[Result] = Field(alias="ResultsByTime")
    described: Sequence[Described] = Field(default=(), alias="DimensionValueAttributes")
    following: str | None = Field(default=None, alias="NextPageToken")
