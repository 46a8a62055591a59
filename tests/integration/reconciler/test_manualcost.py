"""ManualCost through the whole engine: entries on the calendar, edits, and new periods."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tests.integration.reconciler.conftest import Plant

RUNS = "select trigger, outcome from sync_run where namespace = :ns order by id"


async def test_manual_costs_are_laid_out_and_follow_edits(plant: Plant) -> None:
    """Recurring entries up to the end of their period, to the cent; what an edit takes away leaves the ledger."""
    seat = {"name": "seat", "serviceName": "Seats", "amount": "45.00", "start": "2026-10-01", "recurrence": "Monthly"}
    once = {"name": "domain", "serviceName": "Domains", "amount": "12.00", "start": "2026-03-05"}
    key = plant.put("subs", kind="ManualCost", currency="EUR", entries=[{**seat, "spread": "Daily"}, once])
    await plant.settle()
    assert plant.ready(key) == ("True", "Succeeded")
    assert await plant.total("subs") == Decimal("102.00")
    assert await plant.rows("select count(*) from charge where namespace = :ns") == [(62,)]
    assert plant.status(key)["monthToDate"] == [{"amount": "31.5", "currency": "EUR"}]

    plant.put("subs", kind="ManualCost", currency="EUR", entries=[{**seat, "amount": "50.00"}])
    await plant.settle(key)

    assert await plant.total("subs") == Decimal(100)


async def test_manual_costs_roll_over_by_themselves(plant: Plant) -> None:
    """On the first day of a new period its amount is there."""
    seat = {"name": "seat", "serviceName": "Seats", "amount": "10", "start": "2026-11-01", "recurrence": "Monthly"}
    plant.put("subs", kind="ManualCost", currency="USD", entries=[seat])
    await plant.settle()
    plant.clock.now = datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)

    async with plant.running():
        await plant.until(RUNS, [("First", "Succeeded"), ("Schedule", "Succeeded")])

    assert await plant.total("subs") == 20
