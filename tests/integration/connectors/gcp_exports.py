"""Tables of Google's billing exports: their columns, and rows as Google writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

Row = Mapping[str, Any]

PAIRS: Final = ("key STRING", "value STRING")


def column(told: str, *fields: str | dict[str, Any]) -> dict[str, Any]:
    """A column as tables.insert wants it, from `name TYPE` and, of records, their fields; a `*` says repeated."""
    name, kind = told.split()
    found: dict[str, Any] = {"name": name, "type": kind.rstrip("*"), "mode": "REPEATED" if "*" in kind else "NULLABLE"}
    if fields:
        found["fields"] = [each if isinstance(each, dict) else column(each) for each in fields]
    return found


STANDARD: Final = [
    column("billing_account_id STRING"),
    column("service RECORD", "id STRING", "description STRING"),
    column("sku RECORD", "id STRING", "description STRING"),
    column("usage_start_time TIMESTAMP"),
    column("usage_end_time TIMESTAMP"),
    column("project RECORD", "id STRING", "name STRING", column("labels RECORD*", *PAIRS)),
    column("labels RECORD*", *PAIRS),
    column("system_labels RECORD*", *PAIRS),
    column("tags RECORD*", "key STRING", "value STRING", "inherited BOOLEAN", "namespace STRING"),
    column("location RECORD", "location STRING", "country STRING", "region STRING", "zone STRING"),
    column("transaction_type STRING"),
    column("seller_name STRING"),
    column("export_time TIMESTAMP"),
    column("cost FLOAT"),
    column("currency STRING"),
    column("currency_conversion_rate FLOAT"),
    column(
        "usage RECORD",
        *("amount FLOAT", "unit STRING", "amount_in_pricing_units FLOAT", "pricing_unit STRING"),
    ),
    column("credits RECORD*", "id STRING", "name STRING", "full_name STRING", "type STRING", "amount FLOAT"),
    column("invoice RECORD", "month STRING", "publisher_type STRING"),
    column("cost_type STRING"),
    column("adjustment_info RECORD", "id STRING", "mode STRING", "description STRING", "type STRING"),
    column("cost_at_list FLOAT"),
    column("cost_at_effective_price_default NUMERIC"),
]
"""The columns of the standard export that matter; the detailed one has some more."""
DETAILED: Final = [
    *STANDARD,
    column("resource RECORD", "name STRING", "global_name STRING"),
    column("subscription RECORD", "instance_id STRING"),
]
FOCUS: Final = [
    *map(
        column,
        (
            *("AvailabilityZone STRING", "BilledCost NUMERIC", "BillingAccountId STRING", "BillingCurrency STRING"),
            *("BillingPeriodStart TIMESTAMP", "BillingPeriodEnd TIMESTAMP", "ChargeCategory STRING"),
            *("ChargeClass STRING", "ChargeDescription STRING", "ChargePeriodStart TIMESTAMP"),
            *("ChargePeriodEnd TIMESTAMP", "ConsumedQuantity NUMERIC", "ConsumedUnit STRING", "ContractedCost NUMERIC"),
            *("EffectiveCost NUMERIC", "ListCost NUMERIC", "ListUnitPrice NUMERIC", "PricingQuantity NUMERIC"),
            *("PricingUnit STRING", "ProviderName STRING", "PublisherName STRING", "RegionId STRING"),
            *("ResourceId STRING", "ResourceName STRING", "ServiceName STRING", "SkuId STRING", "SkuPriceId STRING"),
            *("SubAccountId STRING", "SubAccountName STRING", "x_CostType STRING", "x_CurrencyConversionRate FLOAT"),
            *("x_ExportTime TIMESTAMP", "x_ServiceId STRING"),
        ),
    ),
    column("x_Credits RECORD*", "Name STRING", "Amount NUMERIC", "FullName STRING", "Id STRING", "Type STRING"),
    column("x_Project RECORD", "Id STRING", "Number STRING", "Name STRING"),
    *(column(f"{name} RECORD*", "Key STRING", "Value STRING") for name in ("x_Labels", "x_SystemLabels")),
    column("x_Tags RECORD*", "Key STRING", "Value STRING", "x_Inherited BOOLEAN", "x_Namespace STRING"),
]
"""The columns of the FOCUS export that matter."""
VIEW: Final = [
    *(each for each in FOCUS if each["mode"] != "REPEATED"),
    column("Tags RECORD*", *PAIRS, "x_type STRING", "x_inherited BOOLEAN", "x_namespace STRING"),
]
"""The same of the view that Google publishes, which has one list of pairs of all kinds."""


def usage(moment: str, cost: str, exported: str, service: str = "Compute Engine", **columns: Any) -> Row:
    """An hour of usage; amounts are written as the doubles that Google has."""
    start = datetime.fromisoformat(moment)
    return {
        "billing_account_id": "010101-F0FFF0-61C528",
        "service": {"id": "6F81-5844-456A", "description": service},
        "sku": {"id": "2E27-4F75-95CD", "description": "N1 Predefined Instance Core running in Americas"},
        "usage_start_time": f"{start:%F %T}",
        "usage_end_time": f"{start + timedelta(hours=1):%F %T}",
        "project": {"id": "shop-prod", "name": "Shop", "labels": pairs(cost_center="42")},
        "labels": pairs(team="payments"),
        "system_labels": [],
        "tags": [],
        "location": {"location": "europe-west1", "country": "BE", "region": "europe-west1", "zone": "europe-west1-b"},
        "transaction_type": "GOOGLE",
        "export_time": exported,
        "cost": float(cost),
        "currency": "EUR",
        "currency_conversion_rate": 0.92,
        "usage": {"amount": 3600.0, "unit": "seconds", "amount_in_pricing_units": 1.0, "pricing_unit": "hour"},
        "credits": [],
        "invoice": {"month": f"{start:%Y%m}"},
        "cost_type": "regular",
        **columns,
    }


def credit(kind: str, amount: str, name: str = "a credit") -> dict[str, Any]:
    return {"id": f"id of {name}", "name": name, "full_name": name, "type": kind, "amount": float(amount)}


def pairs(**given: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in given.items()]


def line(moment: str, cost: str, exported: str, **columns: Any) -> Row:
    """A line of the FOCUS export for an hour of usage."""
    start = datetime.fromisoformat(moment)
    return {
        "BilledCost": cost,
        "BillingAccountId": "010101-F0FFF0-61C528",
        "BillingCurrency": "EUR",
        "BillingPeriodStart": "2026-03-01 08:00:00",
        "BillingPeriodEnd": "2026-04-01 07:00:00",
        "ChargeCategory": "Usage",
        "ChargePeriodStart": f"{start:%F %T}",
        "ChargePeriodEnd": f"{start + timedelta(hours=1):%F %T}",
        "EffectiveCost": cost,
        "ProviderName": "Google Cloud",
        "ServiceName": "Compute Engine",
        "SubAccountId": "shop-prod",
        "x_ExportTime": exported,
        "x_Credits": [],
        "x_Labels": [],
        "x_SystemLabels": [],
        "x_Tags": [],
        **columns,
    }


def json_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The body's rows of tabledata.insertAll."""
    return [{"json": dict(row)} for row in rows]
