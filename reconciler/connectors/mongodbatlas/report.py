"""What Atlas's invoice API answers: shapes, checked.

Source: the official SDK, github.com/mongodb/atlas-sdk-go. Money is in cents of a US dollar. `/invoices/pending` is
documented as a list and was seen to be one invoice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from ledger.money import EXACT, ZERO
from reconciler.connectors.reading import Answer, Number

CENT: Final = Decimal("0.01")


def _dollars(cents: Decimal) -> Decimal:
    return EXACT.normalize(EXACT.multiply(cents, CENT)) if cents else ZERO


def _or_nothing(value: object) -> object:
    return value or []


Text = Annotated[str | None, BeforeValidator(lambda value: value or None)]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Dollars = Annotated[Number, AfterValidator(_dollars)]
"""An amount that is told in cents, in dollars."""


class Link(Answer):
    rel: str


class Listed(Answer):
    """An invoice in the list of them, without its lines."""

    id: str = Field(min_length=1)
    org_id: Text = Field(default=None, alias="orgId")
    status: Text = Field(default=None, alias="statusName")
    start: Moment = Field(alias="startDate")
    end: Moment = Field(alias="endDate")


class Page(Answer):
    """A page of the list. `totalCount` is an estimate and not used."""

    results: tuple[Listed, ...]
    links: Annotated[Sequence[Link], BeforeValidator(_or_nothing)] = ()

    @property
    def has_next(self) -> bool:
        return any(link.rel == "next" for link in self.links)


class Pending(Answer):
    """The invoices of the running month: a list, or one invoice in its place."""

    results: tuple[Listed, ...]


class Item(Answer):
    """A line of an invoice; credits are negative. `unit_price` is in dollars, and the total rounded to cents."""

    total: Dollars = Field(alias="totalPriceCents")
    discount: Dollars | None = Field(default=None, alias="discountCents")
    percent_discount: Number | None = Field(default=None, alias="percentDiscount")
    start: Moment | None = Field(default=None, alias="startDate")
    end: Moment | None = Field(default=None, alias="endDate")
    sku: Text = None
    group_id: Text = Field(default=None, alias="groupId")
    group_name: Text = Field(default=None, alias="groupName")
    cluster_name: Text = Field(default=None, alias="clusterName")
    quantity: Number | None = None
    unit: Text = None
    unit_price: Number | None = Field(default=None, alias="unitPriceDollars")
    tier_lower: Number | None = Field(default=None, alias="tierLowerBound")
    tier_upper: Number | None = Field(default=None, alias="tierUpperBound")
    cloud_provider: Text = Field(default=None, alias="cloudProvider")
    tags: Annotated[Mapping[str, Sequence[str]], BeforeValidator(lambda value: value or {})] = Field(
        default_factory=dict
    )
    note: Text = None


class Refund(Answer):
    """Money that was given back for the invoice."""

    amount: Dollars = Field(alias="amountCents")
    created: Text = None
    reason: Text = None


class Invoice(Listed):
    """A whole invoice. What was carried over from before and what was paid are no costs of it."""

    items: tuple[Item, ...] = Field(alias="lineItems")
    subtotal: Dollars | None = Field(default=None, alias="subtotalCents")
    tax: Dollars | None = Field(default=None, alias="salesTaxCents")
    refunds: Annotated[Sequence[Refund], BeforeValidator(_or_nothing)] = ()


def as_list(answer: Any) -> Any:
    """The answer of `/invoices/pending` as the list that it is documented to be."""
    return {"results": [answer]} if isinstance(answer, Mapping) and "id" in answer else answer
