"""Rows of the standard and the detailed export, added up by day, as charges.

What a day has on one month's invoice stays apart from what it has on the next one's. Invoice months are those of
California.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from ledger.charge import Charge, ChargeCategory
from ledger.money import InvalidAmount, amount, currency
from ledger.window import DAY, midnight
from reconciler.connectors.gcp.cells import Row
from reconciler.errors import Bug

PROVIDER: Final = "Google Cloud"
INVOICES: Final = ZoneInfo("America/Los_Angeles")
CATEGORIES: Final[Mapping[str, ChargeCategory]] = {
    "regular": "Usage",
    "tax": "Tax",
    "adjustment": "Adjustment",
    "rounding_error": "Adjustment",
}
"""What a row's cost_type says that it is, as in Google's own view in the form of FOCUS."""
ADJUSTED: Final = ("adjustment_id", "adjustment_mode", "adjustment_type", "adjustment_description")
KEPT: Final[Mapping[str, str]] = {
    "zone": "AvailabilityZone",
    "subscription": "CommitmentDiscountId",
    "invoice_month": "x_invoice_month",
    "cost_type": "x_cost_type",
    "credit_type": "x_credit_type",
    "credit_id": "x_credit_id",
    "rate": "x_currency_conversion_rate",
    "service_id": "x_service_id",
    "location": "x_location",
    "consumption_model": "x_consumption_model",
    **{name: f"x_{name}" for name in ADJUSTED},
}
"""What has no field of its own, by the column that keeps it."""


def charge(row: Row) -> Charge:
    """One row of the answer. Raises Bug where it cannot be counted."""
    try:
        return _charge(row)
    except (KeyError, InvalidAmount, ValueError) as error:
        raise Bug(f"a row of BigQuery's answer cannot be counted, so none of it was: {error}") from None


def _charge(row: Row) -> Charge:
    start = midnight(date.fromisoformat(row["day"]))
    is_credit = row["is_credit"] == "true"
    return Charge(
        charge_period_start=start,
        charge_period_end=start + DAY,
        billing_currency=currency(row["currency"]),
        billed_cost=_amount(row, "cost"),
        x_origin="api",
        service_name=row.get("service") or PROVIDER,
        service_provider_name=PROVIDER,
        charge_category=_category(row, is_credit=is_credit),
        charge_class="Correction" if any(row.get(name) for name in ADJUSTED) else None,
        charge_description=(row.get("credit_name") if is_credit else None) or row.get("sku"),
        billing_account_id=row.get("billing_account_id"),
        sub_account_id=row.get("project_id"),
        sub_account_name=row.get("project_name"),
        region_id=row.get("region") or row.get("location"),
        resource_id=row.get("resource_id") or row.get("resource_name"),
        resource_name=row.get("resource_name"),
        sku_id=row.get("sku_id"),
        consumed_quantity=_amount(row, "usage_amount"),
        consumed_unit=None if is_credit else row.get("usage_unit"),
        pricing_quantity=_amount(row, "pricing_amount"),
        pricing_unit=None if is_credit else row.get("pricing_unit"),
        list_cost=_amount(row, "list_cost"),
        contracted_cost=_amount(row, "contracted_cost"),
        tags=_tags(row.get("labels"), row.get("system_labels"), row.get("tags"), row.get("project_labels")) or None,
        extra=_extra(row),
    )


def _category(row: Row, *, is_credit: bool) -> ChargeCategory:
    if is_credit:
        return "Credit"
    kind = (row.get("cost_type") or "regular").lower()
    if kind not in CATEGORIES:
        raise ValueError(f"the cost_type {kind!r} is none that is known")
    return CATEGORIES[kind]


def _amount(row: Row, name: str) -> Decimal | None:
    found = row.get(name)
    return None if found is None else amount(found)


def _extra(row: Row) -> dict[str, object]:
    extra: dict[str, object] = {kept: row[name] for name, kept in KEPT.items() if row.get(name) is not None}
    if "x_currency_conversion_rate" in extra:
        extra["x_currency_conversion_rate"] = f"{amount(row['rate']):f}"
    if row.get("transaction_type") not in (None, "GOOGLE") and row.get("seller_name"):
        extra["PublisherName"] = row["seller_name"]
    if row.get("invoice_month"):
        extra["BillingPeriodStart"], extra["BillingPeriodEnd"] = _period(row["invoice_month"])
    return extra


@lru_cache(maxsize=64)
def _period(month: str) -> tuple[str, str]:
    """Beginning and end of an invoice month such as `202603`, in UTC."""
    first = datetime.strptime(month, "%Y%m").replace(tzinfo=INVOICES)
    year, following = divmod(12 * first.year + first.month, 12)
    ends = (first, first.replace(year=year, month=following + 1))
    start, end = (f"{each.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for each in ends)
    return start, end


@lru_cache(maxsize=4096)
def _tags(labels: str | None, system: str | None, tags: str | None, project: str | None) -> Mapping[str, str]:
    """Labels by their keys, tags behind their namespace, labels of the project behind `project/`."""
    found = {f"project/{each['key']}": each.get("value") or "" for each in _pairs(project)}
    found |= {f"{each.get('namespace') or 'tag'}/{each['key']}": each.get("value") or "" for each in _pairs(tags)}
    return found | {each["key"]: each.get("value") or "" for each in (*_pairs(system), *_pairs(labels))}


def _pairs(text: str | None) -> list[dict[str, Any]]:
    return [each for each in json.loads(text) or () if each.get("key")] if text else []
