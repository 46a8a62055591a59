"""How fast the charges of a window are taken in: what a sync costs when nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from time import process_time

import pytest

from ledger.charge import Charge
from ledger.intake import Intake
from ledger.window import Span, Window

pytestmark = pytest.mark.bench

ROWS = 300_000
BATCH = 2_000
FLOOR = 30_000
"""Rows a second of one core. Below it, finding a bill of a million rows unchanged takes more than half a minute."""


def batches() -> list[Sequence[Charge]]:
    """A month of charges of 25 projects, by the hour, in batches as a connector yields them."""
    start = datetime(2026, 9, 1, tzinfo=UTC)
    charges = [
        Charge(
            charge_period_start=start + timedelta(hours=number % 720),
            charge_period_end=start + timedelta(hours=number % 720 + 1),
            billing_currency="USD",
            billed_cost=Decimal(number) / 10_000,
            x_origin="api",
            service_name="Completions",
            service_provider_name="Vendor",
            sub_account_id=f"project-{number % 25}",
            sku_id=f"sku-{number // 18_000}",
            consumed_quantity=Decimal(number),
            consumed_unit="Tokens",
            tags={"environment": "production"},
        )
        for number in range(ROWS)
    ]
    return [charges[at : at + BATCH] for at in range(0, ROWS, BATCH)]


async def test_intake_finds_a_large_bill_unchanged_in_time() -> None:
    """Checking, hashing and keeping aside the rows of a window stays above the floor."""
    prepared = batches()

    async with Intake(Window(Span.of_days(date(2026, 9, 1), date(2026, 10, 1)))) as intake:
        before = process_time()
        for batch in prepared:
            intake.add(batch)
        rate = ROWS / (process_time() - before)

    print(f"\nintake: {rate:,.0f} rows a second of one core")  # noqa: T201  # the figure is what a benchmark is for
    assert sum(intake.rows) == ROWS
    assert rate > FLOOR
