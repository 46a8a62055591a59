"""What a source that others write to, and that can be away, does to the engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from reconciler.errors import RetryLater
from reconciler.sources.base import Key, Resource
from reconciler.sources.memory import MemorySource
from tests.integration.reconciler.conftest import Plant

READY = ("True", "Succeeded")


class Shaky(MemorySource):
    """A source that cannot be reached when it is first asked."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 1

    async def get(self, key: Key) -> Resource | None:
        if self.refusals:
            self.refusals -= 1
            raise RetryLater("the cluster is away")
        return await super().get(key)


async def test_a_status_that_somebody_changed_is_put_right(plant: Plant) -> None:
    """Where the source shows another status than was written, the true one is written again, without a sync."""
    key = plant.put()
    await plant.settle()
    written, read = plant.status(key), list(plant.books.read)
    changed = {**written, "completeThrough": "1999-01-01", "monthToDate": [{"amount": "1", "currency": "XXX"}]}
    plant.source.statuses.clear()

    async with plant.running():
        plant.source.put(replace(plant.source.resources[key], status=changed))
        await plant.until_ready(key, READY)

    assert plant.status(key) == written
    assert plant.books.read == read


async def test_a_new_object_of_an_old_name_starts_afresh(plant: Plant) -> None:
    """An object whose source shows no conditions yet is synced, whatever the ledger remembers of its name."""
    key = plant.put()
    await plant.settle()
    plant.source.statuses.clear()

    async with plant.running():
        plant.source.put(replace(plant.source.resources[key], uid="another", status={"observedGeneration": -1}))
        await plant.until_ready(key, READY)

    assert [
        outcome for _, outcome in await plant.rows("select trigger, outcome from sync_run where namespace = :ns")
    ] == [
        "Succeeded",
        "Succeeded",
    ]


async def test_a_secret_that_comes_later_is_found(plant: Plant) -> None:
    """A Provider that was applied before its Secret becomes Ready once the Secret is there, with no other change."""
    held = plant.source.secrets.pop((plant.namespace, "books"))

    async with plant.running():
        key = plant.put()
        await plant.until_ready(key, ("False", "SecretNotFound"))
        plant.source.secrets[plant.namespace, "books"] = held
        await plant.until_ready(key, READY)


async def test_a_source_that_is_away_is_asked_again(plant: Plant) -> None:
    """A resource that could not be read is read again later."""
    shaky = Shaky()
    shaky.secrets = plant.source.secrets
    away = replace(plant, source=shaky)

    async with away.running():
        await away.until_ready(away.put(), READY)

    assert shaky.refusals == 0


async def test_the_status_sums_up_the_month_in_one_text(plant: Plant) -> None:
    """The month to date is there for tables, too."""
    key = plant.put()
    plant.books.bills = {plant.clock().date(): ["1.50", "2"]}

    await plant.settle()

    assert plant.status(key)["spend"] == "3.5 USD"


async def test_one_vendor_does_not_keep_every_worker(plant: Plant) -> None:
    """While a slow vendor's providers fill their places, another kind is reconciled; the waiting ones come after."""
    plant.books.pause = asyncio.Event()
    names = [f"account-{number}" for number in range(6)]

    async with replace(plant, places=2).running():
        slow = [plant.put(name) for name in names]
        await plant.books.paused.wait()
        entry = {"name": "a", "serviceName": "A", "amount": "1", "start": "2026-11-01"}
        other = plant.put("costs", "ManualCost", currency="USD", entries=[entry])
        await plant.until_ready(other, READY)
        running = await plant.rows("select count(*) from sync_run where namespace = :ns and outcome = 'Running'")
        plant.books.pause.set()
        for key in slow:
            await plant.until_ready(key, READY)

    assert running == [(2,)]
