"""A month of Mistral's usage as charges: estimates by the price list in the answer, or by the Provider's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from ledger.charge import Charge
from ledger.money import EXACT, plain
from ledger.pricelist import Price, PriceList
from ledger.window import DAY, midnight, next_month
from reconciler.connectors.mistral.usage import Line, Row, Usage, price_of
from reconciler.connectors.pricing import Tariff
from reconciler.errors import RetryLater

SOURCE: Final = "Mistral's answer to /usage"
UNITS: Final = (
    ("tokens", "Tokens"),
    ("pages", "Pages"),
    ("ocr", "Pages"),
    ("audio_characters", "Characters"),
    ("audio", "Seconds"),
    ("connectors", "Calls"),
    ("gpu_hour", "GPU-Hours"),
    ("completion", "Tokens"),
    ("chat", "Tokens"),
    ("training", "Tokens"),
)
"""Units by a word of the event type, or else of the category; the first that is found."""
COMMON: Final[dict[str, Any]] = {
    "billing_currency": "USD",
    "billed_cost": None,
    "x_origin": "estimate",
    "service_name": "Mistral",
    "service_provider_name": "Mistral AI",
    "charge_frequency": "Usage-Based",
    "service_category": "AI and Machine Learning",
}
TOKEN_TYPES: Final = (("cache", "cached_input"), ("input", "input"), ("output", "output"))


@dataclass(frozen=True, slots=True)
class Workspace:
    """Whose usage it is; without an id, what belongs to none of the workspaces that were read."""

    id: str | None = None
    name: str | None = None


def tariff_of(own: Tariff, usage: Usage) -> Tariff:
    """The Provider's own prices, then those of the answer, whose date is the month's first day.

    A date that moves with every reading would make each reading a restatement.
    """
    if usage.currency is None or not usage.prices:
        return own
    skus = {line.sku: line for line in usage.lines()}
    prices = [
        Price(sku, unit_of(line), price, usage.currency)
        for sku, line in skus.items()
        if (price := price_of(line, usage.prices)) is not None
    ]
    return Tariff(own.vendor, (*own.lists, PriceList(own.vendor, usage.start_date, tuple(prices), SOURCE)))


def rest(whole: Usage, parts: Iterable[Usage]) -> Iterator[Line]:
    """What the organisation used beyond its workspaces. Raises RetryLater if they used more than the whole."""
    sums: dict[tuple[object, ...], tuple[Line, Decimal, Decimal]] = {}
    for sign, usage in ((1, whole), *((-1, part) for part in parts)):
        for line in usage.lines():
            _, value, paid = sums.get(line.identity, (line, Decimal(0), Decimal(0)))
            sums[line.identity] = (line, EXACT.fma(line.row.value, sign, value), EXACT.fma(line.paid, sign, paid))
    for line, value, paid in sums.values():
        if value < 0 or paid < 0:
            raise RetryLater("Mistral's usage moved while it was read, workspace by workspace.")
        if value or paid:
            row = line.row.model_copy(update={"value": value, "value_paid": paid})
            yield Line(line.category, line.model_key, line.group_key, row)


def common(start: datetime) -> Charge:
    """What all charges of a day say."""
    return Charge(charge_period_start=start, charge_period_end=start + DAY, **COMMON)


def charge(line: Line, tariff: Tariff, workspace: Workspace) -> Charge:
    """The charge that a line is."""
    unit, start = unit_of(line), midnight(line.row.timestamp)
    used = Charge(
        charge_period_start=start,
        charge_period_end=start + DAY,
        **COMMON,
        charge_description=f"{line.model}, {line.group} ({line.category})",
        sub_account_id=workspace.id,
        sub_account_name=workspace.name,
        region_id=line.row.api_zone,
        sku_id=line.sku,
        x_model=line.metric,
        x_token_type=_token_type(line, unit),
        consumed_quantity=line.row.value,
        consumed_unit=unit,
        extra=_extra(line),
    )
    return tariff.priced(used, line.paid)


def storage(usage: Usage, tariff: Tariff) -> Iterator[Charge]:
    """What fine-tuning stores, which is told by the month and in no unit: unpriced, unless the Provider prices it."""
    for name, value in usage.fine_tuning.storage.items():
        row = Row.model_validate({"timestamp": f"{usage.start_date}", "value": value})
        kept = charge(Line("fine_tuning/storage", name, "storage", row), tariff, Workspace())
        if value:
            yield kept._replace(charge_period_end=next_month(kept.charge_period_start))


def unit_of(line: Line) -> str:
    """The unit of a line's quantity. Prices are for one of it."""
    told = (line.row.event_type or "", line.category)
    return next((unit for text in told for word, unit in UNITS if word in text), "Units")


def _token_type(line: Line, unit: str) -> str | None:
    if unit != "Tokens":
        return None
    return next((type_ for word, type_ in TOKEN_TYPES if word in line.group.lower()), None)


def _extra(line: Line) -> Mapping[str, object]:
    included = EXACT.subtract(line.row.value, line.paid)
    columns = {
        "x_requested_model": line.model if line.model != line.metric else None,
        "x_category": line.category,
        "x_event_type": line.row.event_type,
        "x_service_tier": line.row.service_tier,
        "x_included_quantity": plain(included) if included else None,
    }
    return {name: value for name, value in columns.items() if value}
