"""Cost reports and filters in plain Python over lists of charges, to hold the API's answers against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from ledger.charge import Charge
from ledger.money import plain

FIELDS = {
    "services": "service_name",
    "serviceCategories": "service_category",
    "subAccounts": "sub_account_id",
    "models": "x_model",
    "tokenTypes": "x_token_type",
    "regions": "region_id",
    "resources": "resource_id",
    "skus": "sku_id",
    "currencies": "billing_currency",
    "chargeCategories": "charge_category",
}
DIMENSIONS = {
    "SERVICE": "service_name",
    "SERVICE_CATEGORY": "service_category",
    "SUB_ACCOUNT": "sub_account_id",
    "MODEL": "x_model",
    "TOKEN_TYPE": "x_token_type",
    "REGION": "region_id",
    "RESOURCE": "resource_id",
    "SKU": "sku_id",
    "CHARGE_CATEGORY": "charge_category",
    "ORIGIN": "x_origin",
}
METRICS = {"BILLED_COST": "billed_cost", "EFFECTIVE_COST": "effective_cost", "LIST_COST": "list_cost"}


@dataclass(frozen=True)
class Owned:
    """A charge and whose it is."""

    namespace: str
    provider: str
    labels: Mapping[str, str]
    charge: Charge

    @property
    def day(self) -> date:
        return self.charge.charge_period_start.date()

    def cost(self, metric: str) -> Decimal:
        charge = self.charge
        if metric == "EFFECTIVE_COST" and charge.effective_cost is None:
            return charge.billed_cost or Decimal(0)
        return getattr(charge, METRICS[metric]) or Decimal(0)


def matches(owned: Owned, chosen: Mapping[str, Any]) -> bool:
    """Whether the filter, as GraphQL has it, means the charge."""
    charge = owned.charge
    tests = [getattr(charge, column) in chosen[name] for name, column in FIELDS.items() if name in chosen]
    tests += [owned.provider in chosen["providers"]] if "providers" in chosen else []
    tests += [owned.namespace in chosen["namespaces"]] if "namespaces" in chosen else []
    tests += [charge.x_origin.upper() in chosen["origins"]] if "origins" in chosen else []
    tests += [_has(charge.tags or {}, match) for match in chosen.get("tags", ())]
    tests += [_has(owned.labels, match) for match in chosen.get("labels", ())]
    tests += [not matches(owned, chosen["not"])] if "not" in chosen else []
    return all(tests)


def _has(values: Mapping[str, str], match: Mapping[str, Any]) -> bool:
    wanted = match.get("values")
    return match["key"] in values and (wanted is None or values[match["key"]] in wanted)


def key(owned: Owned, groups: Sequence[Mapping[str, str]]) -> tuple[str | None, ...]:
    """The values of what is grouped by."""
    return tuple(_value(owned, group) for group in groups)


def _value(owned: Owned, group: Mapping[str, str]) -> str | None:
    if "tag" in group:
        return (owned.charge.tags or {}).get(group["tag"])
    if "label" in group:
        return owned.labels.get(group["label"])
    own = {"NAMESPACE": owned.namespace, "PROVIDER": owned.provider}
    return own.get(group["dimension"]) or getattr(owned.charge, DIMENSIONS.get(group["dimension"], "sku_id"))


def bucket(day: date, first: date, granularity: str) -> date:
    """Where the bucket of a day begins."""
    starts = {
        "TOTAL": first,
        "DAY": day,
        "WEEK": day - timedelta(days=day.weekday()),
        "MONTH": day.replace(day=1),
        "QUARTER": date(day.year, (day.month - 1) // 3 * 3 + 1, 1),
        "YEAR": date(day.year, 1, 1),
    }
    return max(first, starts[granularity])


@dataclass
class Sums:
    """Amounts of one series."""

    by_bucket: dict[date, Decimal] = field(default_factory=dict)
    by_origin: dict[str, Decimal] = field(default_factory=dict)
    previous: Decimal = Decimal(0)
    charges: int = 0
    unpriced: int = 0

    def shown(self, buckets: Sequence[str]) -> dict[str, Any]:
        """As GraphQL shows it, without what follows from the rest."""
        return {
            "amounts": [plain(self.by_bucket.get(date.fromisoformat(start), Decimal(0))) for start in buckets],
            "total": plain(sum(self.by_bucket.values(), Decimal(0))),
            "origins": sorted((name.upper(), plain(amount)) for name, amount in self.by_origin.items()),
            "previous": plain(self.previous),
            "charges": self.charges,
            "unpriced": self.unpriced,
        }


Series = dict[tuple[tuple[str | None, ...], str], Sums]


def report(owned: Sequence[Owned], asked: Mapping[str, Any], previous: tuple[date, date]) -> Series:
    """Sums per key and currency, of the period asked for and of the one compared with."""
    first, after_last = (date.fromisoformat(asked["period"][name]) for name in ("from", "to"))
    found: Series = {}
    for held in owned:
        if not matches(held, asked["filter"]):
            continue
        now, before = first <= held.day < after_last, previous[0] <= held.day < previous[1]
        if not now and not before:
            continue
        sums = found.setdefault((key(held, asked["groupBy"]), held.charge.billing_currency), Sums())
        if now:
            cost, start = held.cost(asked["metric"]), bucket(held.day, first, asked["granularity"])
            sums.by_bucket[start] = sums.by_bucket.get(start, Decimal(0)) + cost
            sums.by_origin[held.charge.x_origin] = sums.by_origin.get(held.charge.x_origin, Decimal(0)) + cost
            sums.charges += 1
            sums.unpriced += held.charge.billed_cost is None
        if before:
            sums.previous += held.cost(asked["metric"])
    return found
