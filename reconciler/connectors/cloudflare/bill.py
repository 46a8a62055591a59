"""Rows of billable usage as charges."""

from __future__ import annotations

from typing import Final

from ledger.charge import Charge
from ledger.window import DAY
from reconciler.connectors.cloudflare.report import Row

PROVIDER: Final = "Cloudflare"
OWN_NAME: Final = "Cloudflare, Inc."


def charge(row: Row, account: str) -> Charge:
    """What a service cost on a day. A row without any cost is unpriced: Cloudflare has not said it yet."""
    end = row.charge_period_end
    return Charge(
        charge_period_start=row.charge_period_start,
        charge_period_end=end if end and end > row.charge_period_start else row.charge_period_start + DAY,
        billing_currency=row.billing_currency,
        billed_cost=row.contracted_cost if row.billed_cost is None else row.billed_cost,
        x_origin="api",
        service_name=row.service_name or row.service_family_name or PROVIDER,
        service_provider_name=_provider(row),
        charge_category="Credit" if (row.billed_cost or row.contracted_cost or 0) < 0 else "Usage",
        charge_frequency="Usage-Based",
        charge_description=row.charge_description,
        billing_account_id=row.billing_account_id or account,
        sub_account_id=row.zone_id,
        sub_account_name=row.zone_name,
        consumed_quantity=row.consumed_quantity if row.consumed_unit else None,
        consumed_unit=row.consumed_unit,
        pricing_quantity=row.pricing_quantity,
        pricing_unit=row.pricing_unit,
        effective_cost=row.effective_cost,
        list_cost=row.list_cost,
        contracted_cost=row.contracted_cost,
        extra=_extra(row) or None,
    )


def _provider(row: Row) -> str:
    return PROVIDER if row.service_provider_name in (None, OWN_NAME) else row.service_provider_name or PROVIDER


def _extra(row: Row) -> dict[str, str]:
    period = row.billing_period_start
    columns = {
        "x_service_family": row.service_family_name,
        "x_subscription_id": row.subscription_id,
        "BillingPeriodStart": period.isoformat().replace("+00:00", "Z") if period else None,
    }
    return {name: value for name, value in columns.items() if value}
