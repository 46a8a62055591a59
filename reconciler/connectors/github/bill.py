"""Which charge each line of GitHub's reports is, and how AI credits are told by model without changing a sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Final

from ledger.charge import Charge
from ledger.money import EXACT, amount, plain
from ledger.window import DAY, midnight
from reconciler.connectors.github.report import CREDITS, CostCenter, CreditItem, Item, UsageItem, letters

AI: Final = "AI and Machine Learning"
TOOLS: Final = "Developer Tools"
SERVICES: Final = {
    "actions": ("GitHub Actions", TOOLS),
    "codespaces": ("GitHub Codespaces", TOOLS),
    "copilot": ("GitHub Copilot", AI),
    "gitlfs": ("Git LFS", "Storage"),
    "models": ("GitHub Models", AI),
    "packages": ("GitHub Packages", TOOLS),
    "spark": ("GitHub Spark", AI),
}
"""Service name and FOCUS category by a product's letters alone; others go by GitHub's own word."""


def charge(item: UsageItem, account: str, center: CostCenter | None) -> Charge:
    """The charge that `item` is, of the account that is read and of the cost centre that was asked for."""
    start = midnight(item.date)
    service, category = SERVICES.get(letters(item.product), (f"GitHub {item.product}", TOOLS))
    return Charge(
        charge_period_start=start,
        charge_period_end=start + DAY,
        billing_currency="USD",
        billed_cost=item.net_amount,
        x_origin="api",
        service_name=service,
        service_provider_name="GitHub",
        charge_frequency="Recurring" if item.unit == "User-Months" else "Usage-Based",
        charge_description=item.sku or None,
        service_category=category,
        billing_account_id=account,
        sub_account_id=item.organization_name or None,
        sub_account_name=item.organization_name or None,
        resource_id=item.repository_name or None,
        resource_name=item.repository_name or None,
        sku_id=item.sku or None,
        x_model=item.model,
        consumed_quantity=item.quantity,
        consumed_unit=item.unit,
        pricing_quantity=item.quantity,
        pricing_unit=item.unit,
        list_cost=item.gross_amount,
        extra=_extra(item, center) or None,
    )


def _extra(item: UsageItem, center: CostCenter | None) -> dict[str, str]:
    columns = {
        "ListUnitPrice": None if item.price_per_unit is None else plain(item.price_per_unit),
        "x_discount": plain(item.discount_amount) if item.discount_amount else None,
        "x_cost_center_id": center.id if center else None,
        "x_cost_center_name": center.name if center else None,
    }
    return {name: value for name, value in columns.items() if value}


def by_model(credited: Sequence[UsageItem], told: Sequence[CreditItem]) -> list[UsageItem]:
    """One day's lines of AI credits, told by model, with the same sums to the last digit.

    `credited` are the usage report's lines, which are what is billed; `told` what the credits' report says of the
    same day. What the two differ by is a line of its own, without a model.
    """
    told = [item for item in told if item.unit == CREDITS]
    if not told or not credited:
        return list(credited)
    first = credited[0]
    lines = [_line(first, item) for item in told]
    rest = first.model_copy(
        update={
            "quantity": _difference(credited, lines, lambda item: item.quantity),
            "gross_amount": _difference(credited, lines, lambda item: item.gross_amount),
            "discount_amount": _difference(credited, lines, lambda item: item.discount_amount),
            "net_amount": _difference(credited, lines, lambda item: item.net_amount),
            "repository_name": None,
        }
    )
    differs = rest.quantity or rest.gross_amount or rest.discount_amount or rest.net_amount
    return [*lines, rest] if differs else lines


def _line(first: UsageItem, item: CreditItem) -> UsageItem:
    shared = {name: getattr(item, name) for name in Item.model_fields}
    own = {"quantity": item.gross_quantity, "model": item.model or None, "repository_name": None}
    return first.model_copy(update={**shared, **own})


def _difference(
    whole: Iterable[UsageItem], parts: Iterable[UsageItem], figure: Callable[[UsageItem], Decimal]
) -> Decimal:
    left = Decimal(0)
    for item in whole:
        left = EXACT.add(left, figure(item))
    for item in parts:
        left = EXACT.subtract(left, figure(item))
    return amount(left)
