"""Balance transactions as charges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from ledger.charge import Charge, ChargeCategory
from reconciler.connectors.stripe.transaction import Part, Transaction, major

TAXES: Final = frozenset({"tax", "tax_fee", "withheld_tax"})
PAYMENTS: Final = "Payments"
"""The service of fees that another transaction carries: a payment, a refund, a dispute, a payout."""
SERVICES: Final = {
    "network_cost": "Network costs",
    "stripe_fx_fee": "Currency conversion",
    "tax_fee": "Taxes",
}
PRODUCT: Final = re.compile(r"(.{1,60}?)(?: - | \(\d{4}-\d{2}-\d{2}\))")
"""How Stripe's text of a fee begins with the product that it is for: `Billing - Usage Fee (2026-11-20)`."""


def charges(transaction: Transaction, account: str | None) -> Iterator[Charge]:
    """A charge for every part of what the transaction costs; none if it costs nothing."""
    for part in transaction.costs():
        if part.amount:
            yield _charge(transaction, part, account)


def _charge(transaction: Transaction, part: Part, account: str | None) -> Charge:
    return Charge(
        charge_period_start=transaction.created,
        charge_period_end=transaction.created + timedelta(seconds=1),
        billing_currency=transaction.currency,
        billed_cost=major(part.amount, transaction.currency),
        x_origin="api",
        service_name=_service(transaction),
        service_provider_name="Stripe",
        charge_category=_category(part),
        charge_frequency="Usage-Based",
        charge_description=part.text,
        service_category="Business Applications",
        billing_account_id=account,
        resource_id=transaction.source,
        sku_id=part.kind,
        extra=_extra(transaction),
    )


def _category(part: Part) -> ChargeCategory:
    if part.kind in TAXES:
        return "Tax"
    return "Credit" if part.amount < 0 else "Usage"


def _service(transaction: Transaction) -> str:
    if not transaction.is_fee:
        return PAYMENTS
    product = PRODUCT.match(transaction.description or "")
    return product[1] if product else SERVICES.get(transaction.type, "Stripe fees")


def _extra(transaction: Transaction) -> dict[str, str]:
    """What tells where the fee comes from; what customers wrote on their payments stays out of the ledger."""
    columns = {
        "x_balance_transaction": transaction.id,
        "x_transaction_type": transaction.type,
        "x_reporting_category": transaction.reporting_category,
    }
    return {name: value for name, value in columns.items() if value}
