"""An invoice's lines as charges, and what it has beside them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from ledger.charge import Charge
from ledger.money import EXACT, ZERO, canonical, plain
from ledger.window import DAY, Span
from reconciler.connectors.mongodbatlas.report import Invoice, Item

CURRENCY: Final = "USD"
PROVIDER: Final = "MongoDB Atlas"
OPEN: Final = "PENDING"
FORGIVEN: Final = "FORGIVEN"


def charges(invoice: Invoice, month: Span, organization: str) -> Iterator[Charge]:
    """Every line of the invoice, its sales tax, its refunds, and what its subtotal has more than its lines.

    The invoice begins in `month`, which is as much of the month as has passed.
    """
    period = Span(invoice.start, max(invoice.end, invoice.start + DAY))
    total = ZERO
    for charge in [*_lines(invoice, month, organization), *_beside(invoice, period, organization)]:
        total = EXACT.add(total, charge.billed_cost or ZERO)
        yield charge
    if invoice.status == FORGIVEN and total:
        like = _blank(invoice, period, organization)
        yield like._replace(
            billed_cost=canonical(EXACT.minus(total)),
            charge_category="Credit",
            charge_description="Forgiven",
        )


def _lines(invoice: Invoice, month: Span, organization: str) -> Iterator[Charge]:
    for item in invoice.items:
        start, end = _times(item, invoice, month)
        yield _blank(invoice, Span(start, end), organization)._replace(
            billed_cost=item.total,
            charge_category="Credit" if item.total < 0 else "Usage",
            charge_frequency="Usage-Based",
            charge_description=item.note,
            sub_account_id=item.group_id,
            sub_account_name=item.group_name,
            resource_name=item.cluster_name,
            sku_id=item.sku,
            consumed_quantity=item.quantity if item.unit else None,
            consumed_unit=item.unit,
            pricing_quantity=item.quantity if item.unit else None,
            pricing_unit=item.unit,
            tags={name: ", ".join(values) for name, values in item.tags.items()} or None,
            extra=_extra(item, invoice, start),
        )


def _beside(invoice: Invoice, period: Span, organization: str) -> Iterator[Charge]:
    like = _blank(invoice, period, organization)
    if invoice.tax:
        yield like._replace(billed_cost=invoice.tax, charge_category="Tax", charge_description="Sales tax")
    for refund in invoice.refunds:
        told = {name: text for name, text in {"x_created": refund.created}.items() if text}
        yield like._replace(
            billed_cost=canonical(EXACT.minus(refund.amount)),
            charge_category="Credit",
            charge_description=f"Refund: {refund.reason}" if refund.reason else "Refund",
            extra={**(like.extra or {}), **told},
        )
    rest = _rest(invoice)
    if rest:
        yield like._replace(
            billed_cost=rest, charge_category="Adjustment", charge_description="Not itemised in the invoice"
        )


def _rest(invoice: Invoice) -> Decimal:
    """What the subtotal of a closed invoice has more than its lines.

    It is said to be the sum of the positive lines; that of all lines is accepted as well.
    """
    positive = _sum([item.total for item in invoice.items if item.total > 0])
    accepted = (None, positive, _sum([item.total for item in invoice.items]))
    if invoice.status == OPEN or invoice.subtotal in accepted:
        return ZERO
    return canonical(EXACT.subtract(invoice.subtotal or ZERO, positive))


def _times(item: Item, invoice: Invoice, month: Span) -> tuple[datetime, datetime]:
    """The line's own time; a line of another month lies at the beginning of the invoice that bills it."""
    start = item.start
    if start is None or not month.start <= start < month.end:
        start = invoice.start
    return start, item.end if item.end is not None and item.end > start else start + DAY


def _blank(invoice: Invoice, span: Span, organization: str) -> Charge:
    return Charge(
        charge_period_start=span.start,
        charge_period_end=span.end,
        billing_currency=CURRENCY,
        billed_cost=None,
        x_origin="api",
        service_name=PROVIDER,
        service_provider_name=PROVIDER,
        service_category="Databases",
        billing_account_id=organization,
        extra={"InvoiceId": invoice.id},
    )


def _extra(item: Item, invoice: Invoice, start: datetime) -> dict[str, str]:
    numbers = {
        "ListUnitPrice": item.unit_price,
        "x_discount": item.discount or None,
        "x_percent_discount": item.percent_discount or None,
        "x_tier_lower_bound": item.tier_lower,
        "x_tier_upper_bound": item.tier_upper,
    }
    extra = {"InvoiceId": invoice.id} | {name: plain(number) for name, number in numbers.items() if number is not None}
    if item.cloud_provider:
        extra["HostProviderName"] = item.cloud_provider
    if item.start is not None and item.start != start:
        extra["x_start_time"] = item.start.isoformat().replace("+00:00", "Z")
    return extra


def _sum(amounts: list[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return canonical(total)
