"""Usage as charges: what was used by its price, the plan's fee, what the fee includes, and what the invoice adds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from ledger.charge import Charge
from ledger.money import EXACT, ZERO, canonical
from ledger.window import DAY, Span
from reconciler.connectors.pricing import Plan, Tariff, fees
from reconciler.connectors.railway.report import Invoice, Used, Workspace

PROVIDER: Final = "Railway"
HOURS_PER_MONTH: Final = 720
"""Railway prices a month as 43,200 minutes."""
SKUS: Final = {
    "CPU_USAGE": ("cpu", "vCPU-Minutes", "CPU"),
    "MEMORY_USAGE_GB": ("memory", "GB-Minutes", "Memory"),
    "DISK_USAGE_GB": ("disk", "GB-Minutes", "Volumes"),
    "BACKUP_USAGE_GB": ("backup", "GB-Minutes", "Backups"),
    "NETWORK_TX_GB": ("egress", "GB", "Egress"),
}
UNPAID: Final = frozenset({"FREE", "TRIAL"})
"""Plans without a fee."""


def used(each: Used, day: Span, names: Mapping[str, str], workspace: str, tariff: Tariff) -> Charge:
    """What a service used of one measure on a day, at its price."""
    sku, unit, text = SKUS[each.measurement]
    project, service, environment = each.tags.project_id, each.tags.service_id, each.tags.environment_id
    extra = {"x_environment_id": environment, "x_environment": names.get(environment or "")}
    charge = blank(day, workspace)._replace(
        charge_description=text,
        sub_account_id=project,
        sub_account_name=names.get(project or ""),
        resource_id=service,
        resource_name=names.get(service or ""),
        region_id=each.tags.region,
        sku_id=sku,
        consumed_quantity=each.value,
        consumed_unit=unit,
        extra={name: text for name, text in extra.items() if text},
    )
    return tariff.priced(charge, hours_per_month=HOURS_PER_MONTH)


def blank(span: Span, workspace: str) -> Charge:
    """What all charges of a workspace have in common."""
    return Charge(
        charge_period_start=span.start,
        charge_period_end=span.end,
        billing_currency=Tariff.default_currency,
        billed_cost=None,
        x_origin="estimate",
        service_name=PROVIDER,
        service_provider_name=PROVIDER,
        charge_frequency="Usage-Based",
        service_category="Compute",
        billing_account_id=workspace,
    )


def fee(plan: Plan | None, known: Workspace, period: Span, workspace: str, tariff: Tariff) -> list[Charge]:
    """The fee of the billing period: of the plan that the Provider declares, else of the one that Railway names."""
    like = blank(period, workspace)
    if plan is not None:
        dated = plan if plan.start else plan.model_copy(update={"start": period.start.date()})
        return fees(dated, period, like)
    if known.plan is None or known.plan.upper() in UNPAID:
        return []
    charge = like._replace(
        charge_category="Purchase",
        charge_frequency="Recurring",
        charge_description=f"{known.plan.capitalize()} plan, monthly fee",
        sku_id=f"plan_{known.plan.lower()}",
        consumed_quantity=Decimal(1),
        consumed_unit="Months",
    )
    return [tariff.priced(charge)]


def included(usage: Sequence[Charge], paid: Sequence[Charge], workspace: str) -> Iterator[Charge]:
    """What the fee includes: the period's usage up to the fee's amount, taken off day by day until it is used up."""
    currency = paid[0].billing_currency if paid else None
    left = total(paid)
    spent: dict[datetime, Decimal] = defaultdict(Decimal)
    for charge in usage:
        if charge.billing_currency == currency:
            start = charge.charge_period_start
            spent[start] = EXACT.add(spent[start], charge.billed_cost or ZERO)
    for start in sorted(spent):
        part = min(left, spent[start])
        if part > 0:
            left = EXACT.subtract(left, part)
            day = Span(start, start + DAY)
            yield blank(day, workspace)._replace(
                billing_currency=str(currency),
                billed_cost=canonical(EXACT.minus(part)),
                charge_category="Credit",
                charge_description="Usage that the plan includes",
                sku_id="included_usage",
            )


def difference(invoices: Sequence[Invoice], unit: Decimal, like: Charge, charges: Sequence[Charge]) -> Iterator[Charge]:
    """What the invoices of a period have more, or less, than its estimates come to; `unit` is what a dollar has."""
    mine = [each for each in charges if each.billing_currency == like.billing_currency]
    told = sum_of(EXACT.divide(each.total, unit) for each in invoices)
    lacking = EXACT.subtract(told, total(mine))
    if lacking:
        yield like._replace(
            billed_cost=canonical(lacking),
            charge_category="Adjustment",
            charge_frequency=None,
            charge_description="Difference between the invoice and the estimates",
            sku_id="invoice_difference",
            extra={"InvoiceId": ", ".join(each.invoice_id or "?" for each in invoices)},
        )


def total(charges: Sequence[Charge]) -> Decimal:
    """The sum of what has a price."""
    return sum_of(charge.billed_cost or ZERO for charge in charges)


def sum_of(amounts: Iterable[Decimal]) -> Decimal:
    result = ZERO
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result
