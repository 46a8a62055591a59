"""The lines of an invoice as charges."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from ledger.charge import Charge, ChargeCategory
from ledger.money import EXACT, ZERO, plain
from reconciler.connectors.planetscale.report import Invoice, Item, Resource

CURRENCY: Final = "USD"
PROVIDER: Final = "PlanetScale"
REST: Final = "Not itemised in the invoice"
TAX: Final = re.compile(r"\b(tax|vat|gst)\b", re.IGNORECASE)


def line(item: Item, invoice: Invoice, organization: str) -> Charge:
    """The charge that a line is. One that Cloudflare bills costs nothing here, and keeps what it comes to."""
    resource = item.resource or Resource()
    extra: dict[str, object] = {"InvoiceId": invoice.id}
    if item.cloudflare_billed:
        extra |= {"x_cloudflare_billed": True, "x_subtotal": plain(item.subtotal)}
    return Charge(
        charge_period_start=invoice.billing_period_start,
        charge_period_end=invoice.billing_period_end,
        billing_currency=CURRENCY,
        billed_cost=ZERO if item.cloudflare_billed else item.subtotal,
        x_origin="api",
        service_name=PROVIDER,
        service_provider_name=PROVIDER,
        charge_category=_category(item),
        charge_description=item.description,
        service_category="Databases",
        billing_account_id=organization,
        sub_account_id=item.database_id,
        sub_account_name=item.database_name,
        resource_id=resource.id,
        resource_name=resource.name,
        sku_id=item.metric_name,
        extra=extra,
    )


def rest(amount: Decimal, invoice: Invoice, organization: str) -> Charge:
    """What the invoice's total has and its lines have not, such as a tax."""
    return Charge(
        charge_period_start=invoice.billing_period_start,
        charge_period_end=invoice.billing_period_end,
        billing_currency=CURRENCY,
        billed_cost=EXACT.normalize(amount),
        x_origin="api",
        service_name=PROVIDER,
        service_provider_name=PROVIDER,
        charge_category="Adjustment",
        charge_description=REST,
        billing_account_id=organization,
        extra={"InvoiceId": invoice.id},
    )


def _category(item: Item) -> ChargeCategory:
    if any(TAX.search(text.replace("_", " ")) for text in (item.metric_name, item.description) if text):
        return "Tax"
    return "Credit" if item.subtotal < 0 else "Usage"
