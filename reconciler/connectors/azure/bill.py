"""Rows of the Query API as charges: the two views of a bill joined, and what stands apart from use.

ActualCost is what is billed, on the day on which it falls due; AmortizedCost is what was used, with reservations and
savings plans spread over it. Joined by what they are of, a reservation's purchase is billed and has no effective cost,
what it covers has an effective cost and is not billed, and what it left unused is a charge of its own.
Categories: learn.microsoft.com/cloud-computing/finops/focus/convert.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from ledger.charge import Charge, ChargeCategory
from ledger.money import EXACT, ZERO, canonical
from ledger.window import DAY, midnight
from reconciler.connectors.azure.query import Row
from reconciler.connectors.azure.settings import AzureSettings, Split

Key = tuple[date, tuple[str, str], str]
"""A day, the values of two dimensions, and a currency."""

PROVIDER: Final = "Microsoft"
NO_SERVICE: Final = "Azure"
CHARGE_TYPE: Final = "ChargeType"
SERVICE: Final = "ServiceName"
DIMENSIONS: Final[Mapping[Split, str]] = {
    "Meter": "Meter",
    "Region": "ResourceLocation",
    "ResourceGroup": "ResourceGroupName",
    "Subscription": "SubscriptionId",
}
CATEGORIES: Final[Mapping[str, ChargeCategory]] = {
    "usage": "Usage",
    "unusedreservation": "Usage",
    "unusedsavingsplan": "Usage",
    "purchase": "Purchase",
    "refund": "Purchase",
    "credit": "Credit",
    "tax": "Tax",
}


def is_used(kind: str) -> bool:
    """Whether a charge type is use, and no purchase, refund, unused reservation or the like."""
    return kind.casefold() == "usage"


class Scope:
    """What the scope says of every charge in it, and how its costs are split."""

    def __init__(self, settings: AzureSettings) -> None:
        self.path = f"/{(settings.scope or '').strip('/')}"
        kind, _, rest = self.path.lstrip("/").partition("/")
        parts = rest.split("/")
        self._subscription = parts[0].lower() if kind.casefold() == "subscriptions" else None
        self._group = parts[2] if self._subscription and len(parts) > 1 else None
        is_billing = len(parts) > 2 and parts[1].casefold() == "billingaccounts"
        self._account = parts[2] if is_billing else None
        self.split = settings.query.split_by or self._usual

    @property
    def _usual(self) -> Split:
        if self._subscription is None:
            return "Subscription"
        return "Region" if self._group else "ResourceGroup"

    @property
    def by_type(self) -> tuple[str, str]:
        """The dimensions of what stands apart: whose it is where there are many, and else of which service it is."""
        return CHARGE_TYPE, DIMENSIONS["Subscription"] if self._subscription is None else SERVICE

    @property
    def by_service(self) -> tuple[str, str]:
        """The dimensions of what was used."""
        return SERVICE, DIMENSIONS[self.split]

    def used(self, actual: Sequence[Row], amortised: Sequence[Row]) -> list[Charge]:
        """What was used, from rows by service and the dimension of the split."""
        return [
            self._split(charge._replace(service_name=service or NO_SERVICE), value)
            for charge, (service, value) in self._joined(actual, amortised)
        ]

    def apart(self, actual: Sequence[Row], amortised: Sequence[Row]) -> list[Charge]:
        """What stands apart, from rows by charge type and service or subscription."""
        found = []
        for charge, (kind, value) in self._joined(actual, amortised):
            named = charge._replace(
                charge_category=CATEGORIES.get(kind.casefold(), "Adjustment"),
                charge_class="Correction" if kind.casefold() == "refund" else None,
                charge_description=_words(kind),
                extra={**(charge.extra or {}), **_commitment(kind), "x_ChargeType": kind},
            )
            is_service = self.by_type[1] == SERVICE
            found.append(named._replace(service_name=value or NO_SERVICE) if is_service else _of(named, value))
        return found

    def _joined(self, actual: Sequence[Row], amortised: Sequence[Row]) -> list[tuple[Charge, tuple[str, str]]]:
        """A charge for every key of either view: what is absent from a view that was read whole is zero there."""
        billed, effective = _costs(actual), _costs(amortised)
        return [
            (self._charge(key, billed.get(key, ZERO), effective.get(key, ZERO)), key[1])
            for key in dict.fromkeys([*billed, *effective])
        ]

    def _charge(self, key: Key, billed: Decimal, effective: Decimal) -> Charge:
        day, _, unit = key
        return Charge(
            charge_period_start=midnight(day),
            charge_period_end=midnight(day) + DAY,
            billing_currency=unit,
            billed_cost=billed,
            effective_cost=effective,
            x_origin="api",
            service_name=NO_SERVICE,
            service_provider_name=PROVIDER,
            billing_account_id=self._account,
            sub_account_id=self._subscription,
            extra={"x_ResourceGroupName": self._group} if self._group else None,
        )

    def _split(self, charge: Charge, value: str) -> Charge:
        if not value:
            return charge
        if self.split == "Region":
            return charge._replace(region_id=value)
        if self.split == "Subscription":
            return _of(charge, value)
        name = "SkuMeter" if self.split == "Meter" else "x_ResourceGroupName"
        return charge._replace(extra={**(charge.extra or {}), name: value})


def _costs(rows: Sequence[Row]) -> dict[Key, Decimal]:
    sums: dict[Key, Decimal] = {}
    for row in rows:
        key = (row.day, row.keys, row.currency)
        sums[key] = canonical(EXACT.add(sums.get(key, ZERO), row.cost))
    return sums


def _of(charge: Charge, subscription: str) -> Charge:
    """`charge` as that of a subscription; purchases of a billing account have none."""
    return charge._replace(sub_account_id=subscription.lower() or None)


def _commitment(kind: str) -> dict[str, object]:
    return {"CommitmentDiscountStatus": "Unused"} if kind.casefold().startswith("unused") else {}


def _words(kind: str) -> str:
    """A charge type, such as UnusedReservation, in words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).capitalize()
