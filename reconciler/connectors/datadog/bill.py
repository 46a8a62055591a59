"""Datadog's costs as charges: by the month, or by what each day added to the month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from ledger.charge import Charge, ChargeCategory, Origin
from ledger.money import EXACT, ZERO, amount
from ledger.window import DAY, Span, midnight
from reconciler.connectors.datadog.report import Cost, Item
from reconciler.errors import Bug

CURRENCY: Final = "USD"
PROVIDER: Final = "Datadog"

Kind = tuple[str, str | None]
"""A product and how it is charged for."""


def monthly(cost: Cost, month: Span) -> Iterator[Charge]:
    """The charges of a closed month, each for all of it."""
    for item in cost.items:
        category: ChargeCategory = "Credit" if item.cost < 0 else "Usage"
        yield _charge(cost, (item.product_name, item.charge_type), item.cost, month, "api", category)


def daily(costs: Sequence[Cost]) -> Iterator[Charge]:
    """What each day added to the costs of its month, which are told as they stood at the end of each day.

    A day that is not told is part of the next one that is. A product that is told no more has fallen to nothing.
    """
    series: dict[tuple[str | None, ...], dict[date, Cost]] = defaultdict(dict)
    for cost in costs:
        if cost.day in series[cost.owner]:
            raise Bug(f"Datadog answered with {cost.day} of one organisation twice.")
        series[cost.owner][cost.day] = cost
    for days in series.values():
        before: Mapping[Kind, Decimal] = {}
        for day in sorted(days):
            now = _sums(days[day].items)
            yield from _added(days[day], before, now)
            before = now


def _added(cost: Cost, before: Mapping[Kind, Decimal], now: Mapping[Kind, Decimal]) -> Iterator[Charge]:
    start = midnight(cost.day)
    for kind in {**before, **now}:
        added = amount(EXACT.subtract(now.get(kind, ZERO), before.get(kind, ZERO)))
        if added:
            yield _charge(cost, kind, added, Span(start, start + DAY), "estimate", "Usage")


def _sums(items: Sequence[Item]) -> Mapping[Kind, Decimal]:
    sums: dict[Kind, Decimal] = defaultdict(Decimal)
    for item in items:
        kind = (item.product_name, item.charge_type)
        sums[kind] = EXACT.add(sums[kind], item.cost)
    return sums


def _charge(cost: Cost, kind: Kind, money: Decimal, span: Span, origin: Origin, category: ChargeCategory) -> Charge:
    product, charge_type = kind
    columns = {"x_charge_type": charge_type, "BillingAccountName": cost.account_name}
    return Charge(
        charge_period_start=span.start,
        charge_period_end=span.end,
        billing_currency=CURRENCY,
        billed_cost=money,
        x_origin=origin,
        service_name=PROVIDER,
        service_provider_name=PROVIDER,
        charge_category=category,
        charge_description=product,
        billing_account_id=cost.account_public_id,
        sub_account_id=cost.public_id,
        sub_account_name=cost.org_name,
        region_id=cost.region,
        sku_id=product,
        extra={name: value for name, value in columns.items() if value} or None,
    )
