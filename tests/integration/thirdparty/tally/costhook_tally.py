"""Tally: a vendor that charges the same every day. It is no part of Costhook and knows only what third parties may."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from ledger.charge import Charge
from ledger.money import amount
from ledger.window import DAY, Window
from reconciler.connectors.base import Account, Connector, Settings, Traits


class TallySettings(Settings):
    """What users write into spec.settings."""

    per_day: str = Field(alias="perDay", description="What a day costs.", pattern=r"^[0-9]+(\.[0-9]+)?$")
    currency: str = Field(default="USD", description="ISO 4217 code.", max_length=3)


class Tally(Connector[TallySettings]):
    """Counts days."""

    Settings = TallySettings
    traits: ClassVar[Traits] = Traits(
        type="tally",
        title="Tally",
        origin="estimate",
        gives="The same for every day.",
        grain="Day",
        reach=None,
        settling=timedelta(0),
        moving=timedelta(0),
    )

    async def check(self) -> Account:
        return Account(id="tally-1")

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        yield [
            Charge(
                charge_period_start=day.start,
                charge_period_end=day.start + DAY,
                billing_currency=self.settings.currency,
                billed_cost=amount(self.settings.per_day),
                x_origin="estimate",
                service_name="Days",
                service_provider_name="Tally",
            )
            for day in window.span.pieces()
        ]
