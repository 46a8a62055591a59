"""What holds when things go wrong: budgets, leases, cancellation, killed processes."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

from ledger import leases
from tests.integration.reconciler.conftest import PATIENCE, START, Plant, another

TODAY = START.date()
RUNS = "select trigger, outcome from sync_run where namespace = :ns order by id"


def _day(back: int) -> date:
    return TODAY - timedelta(days=back)


async def test_a_call_budget_holds(plant: Plant) -> None:
    """No more calls than declared on a day, counted over restarts; the next day it goes on."""
    plant.books.bills = {_day(1): ["1"], _day(30): ["30"]}
    key = plant.put(history="45d", callBudget={"perDay": 2})

    await plant.settle()
    await plant.settle()

    assert plant.ready(key) == ("False", "CallBudgetSpent")
    assert await plant.rows("select sum(calls)::int from vendor_call where namespace = :ns") == [(2,)]
    plant.clock.now += timedelta(days=1)
    plant.put(history="45d", callBudget={"perDay": 9})
    await plant.settle()
    assert plant.ready(key) == ("True", "Succeeded")
    assert await plant.total() == 31


async def test_a_status_that_nobody_lived_to_write_is_written_later(plant: Plant) -> None:
    """A process killed between the end of a sync and the writing of the status leaves no lie behind."""
    key = plant.put()
    await plant.settle()
    stale = (
        '{"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "False", "reason": "X", "message": "y"}]}'
    )
    await plant.rows("update resource set status = cast(:s as jsonb) where namespace = :ns returning 1", s=stale)
    plant.source.statuses.clear()

    async with plant.running():
        await plant.until_ready(key, ("True", "Succeeded"))

    assert len(await plant.rows(RUNS)) == 1


async def test_two_reconcilers_never_sync_one_provider_at_once(plant: Plant) -> None:
    """The lease decides: the second leaves it alone, and the books are asked once."""
    plant.books.bills = {_day(1): ["1"]}
    plant.books.pause = asyncio.Event()
    plant.put()
    first = asyncio.create_task(plant.settle())
    async with asyncio.timeout(PATIENCE):
        await plant.books.paused.wait()

    await another(plant).settle()
    assert len(plant.books.read) == 1
    plant.books.pause.set()
    await first

    assert await plant.rows(RUNS) == [("First", "Succeeded")]


async def test_a_lost_lease_stops_the_write(plant: Plant) -> None:
    """A process that was taken for dead and comes back writes nothing under its old lease."""
    plant.books.bills = {_day(1): ["1"]}
    plant.books.pause = asyncio.Event()
    key = plant.put()
    late = asyncio.create_task(plant.settle())
    async with asyncio.timeout(PATIENCE):
        await plant.books.paused.wait()
    await plant.rows("update lease set expires_at = clock_timestamp() where namespace = :ns returning 1")
    taken = await leases.take(plant.db, plant.namespace, key.name, "other", timedelta(minutes=1))
    assert taken is not None
    plant.books.pause.set()
    await late

    assert await plant.total() == 0
    assert plant.ready(key)[1] == "LeaseLost"


async def test_a_running_sync_can_be_canceled(plant: Plant) -> None:
    """It stops, says so, and nothing of the window it was in is stored."""
    plant.lease_ttl = timedelta(seconds=4)  # a wish to cancel is looked for four times in a lease's life
    plant.books.bills = {_day(n): ["1"] for n in range(5)}
    plant.books.pause = asyncio.Event()
    key = plant.put()
    run = asyncio.create_task(plant.settle())
    async with asyncio.timeout(PATIENCE):
        await plant.books.paused.wait()
    await plant.rows("update sync_run set cancel_requested = true where namespace = :ns returning 1")
    async with asyncio.timeout(PATIENCE):
        await run

    assert await plant.rows(RUNS) == [("First", "Canceled")]
    assert plant.ready(key) == ("False", "Canceled")
    assert await plant.total() == 0


async def test_stopping_in_mid_sync_leaves_no_half_window(plant: Plant) -> None:
    """The run is noted as canceled, the lease given back, and the next start does it."""
    plant.books.bills = {_day(n): ["1"] for n in range(5)}
    plant.books.pause = asyncio.Event()
    plant.put()
    async with plant.running(), asyncio.timeout(PATIENCE):
        await plant.books.paused.wait()
    assert await plant.rows(RUNS) == [("First", "Canceled")]
    assert await plant.total() == 0
    plant.books.pause = None

    async with plant.running():
        await plant.until(RUNS, [("First", "Canceled"), ("First", "Succeeded")])
    assert await plant.total() == 5


async def test_a_killed_run_is_noted_as_abandoned(plant: Plant) -> None:
    """A run that a dead process left open does not look as if it still ran."""
    plant.put()
    await plant.settle()
    await plant.rows(
        """insert into sync_run (namespace, provider, trigger, outcome, started_at, windows_total, windows_done,
               rows_read, rows_inserted, rows_changed, rows_removed, calls, bytes_read, cancel_requested)
           values (:ns, 'vendor', 'Manual', 'Running', :at, 0, 0, 0, 0, 0, 0, 0, 0, false) returning id""",
        at=START,
    )

    await plant.settle()

    assert [outcome for _, outcome in await plant.rows(RUNS)] == ["Succeeded", "Abandoned", "Succeeded"]
