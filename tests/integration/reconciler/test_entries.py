"""Figures entered by hand through the whole engine: they become charges at once, and what is missing is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from ledger import manual_entries
from ledger.entry import Key, figure
from ledger.manual_entries import Hand
from ledger.standing import Standing
from reconciler.feeding import as_it_was
from reconciler.sources.base import Key as ResourceKey
from reconciler.sources.base import Resource
from reconciler.status import Verdict
from tests.integration.reconciler.conftest import PATIENCE, START, Plant

RUNS = "select outcome, reason from sync_run where namespace = :ns order by id"


def put(plant: Plant, name: str = "groq", **manual: Any) -> ResourceKey:
    """Apply a Provider that takes entries."""
    key = ResourceKey("Provider", plant.namespace, name)
    spec = {"type": "manual", "manual": {"vendor": "groq", **manual}}
    plant.source.put(Resource(key, f"uid-{name}", 0, spec, place=f"{name}.yaml:1"))
    return key


def of(plant: Plant, month: int, service: str = "") -> Key:
    return Key(namespace=plant.namespace, provider="groq", month=date(2026, month, 1), service=service)


async def enter(plant: Plant, month: int, amount: str, service: str = "", currency: str = "USD") -> None:
    async with plant.db.transaction() as connection:
        hand = Hand("me", "local", plant.clock.now)
        await manual_entries.add(connection, of(plant, month, service), figure(amount, currency, None), hand)


async def edit(plant: Plant, month: int, change: Mapping[str, Any] | None) -> None:
    """Change a figure; None takes it back."""
    hand = Hand("me", "local", plant.clock.now)
    async with plant.db.transaction() as connection:
        if change is None:
            await manual_entries.delete(connection, of(plant, month), hand)
        else:
            await manual_entries.edit(connection, of(plant, month), change, hand)


async def test_a_month_that_is_missing_is_asked_for(plant: Plant) -> None:
    """The condition names the month, the page and the command; the sync itself went well."""
    key = put(plant)
    await plant.settle()

    assert plant.ready(key) == ("False", "AwaitingEntry")
    (ready, stalled) = plant.status(key)["conditions"]
    assert stalled["type"] == "Stalled"
    assert "2026-10 is missing" in ready["message"]
    assert "https://console.groq.com/settings/billing" in ready["message"]
    assert "costhook cost add groq --month 2026-10" in ready["message"]
    assert await plant.rows(RUNS) == [("Succeeded", "AwaitingEntry")]


async def test_entries_become_charges(plant: Plant) -> None:
    """Each entry is a charge of origin manual in its month; the Provider is Ready, complete through the last one."""
    key = put(plant)
    await plant.settle()
    await enter(plant, 9, "10.10")
    await enter(plant, 10, "0.0000000000000000000001")
    await enter(plant, 10, "2", "Batch")
    await plant.settle(key)

    assert plant.ready(key) == ("True", "Succeeded")
    assert plant.status(key)["completeThrough"] == "2026-10-31"
    charges = "select service_name, billed_cost, x_origin from charge where namespace = :ns order by billed_cost"
    assert await plant.rows(charges) == [
        ("GroqCloud", Decimal("0.0000000000000000000001"), "manual"),
        ("Batch", Decimal(2), "manual"),
        ("GroqCloud", Decimal("10.10"), "manual"),
    ]

    await plant.settle(key)
    assert await plant.rows("select count(*) from charge_history where namespace = :ns") == [(0,)]


async def test_changes_and_deletions_reach_the_ledger(plant: Plant) -> None:
    """An edited figure replaces the old one, one that is taken back leaves; complete is only what has no gap."""
    key = put(plant)
    await plant.settle()
    for month in (8, 9, 10):
        await enter(plant, month, "10")
    await plant.settle(key)
    await edit(plant, 10, {"amount": Decimal("12.5")})
    await plant.settle(key)
    assert await plant.total("groq") == Decimal("32.5")
    assert plant.status(key)["completeThrough"] == "2026-10-31"

    await edit(plant, 9, None)
    await plant.settle(key)

    assert await plant.total("groq") == Decimal("22.5")
    assert plant.status(key)["completeThrough"] == "2026-08-31"
    assert plant.ready(key) == ("False", "AwaitingEntry")
    assert "2026-09 is missing" in plant.status(key)["conditions"][0]["message"]


async def test_a_first_month_entered_by_mistake_leaves_no_gap(plant: Plant) -> None:
    """When the first entry is taken back, figures begin with the next one, and nothing before it is missed."""
    key = put(plant)
    await plant.settle()
    await enter(plant, 5, "99")
    await enter(plant, 10, "1")
    await plant.settle(key)
    assert plant.status(key)["completeThrough"] == "2026-05-31"

    await edit(plant, 5, None)
    await plant.settle(key)

    assert plant.ready(key) == ("True", "Succeeded")
    assert await plant.total("groq") == Decimal(1)


async def test_a_stated_first_month_is_waited_for(plant: Plant) -> None:
    """With `since`, months before the first entry are missed too, and nothing is complete without them."""
    key = put(plant, since="2026-09")
    await plant.settle()
    await enter(plant, 10, "1")
    await plant.settle(key)

    assert "2026-09 is missing" in plant.status(key)["conditions"][0]["message"]
    assert "completeThrough" not in plant.status(key)
    await enter(plant, 9, "2")
    await plant.settle(key)
    assert plant.status(key)["completeThrough"] == "2026-10-31"


def test_it_stays_so_when_nothing_is_due() -> None:
    """Looked at again without a sync, a Provider whose last sync ended with a wish still has it."""
    known = Standing("Succeeded", "AwaitingEntry", "2026-10 is missing", START, START, None, None, False, {}, 0)

    verdict = as_it_was(known, "all well", START).verdict

    assert verdict == Verdict("False", "AwaitingEntry", "2026-10 is missing", stalled=True)


async def test_an_entry_syncs_the_account_at_once(plant: Plant) -> None:
    """A running reconciler hears of an entry and of its taking back, and does not wait for the next sync."""
    key = put(plant)
    async with plant.running():
        await plant.until_ready(key, ("False", "AwaitingEntry"))
        await enter(plant, 10, "12.34")
        await plant.until_ready(key, ("True", "Succeeded"))
        assert await plant.total("groq") == Decimal("12.34")
        await edit(plant, 10, None)
        await plant.until_ready(key, ("False", "AwaitingEntry"))
        assert await plant.total("groq") == 0


async def test_the_current_month_is_complete_once_it_is_over(plant: Plant) -> None:
    """A figure entered before the month ends counts at once, and makes the month whole when it is over."""
    key = put(plant, since="2026-11")
    await plant.settle()
    await enter(plant, 11, "5")
    await plant.settle(key)
    assert plant.ready(key) == ("True", "Succeeded")
    assert "completeThrough" not in plant.status(key)

    plant.clock.now = datetime(2026, 12, 3, tzinfo=UTC)
    await plant.settle(key)

    assert plant.status(key)["completeThrough"] == "2026-11-30"


async def test_entries_and_resources_do_not_meet(plant: Plant) -> None:
    """A ManualCost and a Provider with entries each keep what is theirs."""
    seat = {"name": "seat", "serviceName": "Seats", "amount": "45.00", "start": "2026-10-01"}
    key, subs = put(plant), plant.put("subs", kind="ManualCost", currency="USD", entries=[seat])
    await plant.settle()
    await enter(plant, 10, "1")
    await plant.settle(key, subs)

    assert (await plant.total("subs"), await plant.total("groq")) == (Decimal(45), Decimal(1))
    async with asyncio.timeout(PATIENCE):
        await edit(plant, 10, None)
        await plant.settle(key, subs)
    assert (await plant.total("subs"), await plant.total("groq")) == (Decimal(45), Decimal(0))
