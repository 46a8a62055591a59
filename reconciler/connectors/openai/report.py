"""What OpenAI's cost and usage endpoints answer: shapes and units, checked.

Source: platform.openai.com/docs/api-reference/usage and the specification beside it (github.com/openai/openai-openapi,
version 2.3.0). A field that is needed and missing makes the whole answer invalid; a field that OpenAI adds one day
is no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainValidator

from ledger.money import currency
from ledger.window import DAY, EPOCH
from reconciler.connectors.reading import Number


def _midnight(value: object) -> datetime:
    if not isinstance(value, int) or not 0 <= value < 1 << 36 or value % DAY.total_seconds():
        raise ValueError("not a UTC midnight in Unix seconds")
    return EPOCH + timedelta(seconds=value)


R = TypeVar("R")


class Answer(BaseModel):
    """Base of what OpenAI answers."""

    model_config = ConfigDict(frozen=True, strict=True)


class Money(Answer):
    """An amount in major units (dollars, not cents), which OpenAI writes as a number or as a numeric text."""

    value: Number
    currency: Annotated[str, AfterValidator(currency)]


class CostRow(Answer):
    amount: Money
    line_item: str | None = None
    project_id: str | None = None
    organization_id: str | None = None
    quantity: Number | None = None
    quantity_unit: str | None = None


class UsageRow(Answer):
    """What one project consumed of one model in a day; the counts are in fields not declared here."""

    model_config = ConfigDict(extra="allow")

    project_id: str | None = None
    model: str | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """Every count by the name of its field."""
        return {name: count for name, count in (self.model_extra or {}).items() if type(count) is int}


class Project(Answer):
    id: str
    name: str | None = None


class Bucket(Answer, Generic[R]):
    """A UTC day. Its end is not read: today's may be cut at the present."""

    start_time: Annotated[datetime, PlainValidator(_midnight)]
    results: list[R]


class Page(Answer, Generic[R]):
    """One page of a list. Which page follows is asked of the raw answer: see reconciler.connectors.paging."""

    data: list[R]
    has_more: bool
