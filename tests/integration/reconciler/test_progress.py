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
