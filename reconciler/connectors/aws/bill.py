"""Rows of Cost Explorer as charges, and which types of record stand apart from what was used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ledger.charge import Charge, ChargeCategory
from ledger.window import DAY, midnight
from reconciler.connectors.aws.explorer import Row

PROVIDER: Final = "AWS"
NO_REGION: Final = frozenset({"", "NoRegion"})
USED: Final = frozenset({"usage", "discountedusage", "savingsplancoveredusage", "savingsplannegation"})
"""Types of record that are use, and are told by service; AWS writes them with and without spaces."""
CATEGORIES: Final[Mapping[str, ChargeCategory]] = {
    "credit": "Credit",
    "refund": "Credit",
    "discount": "Credit",
    "tax": "Tax",
    "support": "Purchase",
    "fee": "Purchase",
    "recurring": "Purchase",
    "upfront": "Purchase",
    "outofcycle": "Purchase",
}
"""What a type of record is, by how it ends; such as SavingsPlanRecurringFee, or RI Volume Discount."""


def is_used(kind: str) -> bool:
    """Whether a type of record is use, and no credit, refund, tax, fee or the like."""
    return _bare(kind) in USED


def apart(row: Row, name: str | None) -> Charge:
    """What stands apart: a row by account and type of record."""
    account, kind = row.keys
    category = next((known for end, known in CATEGORIES.items() if _bare(kind).endswith(end)), None)
    return _charge(row, _service(category, kind), account, name)._replace(
        charge_category=category or ("Credit" if row.billed < 0 else "Usage"),
        charge_description=kind,
        extra={"x_record_type": kind},
    )


def of_account(row: Row, account: str, name: str | None) -> Charge:
    """What was used, from a row by service and region."""
    service, region = row.keys
    return _charge(row, service, account, name)._replace(region_id=None if region in NO_REGION else region)


def of_service(row: Row, name: str | None) -> Charge:
    """What was used, from a row by service and account."""
    service, account = row.keys
    return _charge(row, service, account, name)


def _service(category: ChargeCategory | None, kind: str) -> str:
    """The service of what stands apart. Of taxes and credits, the record's type alone is known."""
    return f"AWS {kind}" if category in ("Tax", "Credit") or _bare(kind) == "support" else PROVIDER


def _charge(row: Row, service: str, account: str, name: str | None) -> Charge:
    start = midnight(row.day)
    return Charge(
        charge_period_start=start,
        charge_period_end=start + DAY,
        billing_currency=row.currency,
        billed_cost=row.billed,
        effective_cost=row.effective,
        x_origin="api",
        service_name=service or PROVIDER,
        service_provider_name=PROVIDER,
        sub_account_id=account or None,
        sub_account_name=name or None,
    )


def _bare(kind: str) -> str:
    return re.sub("[^a-z]", "", kind.lower())
