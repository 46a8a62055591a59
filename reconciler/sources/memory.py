"""Resources held in memory: a whole source without files or a cluster, for tests and for embedding."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from reconciler.sources.base import Event, Key, Resource, SecretMissing


class MemorySource:
    """A source whose resources and Secrets are put, changed and removed by calls. For one event loop."""

    def __init__(self) -> None:
        self.resources: dict[Key, Resource] = {}
        self.secrets: dict[tuple[str, str], Mapping[str, str]] = {}
        self.statuses: dict[Key, Mapping[str, Any]] = {}
        self.events: list[tuple[Key, Event]] = []
        self.held_back: set[str] = set()
        self._changed: asyncio.Queue[Key] = asyncio.Queue()

    def put(self, resource: Resource) -> None:
        """Add or replace a resource."""
        self.resources[resource.key] = resource
        self._changed.put_nowait(resource.key)

    def remove(self, key: Key) -> None:
        """Take a resource away."""
        self.resources.pop(key, None)
        self._changed.put_nowait(key)

    async def changes(self) -> AsyncIterator[Key]:
        for key in list(self.resources):
            yield key
        while True:
            yield await self._changed.get()

    async def get(self, key: Key) -> Resource | None:
        return self.resources.get(key)

    def vendor(self, key: Key) -> None:
        """Not remembered: to look is cheap."""

    def unreadable(self, place: str | None) -> bool:
        return place in self.held_back

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, str]:
        if (namespace, name) not in self.secrets:
            raise SecretMissing(f"there is no Secret {name} in namespace {namespace}")
        return self.secrets[namespace, name]

    async def write_status(self, key: Key, status: Mapping[str, Any]) -> None:
        self.statuses[key] = status

    async def record_event(self, key: Key, event: Event) -> None:
        self.events.append((key, event))

    async def release(self, key: Key) -> None:
        self.resources.pop(key, None)
