"""A charge: one row of a vendor's bill, with FOCUS 1.2 names in snake_case.

`Charge` is a plain tuple because millions pass through; what makes one valid is said once, in `check`,
and `check_period`, which the ledger runs on every row before it stores it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple, get_args

from ledger.errors import InvalidCharge

Origin = Literal["api", "file", "manual", "estimate"]
"""Where a figure comes from: the vendor's API, a billing file, a person, or usage times a price list."""

ChargeCategory = Literal["Usage", "Purchase", "Tax", "Credit", "Adjustment"]

ORIGINS: Final = frozenset(get_args(Origin))
CHARGE_CATEGORIES: Final = frozenset(get_args(ChargeCategory))
AMOUNTS: Final = frozenset(
    ("billed_cost", "effective_cost", "list_cost", "contracted_cost", "consumed_quantity", "pricing_quantity")
)
"""The fields of a charge that are exact amounts, where they are there."""
MAX_TEXT: Final = 8192
"""Characters a text field may have; vendors' longest resource ids stay well below."""


class Charge(NamedTuple):
    """One row of a bill. Times are UTC and half-open; amounts are in `billing_currency`, major units.

    Amounts are in the one form that `ledger.money.amount` gives them, and what is absent is None, not "".

    `billed_cost` is None when the line has no known price: it is then counted as unpriced, never as free.
    `effective_cost` of None means "as billed". `list_cost` and `contracted_cost` are None where the vendor does
    not state them. `x_token_type` says input (uncached), cached_input, cache_write (with _1h and the like for
    longer keeping) or output, in these words for every vendor. `extra` keeps what has no field of its own: FOCUS
    columns by their PascalCase names and vendors' `x_` columns, as JSON values without floats.
    """

    charge_period_start: datetime
    charge_period_end: datetime
    billing_currency: str
    billed_cost: Decimal | None
    x_origin: Origin
    service_name: str
    service_provider_name: str
    charge_category: ChargeCategory = "Usage"
    charge_class: str | None = None
    charge_frequency: str | None = None
    charge_description: str | None = None
    service_category: str | None = None
    billing_account_id: str | None = None
    sub_account_id: str | None = None
    sub_account_name: str | None = None
    region_id: str | None = None
    resource_id: str | None = None
    resource_name: str | None = None
    sku_id: str | None = None
    x_model: str | None = None
    x_token_type: str | None = None
    consumed_quantity: Decimal | None = None
    consumed_unit: str | None = None
    pricing_quantity: Decimal | None = None
    pricing_unit: str | None = None
    effective_cost: Decimal | None = None
    list_cost: Decimal | None = None
    contracted_cost: Decimal | None = None
    tags: Mapping[str, str] | None = None
    extra: Mapping[str, object] | None = None


CHECKED: Final = ("x_origin", "charge_category", "service_name", "service_provider_name")
"""The fields that `check_words` looks at, in its order."""


def check(charge: Charge) -> None:
    """Raise InvalidCharge unless `charge` says what every charge must."""
    check_words(charge.x_origin, charge.charge_category, charge.service_name, charge.service_provider_name)


def check_words(origin: str, category: str, service: str, provider: str) -> None:
    """As `check`, of a charge's words alone."""
    if origin not in ORIGINS:
        raise InvalidCharge(f"unknown origin {origin!r}")
    if category not in CHARGE_CATEGORIES:
        raise InvalidCharge(f"unknown charge category {category!r}")
    if not service or not provider:
        raise InvalidCharge("a charge needs a service name and the name of who provides it")


def check_period(since: datetime, until: datetime, start: datetime, end: datetime) -> None:
    """Raise InvalidCharge unless a charge of [since, until) may be stored in the window [start, end)."""
    if since.utcoffset() != timedelta(0) or until.utcoffset() != timedelta(0):
        raise InvalidCharge(f"the charge period {since} to {until} is not in UTC")
    if not start <= since < end:
        raise InvalidCharge(f"a charge of {since:%Y-%m-%dT%H:%M:%SZ} lies outside the window asked for")
    if until <= since:
        raise InvalidCharge(f"a charge period ends ({until}) before it starts ({since})")
