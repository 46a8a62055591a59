"""FOCUS, the FinOps Open Cost and Usage Specification: its Cost and Usage columns, and where a Charge keeps each.

Both ways meet here: the `focus` connector turns columns into charges, the export turns charges into columns.
A column without a field of its own lives in `Charge.extra` under its name, always as text: amounts in plain
notation, times as `YYYY-MM-DDTHH:MM:SSZ`, JSON as JSON text. Vendors' own columns live there too, as `x_`.

Source: FOCUS_Spec, tags v1.0 and v1.2, and the data models of 1.3 and 1.4.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Final, Literal, NamedTuple

from ledger.charge import CHARGE_CATEGORIES, Charge
from ledger.money import MAX_DIGITS, amount, plain
from ledger.window import month_start, next_month

Kind = Literal["text", "decimal", "time", "json"]
Value = str | Decimal | datetime | None
"""What a column of a file holds, before it is written; JSON columns hold JSON text."""


class Column(NamedTuple):
    """One FOCUS column. It exists from version `since` on, and no longer in version `until`."""

    name: str
    kind: Kind = "text"
    field: str | None = None
    """The Charge field that holds it; None when `extra` does."""
    since: str = "1.0"
    until: str = "9"


def _columns() -> tuple[Column, ...]:
    return (
        Column("AllocatedMethodDetails", "json", since="1.3"),
        Column("AllocatedMethodId", since="1.3"),
        Column("AllocatedResourceId", since="1.3"),
        Column("AllocatedResourceName", since="1.3"),
        Column("AllocatedTags", "json", since="1.3"),
        Column("AvailabilityZone"),
        Column("BilledCost", "decimal", "billed_cost"),
        Column("BillingAccountId", "text", "billing_account_id"),
        Column("BillingAccountName"),
        Column("BillingAccountType", since="1.2"),
        Column("BillingCurrency", "text", "billing_currency"),
        Column("BillingPeriodEnd", "time"),
        Column("BillingPeriodStart", "time"),
        Column("CapacityReservationId", since="1.1"),
        Column("CapacityReservationStatus", since="1.1"),
        Column("ChargeCategory", "text", "charge_category"),
        Column("ChargeClass", "text", "charge_class"),
        Column("ChargeDescription", "text", "charge_description"),
        Column("ChargeFrequency", "text", "charge_frequency"),
        Column("ChargePeriodEnd", "time", "charge_period_end"),
        Column("ChargePeriodStart", "time", "charge_period_start"),
        Column("CommitmentDiscountCategory"),
        Column("CommitmentDiscountId"),
        Column("CommitmentDiscountName"),
        Column("CommitmentDiscountQuantity", "decimal", since="1.1"),
        Column("CommitmentDiscountStatus"),
        Column("CommitmentDiscountType"),
        Column("CommitmentDiscountUnit", since="1.1"),
        Column("CommitmentProgramEligibilityDetails", "json", since="1.4"),
        Column("ConsumedQuantity", "decimal", "consumed_quantity"),
        Column("ConsumedUnit", "text", "consumed_unit"),
        Column("ContractApplied", "json", since="1.3"),
        Column("ContractedCost", "decimal", "contracted_cost"),
        Column("ContractedUnitPrice", "decimal"),
        Column("EffectiveCost", "decimal", "effective_cost"),
        Column("HostProviderName", since="1.3"),
        Column("InvoiceDetailId", since="1.4"),
        Column("InvoiceId", since="1.2"),
        Column("InvoiceIssuerName"),
        Column("ListCost", "decimal", "list_cost"),
        Column("ListUnitPrice", "decimal"),
        Column("PricingCategory"),
        Column("PricingCurrency", since="1.2"),
        Column("PricingCurrencyContractedUnitPrice", "decimal", since="1.2"),
        Column("PricingCurrencyEffectiveCost", "decimal", since="1.2"),
        Column("PricingCurrencyListUnitPrice", "decimal", since="1.2"),
        Column("PricingQuantity", "decimal", "pricing_quantity"),
        Column("PricingUnit", "text", "pricing_unit"),
        Column("ProviderName", until="1.4"),
        Column("PublisherName", until="1.4"),
        Column("RegionId", "text", "region_id"),
        Column("RegionName"),
        Column("ResourceId", "text", "resource_id"),
        Column("ResourceName", "text", "resource_name"),
        Column("ResourceType"),
        Column("ServiceCategory", "text", "service_category"),
        Column("ServiceName", "text", "service_name"),
        Column("ServiceProviderName", "text", "service_provider_name", since="1.3"),
        Column("ServiceSubcategory", since="1.1"),
        Column("SkuId", "text", "sku_id"),
        Column("SkuMeter", since="1.1"),
        Column("SkuPriceDetails", "json", since="1.1"),
        Column("SkuPriceId"),
        Column("SubAccountId", "text", "sub_account_id"),
        Column("SubAccountName", "text", "sub_account_name"),
        Column("SubAccountType", since="1.2"),
        Column("Tags", "json", "tags"),
    )


COLUMNS: Final[Mapping[str, Column]] = {column.name: column for column in _columns()}
"""Every column of FOCUS 1.0 to 1.4 by name, in alphabetical order."""

OWN: Final[Mapping[str, Column]] = {
    name: Column(name, "text", name) for name in ("x_model", "x_origin", "x_token_type")
}
"""The columns Costhook adds to every file it writes, after the FOCUS columns."""

SERVICE_CATEGORIES: Final = (
    *("AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools"),
    *("Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media"),
    *("Migration", "Mobile", "Networking", "Security", "Storage", "Web", "Other"),
)

ENUMS: Final[Mapping[str, tuple[str, ...]]] = {
    "CapacityReservationStatus": ("Used", "Unused"),
    "ChargeCategory": tuple(sorted(CHARGE_CATEGORIES)),
    "ChargeClass": ("Correction",),
    "ChargeFrequency": ("One-Time", "Recurring", "Usage-Based"),
    "CommitmentDiscountCategory": ("Spend", "Usage"),
    "CommitmentDiscountStatus": ("Used", "Unused"),
    "PricingCategory": ("Standard", "Dynamic", "Committed", "Other"),
    "ServiceCategory": SERVICE_CATEGORIES,
}
"""The values FOCUS allows, of the columns that have such a list."""


def columns(version: str = "1.2") -> tuple[Column, ...]:
    """The columns of FOCUS `version` ("1.0" to "1.4"), in alphabetical order: 57 in version 1.2."""
    return tuple(column for column in COLUMNS.values() if column.since <= version < column.until)


def getter(column: Column) -> Callable[[Charge], Value]:
    """How to read `column` of a charge: its field, else `extra`, else the default that FOCUS's rules imply.

    None stands for null. What nobody stated stays null even where FOCUS asks for a value (list cost, pricing
    quantity, billing account): a figure is never made up.
    """
    special = _SPECIAL.get(column.name)
    if special is not None:
        return special
    if column.field is not None:
        field: Callable[[Charge], Value] = attrgetter(column.field)
        return field
    return lambda charge: read(column, (charge.extra or {}).get(column.name))


def read(column: Column, value: object) -> Value:
    """A `value` of `Charge.extra` as the column's kind. Raises ValueError when it is none of that kind."""
    if value is None:
        return None
    if column.kind == "decimal" and isinstance(value, str | int | Decimal):
        return amount(value)
    if column.kind == "time":
        return datetime.fromisoformat(str(value))
    return json_text(value) if column.kind == "json" and not isinstance(value, str) else text(value)


