"""Which charge each cost row is, and which token counts belong to which row."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from ledger.charge import Charge, ChargeCategory
from ledger.money import EXACT, amount
from ledger.window import DAY
from reconciler.connectors.openai.lineitem import LineItem
from reconciler.connectors.openai.report import CostRow

USAGE_COUNTS: Final = {
    "input": "input",
    "cached_input": "input_cached",
    "cache_write": "input_cache_write",
    "output": "output",
}
"""How the counts of a token type begin in usage rows."""
UNITS: Final = {
    "tokens": ("Tokens", 1),
    "1000_tokens": ("Tokens", 1000),
    "duration_seconds": ("Seconds", 1),
    "duration_minutes": ("Minutes", 1),
    "duration_hours": ("Hours", 1),
    "gibibyte_hours": ("GiB-Hours", 1),
    "images": ("Images", 1),
    "characters": ("Characters", 1),
}
"""The FOCUS unit, and how many of it one of OpenAI's units is."""
SERVICE_TIERS: Final = ("priority", "flex", "batch", "scale")
TAX: Final = re.compile(r"\b(?:tax|taxes|vat|gst|hst|pst|qst)\b", re.IGNORECASE)
CREDIT: Final = re.compile(r"\b(?:credits?|grants?|promo|promotions?|promotional|vouchers?|coupons?)\b", re.IGNORECASE)

Used = tuple[datetime, str | None, str | None]
"""Whose usage it is: the day, the project and the model."""


class Line(NamedTuple):
    """A cost row with its day and what its line item says."""

    day: datetime
    row: CostRow
    item: LineItem

    @property
    def category(self) -> ChargeCategory:
        """Tax or Credit where the text says so and no tokens are billed; else Usage, whatever the sign."""
        text = (self.row.line_item or "").replace("_", " ")
        if self.item.token_type is None and TAX.search(text):
            return "Tax"
        if self.item.token_type is None and self.row.amount.value < 0 and CREDIT.search(text):
            return "Credit"
        return "Usage"

    @property
    def consumed(self) -> tuple[Decimal | None, str | None]:
        """Quantity and FOCUS unit, by the row alone; a quantity without a unit says nothing.

        Tokens have their unit before they have a count: a count that comes late must not make another line.
        """
        unit, factor = UNITS.get(self.row.quantity_unit or "", (self.row.quantity_unit or None, 1))
        if self.row.quantity is None or unit is None:
            return None, unit or ("Tokens" if self.item.token_type else None)
        return amount(EXACT.multiply(self.row.quantity, Decimal(factor))), unit

    @property
    def used(self) -> Used:
        return self.day, self.row.project_id, self.item.model


def unmeasured(lines: Sequence[Line]) -> list[int]:
    """Places of the token lines that say no quantity, and that usage can therefore tell it for.

    A line qualifies if it alone bills its token type for its day, project and model, or if it shares that with
    lines of other modalities only: where several could claim the same tokens, none gets them.
    """
    groups: dict[object, list[int]] = defaultdict(list)
    for place, line in enumerate(lines):
        if line.item.model and line.item.token_type:
            groups[line.used, line.item.token_type].append(place)
    apart = (places for places in groups.values() if _apart([lines[place].item.modality for place in places]))
    return [place for places in apart for place in places if lines[place].consumed[0] is None]


def _apart(modalities: Sequence[str | None]) -> bool:
    return len(modalities) == 1 or (None not in modalities and len(set(modalities)) == len(modalities))


def tokens(item: LineItem, counts: Mapping[str, int]) -> int | None:
    """How many tokens of `item`'s type a usage row counts; None where it does not tell.

    `input_tokens` holds cached tokens and cache writes, too; its parts by modality hold uncached tokens only.
    """
    if item.token_type == "input" and not item.modality:
        others = counts.get("input_cached_tokens", 0) + counts.get("input_cache_write_tokens", 0)
        rest = counts["input_tokens"] - others if "input_tokens" in counts else None
        return counts.get("input_uncached_tokens", rest)
    name = USAGE_COUNTS.get(item.token_type or "")
    return counts.get(f"{name}_{item.modality}_tokens" if item.modality else f"{name}_tokens")


def charge(line: Line, counted: int | None, names: Mapping[str, str]) -> Charge:
    """The charge that `line` is. `counted` are its tokens by usage, `names` those of the projects by id."""
    row, item = line.row, line.item
    quantity, unit = line.consumed
    return Charge(
        charge_period_start=line.day,
        charge_period_end=line.day + DAY,
        billing_currency=row.amount.currency,
        billed_cost=row.amount.value,
        x_origin="api",
        service_name="OpenAI API",
        service_provider_name="OpenAI",
        charge_category=line.category,
        charge_description=row.line_item,
        service_category="AI and Machine Learning",
        billing_account_id=row.organization_id,
        sub_account_id=row.project_id,
        sub_account_name=names.get(row.project_id, row.project_id) if row.project_id else None,
        sku_id=row.line_item,
        x_model=item.model,
        x_token_type=item.token_type,
        consumed_quantity=quantity if counted is None else Decimal(counted),
        consumed_unit=unit,
        extra=_extra(item, counted) or None,
    )


def _extra(item: LineItem, counted: int | None) -> dict[str, str]:
    tier = (item.channel or "").lower() in SERVICE_TIERS
    found = {
        "x_modality": item.modality,
        "x_service_tier" if tier else "x_channel": item.channel,
        "x_details": ", ".join(item.details),
        "x_quantity_source": None if counted is None else "usage",
    }
    return {name: value for name, value in found.items() if value}
