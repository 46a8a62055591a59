"""Fixed fees: what a subscription costs for a period, kept from sync to sync.

Cloudflare tells only the current period of a subscription, so periods that were seen are remembered beside the ledger:
a month that is read again still has its fees. A fee is billed on its period's first day (BilledCost) and earned day by
day (EffectiveCost), which is how FOCUS tells the two apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ledger.charge import Charge
from ledger.money import ZERO, amount, minor_digits, plain, split
from ledger.window import DAY, Span, midnight
from reconciler.connectors.cloudflare.report import Plan, Subscription
from reconciler.errors import Bug

MEMORY: Final = "fees"
"""The key under which periods are remembered."""
KEPT: Final = timedelta(days=800)
"""How long after its end a period is remembered: longer than yearly fees are read again."""
UNBILLED: Final = frozenset({"Trial", "Cancelled", "Failed", "Expired"})
"""States in which a new period costs nothing; one that was seen before keeps its price."""

Fee = Mapping[str, Any]


def known(memory: Mapping[str, Any], subscriptions: Sequence[Subscription], now: datetime) -> dict[str, Fee]:
    """Every period that was ever seen, by subscription and start, as JSON values. Raises Bug for a fee without one."""
    before = memory.get(MEMORY) or {}
    oldest = (now - KEPT).isoformat()
    kept = {key: fee for key, fee in before.items() if fee["end"] >= oldest}
    for subscription in subscriptions:
        if subscription.state not in UNBILLED and (subscription.price or _is_contract(subscription)):
            fee = _fee(subscription)
            kept[f"{fee['id']} {fee['start']}"] = fee
    return dict(sorted(kept.items()))


def charges(fees: Mapping[str, Fee], span: Span, account: str) -> Iterator[Charge]:
    """A charge for every fee and day in `span`; one charge without a price where Cloudflare names none."""
    for fee in fees.values():
        start, end = (midnight(datetime.fromisoformat(fee[name]).date()) for name in ("start", "end"))
        end = max(end, start + DAY)
        if fee["price"] is None:
            if span.start <= start < span.end:
                yield Charge(start, end, fee["currency"], None, **_named(fee, account))
            continue
        total = amount(fee["price"])
        days = (end - start) // DAY
        for number, share in enumerate(split(total, [1] * days, minor_digits(fee["currency"]))):
            day = start + number * DAY
            if span.start <= day < span.end:
                billed = ZERO if number else total
                named = _named(fee, account)
                yield Charge(day, day + DAY, fee["currency"], billed, effective_cost=amount(share), **named)


def _fee(subscription: Subscription) -> Fee:
    start, end, plan = subscription.current_period_start, subscription.current_period_end, subscription.rate_plan
    if start is None or end is None or end <= start:
        raise Bug(f"Cloudflare's subscription {subscription.id} has a price and no period.")
    return {
        "id": subscription.id or (plan.id if plan else None) or "subscription",
        "start": start.isoformat(),
        "end": end.isoformat(),
        "price": plain(subscription.price) if subscription.price else None,
        "currency": subscription.currency,
        "plan": plan.id if plan else None,
        "name": plan.public_name if plan else None,
        "scope": plan.scope if plan else None,
    }


def _is_contract(subscription: Subscription) -> bool:
    plan = subscription.rate_plan or Plan()
    return bool(plan.is_contract or plan.externally_managed)


def _named(fee: Fee, account: str) -> dict[str, Any]:
    name = fee["name"] or fee["plan"] or "Subscription"
    extra = {"x_subscription_id": fee["id"], "x_scope": fee["scope"]}
    return {
        "x_origin": "api",
        "service_name": name,
        "service_provider_name": "Cloudflare",
        "charge_category": "Purchase",
        "charge_frequency": "Recurring",
        "charge_description": f"{name}, {fee['start'][:10]} to {fee['end'][:10]}",
        "billing_account_id": account,
        "sku_id": fee["plan"],
        "extra": {key: value for key, value in extra.items() if value},
    }
