"""What Mistral answers to /usage for a month, flattened to lines, and the price of each.

The specification (mistralai/platform-docs-public, public/openapi.yaml, August 2026) names the categories and the price
list and leaves the rows open; their fields are those that others have seen. A row's price is the one whose event type,
metric, group, zone and tier agree with what the row says of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from ledger.money import currency
from reconciler.connectors.reading import Answer, Number

Code = Annotated[str, AfterValidator(currency)]
Groups = dict[str, list["Row"]]
VENDORS: Final = ("event_type", "api_zone", "service_tier")
"""What a row may leave out; the price then has to be the same for all that it could be."""


def _day(value: object) -> date:
    """The UTC day of `2026-03-02`, also where a time stands behind it."""
    if not isinstance(value, str):
        raise ValueError("not a date")
    return date.fromisoformat(value[:10])


class Row(Answer):
    """How much of something was used on a day: `value`, of which `value_paid` is not covered by the plan."""

    timestamp: Annotated[date, BeforeValidator(_day)]
    value: Number
    value_paid: Number | None = None
    event_type: str | None = None
    billing_metric: str | None = None
    billing_group: str | None = None
    billing_display_name: str | None = None
    api_zone: str | None = None
    service_tier: str | None = None


class Models(Answer):
    """Rows by model and by group (input, output, ...)."""

    models: dict[str, Groups]


class Libraries(Answer):
    """The categories of libraries."""

    pages: Models
    tokens: Models
    audio_seconds: Models


class FineTuning(Answer):
    """Training by model and group, and how much is stored, which is not told by day."""

    training: dict[str, Groups]
    storage: dict[str, Number]


class VibeCode(Answer):
    """The categories of Vibe Code."""

    completion: Models
    ocr: Models
    connectors: Models
    audio: Models
    audio_characters: Models


class PriceRow(Answer):
    """The price of one unit; an event type of None stands for any."""

    billing_metric: str
    billing_group: str
    price: Number
    event_type: str | None = None
    api_zone: str | None = None
    service_tier: str | None = None


class Usage(Answer):
    """A month of an organisation or a workspace. Without a currency or a price list, everything is unpriced."""

    completion: Models
    ocr: Models
    connectors: Models
    audio: Models
    libraries_api: Libraries
    fine_tuning: FineTuning
    chat: Models | None = None
    audio_characters: Models | None = None
    vibe_code: VibeCode | None = None
    start_date: Annotated[date, BeforeValidator(_day)]
    currency: Code | None = None
    prices: list[PriceRow] | None = None

    def lines(self) -> Iterator[Line]:
        """Every row of every category."""
        for category, models in self._categories():
            for model, groups in models.items():
                for group, rows in groups.items():
                    yield from (Line(category, model, group, row) for row in rows)

    def _categories(self) -> Iterator[tuple[str, Mapping[str, Groups]]]:
        for name in ("completion", "chat", "ocr", "audio", "audio_characters", "connectors"):
            models = getattr(self, name)
            if models is not None:
                yield name, models.models
        yield from _within("libraries_api", self.libraries_api)
        yield "fine_tuning/training", self.fine_tuning.training
        if self.vibe_code is not None:
            yield from _within("vibe_code", self.vibe_code)


def _within(name: str, block: Libraries | VibeCode) -> Iterator[tuple[str, Mapping[str, Groups]]]:
    for part in type(block).model_fields:
        yield f"{name}/{part}", getattr(block, part).models


@dataclass(frozen=True, slots=True)
class Line:
    """A row and where it stood."""

    category: str
    model_key: str
    group_key: str
    row: Row

    @property
    def model(self) -> str:
        """The model as people name it: what stands before `::` is the name that was asked for."""
        return self.row.billing_display_name or self.model_key.partition("::")[0]

    @property
    def metric(self) -> str:
        """What is billed: the model behind the name."""
        return self.row.billing_metric or self.model_key.rpartition("::")[2]

    @property
    def group(self) -> str:
        return self.row.billing_group or self.group_key

    @property
    def sku(self) -> str:
        """Metric and group, with zone and tier where the row says them."""
        told = (self.metric, self.group, self.row.api_zone, self.row.service_tier)
        return "/".join(part for part in told if part)

    @property
    def paid(self) -> Decimal:
        """The quantity that is charged for."""
        return self.row.value if self.row.value_paid is None else self.row.value_paid

    @property
    def identity(self) -> tuple[object, ...]:
        """All but the quantities: lines that agree in it are about the same thing."""
        row = self.row
        return (self.category, self.model_key, self.sku, self.model, row.event_type, row.timestamp)


def price_of(line: Line, prices: Sequence[PriceRow]) -> Decimal | None:
    """The price of one unit. None if there is none, or if several could be meant that differ: never a guess."""
    found = {price.price for price in prices if _meant(price, line)}
    return found.pop() if len(found) == 1 else None


def _meant(price: PriceRow, line: Line) -> bool:
    if (price.billing_metric, price.billing_group) != (line.metric, line.group):
        return False
    pairs = ((getattr(price, name), getattr(line.row, name)) for name in VENDORS)
    return all(asked is None or told is None or asked == told for asked, told in pairs)
