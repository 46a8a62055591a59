"""What GitHub's billing endpoints answer: shapes and units, checked.

Source: docs.github.com/rest/billing/usage (version 2026-03-10) and the types of npm @octokit/openapi-types 29.0.1.
Amounts are US dollars, quantities may have fractions. A date comes as a day or as a moment of it; how products, SKUs
and units are spelt differs between endpoints and over time.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from reconciler.connectors.reading import Answer, Number

CREDITS: Final = "AI Credits"
UNITS: Final = {
    "minutes": "Minutes",
    "hours": "Hours",
    "gigabytes": "GB",
    "gigabytehours": "GB-Hours",
    "gigabytemonths": "GB-Months",
    "usermonths": "User-Months",
    "requests": "Requests",
    "aicredits": CREDITS,
    "aiunits": CREDITS,
    "credits": CREDITS,
}
"""FOCUS's way of writing GitHub's units, by their letters alone."""


@lru_cache(maxsize=1_000)
def letters(text: str) -> str:
    """`text` without what differs from one endpoint to the next: case, spaces, dashes and underscores."""
    return re.sub("[^a-z]", "", text.lower())


def _day(value: object) -> date:
    """The UTC day of `2026-03-02` or of a moment such as `2026-03-02T01:12:28Z`."""
    if not isinstance(value, str):
        raise ValueError("not a date")
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).date()


class Item(Answer):
    """What both reports say of a line. `net` is billed: `gross` without what a quota or a discount covered."""

    product: str = Field(min_length=1)
    sku: str
    unit_type: str = Field(alias="unitType")
    price_per_unit: Number | None = Field(default=None, alias="pricePerUnit")
    gross_amount: Number = Field(alias="grossAmount")
    discount_amount: Number = Field(alias="discountAmount")
    net_amount: Number = Field(alias="netAmount")

    @property
    def unit(self) -> str | None:
        return UNITS.get(letters(self.unit_type), self.unit_type) or None


class UsageItem(Item):
    """A line of the usage report: one day, SKU and repository. Only the report of AI credits tells models."""

    date: Annotated[date, BeforeValidator(_day)]
    quantity: Number
    organization_name: str | None = Field(default=None, alias="organizationName")
    repository_name: str | None = Field(default=None, alias="repositoryName")
    model: str | None = None


class CreditItem(Item):
    """A line of the report of AI credits: one SKU and model of the day that was asked for."""

    model: str | None = None
    gross_quantity: Number = Field(alias="grossQuantity")


class Report(Answer):
    """The answer of .../settings/billing/usage. It has no pages."""

    usage_items: list[UsageItem] = Field(alias="usageItems")


class CreditReport(Answer):
    """The answer of .../settings/billing/ai_credit/usage. It has no pages and no dates."""

    usage_items: list[CreditItem] = Field(alias="usageItems")


class CostCenter(Answer):
    """An enterprise's cost centre."""

    id: str = Field(min_length=1)
    name: str | None = None


class CostCenters(Answer):
    """The answer of .../settings/billing/cost-centers."""

    cost_centers: list[CostCenter] = Field(alias="costCenters")