def text(value: object) -> str | None:
    """Any JSON value as the text of one cell: text as it is, amounts plain, the rest as JSON text."""
    if value is None or isinstance(value, str):
        return value
    return json_text(value)


def json_text(value: object) -> str:
    """`value` as JSON text with every digit of its amounts, which `json.dumps` cannot write.

    What JSON has no form for, such as a time, is written as text.
    """
    try:
        return _encode(value)
    except TypeError:  # a Decimal is in it
        return _written(value)


def _written(value: object) -> str:
    if isinstance(value, Decimal):  # a vendor's absurd exponent must not become gigabytes of zeros
        return plain(value) if abs(value.adjusted()) <= MAX_DIGITS else str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_encode(str(key))}: {_written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)


_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


def _extra_or(name: str, otherwise: Callable[[Charge], Value]) -> Callable[[Charge], Value]:
    column = COLUMNS[name]

    def get(charge: Charge) -> Value:
        stated = read(column, charge.extra.get(name)) if charge.extra else None
        return otherwise(charge) if stated is None else stated

    return get


def _effective_cost(charge: Charge) -> Value:
    return charge.billed_cost if charge.effective_cost is None else charge.effective_cost


def _service_category(charge: Charge) -> str:
    return charge.service_category if charge.service_category in SERVICE_CATEGORIES else "Other"


def _tags(charge: Charge) -> Value:
    if charge.tags:
        return json_text(charge.tags)
    return read(COLUMNS["Tags"], charge.extra.get("Tags")) if charge.extra else None


def _provider(charge: Charge) -> str:
    return charge.service_provider_name


_SPECIAL: Final[Mapping[str, Callable[[Charge], Value]]] = {
    "BillingPeriodEnd": _extra_or("BillingPeriodEnd", lambda charge: next_month(charge.charge_period_start)),
    "BillingPeriodStart": _extra_or("BillingPeriodStart", lambda charge: month_start(charge.charge_period_start)),
    "EffectiveCost": _effective_cost,
    "HostProviderName": _extra_or("HostProviderName", _provider),
    "InvoiceIssuerName": _extra_or("InvoiceIssuerName", _provider),
    "ProviderName": _extra_or("ProviderName", _provider),
    "PublisherName": _extra_or("PublisherName", _provider),
    "ServiceCategory": _service_category,
    "ServiceSubcategory": _extra_or("ServiceSubcategory", lambda charge: f"Other ({_service_category(charge)})"),
    "Tags": _tags,
}
