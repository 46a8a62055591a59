"""What a status says while the first sync is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.sources.base import Key
from reconciler.sources.memory import MemorySource
from tests.integration.reconciler.conftest import PATIENCE, Plant


class Recorded(MemorySource):
    """Keeps every status that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Mapping[str, Any]] = []

    async def write_status(self, key: Key, status: Mapping[str, Any]) -> None:
        self.written.append(status)
        await super().write_status(key, status)

    @property
    def told(self) -> list[list[tuple[str, str]]]:
        """Type and status of the conditions of each."""
        return [[(c["type"], c["status"]) for c in status["conditions"]] for status in self.written]


def _recorded(plant: Plant, patience: timedelta) -> tuple[Plant, Recorded]:
    source = Recorded()
    source.secrets.update(plant.source.secrets)
    return replace(plant, source=source, patience=patience), source


async def test_a_first_sync_that_takes_its_time_is_shown(plant: Plant) -> None:
    """While the vendor is waited for, Ready is Unknown and Reconciling True; then one status says how it went."""
    plant, source = _recorded(plant, timedelta())
    plant.books.pause = asyncio.Event()
    key = plant.put()
    async with plant.running():
        await plant.until_ready(key, ("Unknown", "Progressing"))
        plant.books.pause.set()
        await plant.until_ready(key, ("True", "Succeeded"))

    assert source.told == [[("Ready", "Unknown"), ("Reconciling", "True")], [("Ready", "True")]]


async def test_a_first_sync_that_is_quick_is_shown_once(plant: Plant) -> None:
    """One that ends before anybody would look goes straight to Ready, with a single write."""
    plant, source = _recorded(plant, timedelta(seconds=PATIENCE))
    key = plant.put()

    await plant.settle(key)

    assert source.told == [[("Ready", "True")]]


async def test_all_who_wait_for_a_place_have_their_turn(plant: Plant) -> None:
    """Providers that are not due pass on the place that they waited for: none is forgotten behind another."""
    plant.places = 1
    slow, *others = (plant.put(name) for name in ("slow", "b", "c", "d"))
    await plant.settle()
    plant.books.pause = asyncio.Event()
    plant.annotate(slow, requested_at="now")
    async with plant.running():
        async with asyncio.timeout(PATIENCE):
            await plant.books.paused.wait()
        stale = '{"observedGeneration": 1, "conditions": []}'
        await plant.rows("update resource set status = cast(:s as jsonb) where namespace = :ns returning 1", s=stale)
        plant.source.statuses.clear()
        for key in others:
            plant.source.put(plant.source.resources[key])
        plant.books.pause.set()
        for key in others:
            await plant.until_ready(key, ("True", "Succeeded"))
