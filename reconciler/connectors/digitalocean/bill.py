"""DigitalOcean's invoices and daily estimates as charges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import combinations
from typing import Final

from ledger.charge import Charge, ChargeCategory
from ledger.money import EXACT, ZERO
from ledger.window import DAY, Span, midnight
from reconciler.connectors.digitalocean.report import Invoice, Item, Point, Summary

CURRENCY: Final = "USD"
PROVIDER: Final = "DigitalOcean"
TAXES: Final = frozenset({"tax", "taxes"})
REST: Final = "Not itemised in the invoice"


def estimated(point: Point, urn: str) -> Charge:
    """What a day added, by the estimate of the night after it."""
    start = midnight(point.start_date)
    return Charge(
        charge_period_start=start,
        charge_period_end=start + DAY,
        billing_currency=CURRENCY,
        billed_cost=point.total_amount,
        x_origin="estimate",
        service_name=PROVIDER,
        service_provider_name=PROVIDER,
        charge_category="Usage",
        charge_description=point.description,
        billing_account_id=point.usage_team_urn or urn,
        region_id=point.region,
        resource_name=point.group_description,
        sku_id=point.sku,
    )


def invoiced(item: Item, invoice: Invoice, month: Span, urn: str | None) -> Charge:
    """A line of an invoice. It lies in the month that the invoice bills, whenever the line says that it began."""
    start, end = _period(item, month)
    return Charge(
        charge_period_start=start,
        charge_period_end=end,
        billing_currency=CURRENCY,
        billed_cost=item.amount,
        x_origin="api",
        service_name=item.product or PROVIDER,
        service_provider_name=PROVIDER,
        charge_category=_category(item),
        charge_description=item.description,
        billing_account_id=urn,
        sub_account_id=item.project_name,
        sub_account_name=item.project_name,
        resource_id=item.resource_uuid or item.resource_id,
        resource_name=item.group_description,
        consumed_quantity=item.duration if item.duration_unit else None,
        consumed_unit=item.duration_unit,
        extra=_extra(item, invoice),
    )


def beside(total: Decimal, summary: Summary, invoice: Invoice, month: Span, urn: str | None) -> Iterator[Charge]:
    """What the invoice's amount has and its items, which come to `total`, have not.

    Taxes stand among the items of some invoices and only in the summary of others, as credits do: those parts of the
    summary are missing that make up the difference. What no part explains is a line of its own.
    """
    lacking = EXACT.subtract(summary.amount, total)
    for name, amount, category in _missing(lacking, summary):
        yield Charge(
            charge_period_start=month.start,
            charge_period_end=month.end,
            billing_currency=CURRENCY,
            billed_cost=amount,
            x_origin="api",
            service_name=name,
            service_provider_name=PROVIDER,
            charge_category=category,
            charge_description=name,
            billing_account_id=urn,
            extra={"InvoiceId": invoice.invoice_uuid},
        )


def _missing(lacking: Decimal, summary: Summary) -> Sequence[tuple[str, Decimal, ChargeCategory]]:
    parts = list(_parts(summary))
    for count in range(len(parts) + 1):
        for chosen in combinations(parts, count):
            if _sum(amount for _, amount, _ in chosen) == lacking:
                return chosen
    return [(REST, EXACT.normalize(lacking), "Adjustment")]


def _parts(summary: Summary) -> Iterator[tuple[str, Decimal, ChargeCategory]]:
    """The parts of an invoice's amount that its items may lack."""
    adjusted, taxes, overages = summary.credits_and_adjustments, summary.taxes, summary.overages
    if adjusted is not None and adjusted.amount:
        yield adjusted.name or "Credits and adjustments", adjusted.amount, _adjustment(adjusted.amount)
    if taxes is not None and taxes.amount:
        yield taxes.name or "Taxes", taxes.amount, "Tax"
    if overages is not None and overages.amount:
        yield overages.name or "Overages", overages.amount, "Usage"


def _adjustment(amount: Decimal) -> ChargeCategory:
    return "Credit" if amount < 0 else "Adjustment"


def _category(item: Item) -> ChargeCategory:
    if {(item.product or "").lower(), (item.category or "").lower()} & TAXES:
        return "Tax"
    return "Credit" if item.amount < 0 else "Usage"


def _period(item: Item, month: Span) -> tuple[datetime, datetime]:
    start = item.start_time
    if start is None or not month.start <= start < month.end:
        start = month.start
    end = item.end_time
    if end is None or not start < end <= month.end:
        end = month.end
    return start, end


def _extra(item: Item, invoice: Invoice) -> dict[str, str]:
    times = {"x_start_time": item.start_time, "x_end_time": item.end_time}
    columns = {"InvoiceId": invoice.invoice_uuid, "x_category": item.category}
    columns |= {name: moment.isoformat().replace("+00:00", "Z") for name, moment in times.items() if moment}
    return {name: value for name, value in columns.items() if value}


def _sum(amounts: Iterator[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
