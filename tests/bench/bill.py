"""A bill of any size: a month, or more, of hourly charges of an organisation, as a vendor with FOCUS data sends it.

Every row differs from all others. The dimensions of the daily rollup take 600 combinations a day, those of a team
with 25 projects, six models and four kinds of tokens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from ledger.charge import Charge
from ledger.money import amount
from ledger.window import Span, Window, midnight

FIRST: Final = date(2026, 9, 1)
BATCH: Final = 2_000

MODELS: Final = tuple(f"model-{number}" for number in range(6))
SERVICES: Final = ("Completions", "Embeddings", "Agents")
TOKENS: Final = ("input", "cached_input", "cache_write", "output")
PROJECTS: Final = tuple(f"proj_{number:04d}" for number in range(25))
REGIONS: Final = ("eu-west-1", "us-east-1", "us-west-2")
KEYS: Final = tuple(f"key_{number:06d}" for number in range(500))
TAGS: Final = tuple({"environment": "production", "team": f"team-{number % 7}"} for number in range(25))
SURCHARGE: Final = Decimal("0.01")

Restated = Callable[[int, datetime], bool]
"""Whether the row of a number, which starts at a time, costs more by now."""


@dataclass(frozen=True, slots=True)
class Bill:
    """`rows` charges, spread evenly and in order of time over `days` days from `first`."""

    rows: int
    first: date = FIRST
    days: int = 30

    @property
    def window(self) -> Window:
        return Window(Span.of_days(self.first, self.first + timedelta(days=self.days)))

    def charges(self, restated: Restated = lambda number, start: False) -> Iterator[Charge]:
        """The charges, made as they are asked for."""
        begin = midnight(self.first)
        hours = [begin + timedelta(hours=hour) for hour in range(24 * self.days + 1)]
        for number in range(self.rows):
            hour = number * 24 * self.days // self.rows
            yield _charge(number, hours[hour], hours[hour + 1], restated(number, hours[hour]))

    def batches(self, restated: Restated = lambda number, start: False) -> Iterator[list[Charge]]:
        """The charges in batches, as a connector yields them."""
        batch: list[Charge] = []
        for charge in self.charges(restated):
            batch.append(charge)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


async def ready(batches: Sequence[Sequence[Charge]]) -> AsyncIterator[Sequence[Charge]]:
    """Batches that lie ready, as an asynchronous iterator."""
    for batch in batches:
        yield batch


async def made(batches: Iterator[Sequence[Charge]]) -> AsyncIterator[Sequence[Charge]]:
    """Batches that are made as they are asked for, so that none is held."""
    for batch in batches:
        yield batch


def one_in_a_hundred(number: int, start: datetime) -> bool:
    """One row of a hundred, on every day."""
    return number % 100 == 37


def _charge(number: int, start: datetime, end: datetime, restated: bool) -> Charge:
    project, model, token = number % 25, number // 25 % 6, number // 150 % 4
    used = number % 9_973 * 131 + number % 17 + 1
    cost = amount(Decimal(used * (model + 1)).scaleb(-6) + Decimal(number).scaleb(-9))
    if restated:
        cost += SURCHARGE
    return Charge(
        charge_period_start=start,
        charge_period_end=end,
        billing_currency="USD",
        billed_cost=cost,
        x_origin="file",
        service_name=SERVICES[model % 3],
        service_provider_name="Vendor",
        charge_category="Usage",
        charge_frequency="Usage-Based",
        charge_description=_DESCRIPTIONS[model][token],
        service_category="AI and Machine Learning",
        billing_account_id="org-1234567890",
        sub_account_id=PROJECTS[project],
        sub_account_name=_NAMES[project],
        region_id=REGIONS[project % 3],
        resource_id=KEYS[number % 500],
        sku_id=_SKUS[model][token],
        x_model=MODELS[model],
        x_token_type=TOKENS[token],
        consumed_quantity=Decimal(used),
        consumed_unit="Tokens",
        effective_cost=cost,
        list_cost=cost,
        contracted_cost=cost,
        tags=TAGS[project],
    )


_NAMES: Final = tuple(f"Project {number}" for number in range(25))
_SKUS: Final = [[f"{model}-{token}" for token in TOKENS] for model in MODELS]
_DESCRIPTIONS: Final = [[f"{model}, {token} tokens" for token in TOKENS] for model in MODELS]
