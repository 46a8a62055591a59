"""What Cloudflare's billing API answers: shapes, checked.

Sources: developers.cloudflare.com/api/resources/billing and the official SDKs. Every answer is an envelope with
`success` and `result`. The usage endpoints are alpha: their rows have had fewer columns before, and only what is needed
to count a row has to be there. All fields of a subscription are optional in the SDK.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from ledger.money import currency
from reconciler.connectors.reading import Answer, Number


def _or_none(value: object) -> object:
    return value or None


Text = Annotated[str | None, BeforeValidator(_or_none)]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Stated = Annotated[Moment | None, BeforeValidator(_or_none)]
Currency = Annotated[str, AfterValidator(currency)]


class Envelope(Answer):
    """What surrounds every answer; `errors` and `messages` may be null."""

    success: Literal[True]


class Row(Answer):
    """What one service cost on a day, in major units of `BillingCurrency`."""

    billed_cost: Number | None = Field(default=None, alias="BilledCost")
    contracted_cost: Number | None = Field(default=None, alias="ContractedCost")
    effective_cost: Number | None = Field(default=None, alias="EffectiveCost")
    list_cost: Number | None = Field(default=None, alias="ListCost")
    billing_account_id: Text = Field(default=None, alias="BillingAccountId")
    billing_currency: Currency = Field(alias="BillingCurrency")
    billing_period_start: Stated = Field(default=None, alias="BillingPeriodStart")
    charge_period_start: Moment = Field(alias="ChargePeriodStart")
    charge_period_end: Stated = Field(default=None, alias="ChargePeriodEnd")
    charge_description: Text = Field(default=None, alias="ChargeDescription")
    consumed_quantity: Number | None = Field(default=None, alias="ConsumedQuantity")
    consumed_unit: Text = Field(default=None, alias="ConsumedUnit")
    pricing_quantity: Number | None = Field(default=None, alias="PricingQuantity")
    pricing_unit: Text = Field(default=None, alias="PricingUnit")
    service_name: Text = Field(default=None, alias="ServiceName")
    service_family_name: Text = Field(default=None, alias="ServiceFamilyName")
    service_provider_name: Text = Field(default=None, alias="ServiceProviderName")
    subscription_id: Text = Field(default=None, alias="SubscriptionId")
    zone_id: Text = Field(default=None, alias="ZoneId")
    zone_name: Text = Field(default=None, alias="ZoneName")


class Usage(Envelope):
    """A billing cycle's usage; it comes in one piece."""

    result: tuple[Row, ...]


class Anchored(Answer):
    """A metered subscription and the day on which its billing cycles begin."""

    id: str = Field(min_length=1)
    billing_cycle_anchor_timestamp: Moment
    start_timestamp: Stated = None
    end_timestamp: Stated = None


class Coverage(Answer):
    """Whether the account's usage is told at all, and by which cycles."""

    covered: bool
    subscriptions: Annotated[Sequence[Anchored], BeforeValidator(lambda value: value or [])] = ()


class Info(Envelope):
    result: Coverage


class Plan(Answer):
    """The plan of a subscription. A contract's price is not in the API."""

    id: Text = None
    public_name: Text = None
    scope: Text = None
    is_contract: bool | None = None
    externally_managed: bool | None = None


class Subscription(Answer):
    """A fixed fee: `price` is for the whole current period, in major units."""

    id: Text = None
    state: Text = None
    price: Number | None = None
    currency: Annotated[Currency, BeforeValidator(lambda value: value or "USD")] = "USD"
    current_period_start: Stated = None
    current_period_end: Stated = None
    rate_plan: Plan | None = None


class Subscriptions(Envelope):
    result: tuple[Subscription, ...]
