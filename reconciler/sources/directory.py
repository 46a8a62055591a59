"""A folder of manifests as a source: the very files that kubectl applies, watched for edits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from reconciler.errors import NeedsPerson
from reconciler.kinds.catalogue import Kind, kinds
from reconciler.problems import Problem
from reconciler.sources import keyfiles
from reconciler.sources.base import Event, Key, Resource, SecretMissing
from reconciler.sources.folder import look
from reconciler.sources.state import State, changed, gone
from reconciler.sources.watching import edits

log = structlog.get_logger()

Sleep = Callable[[float], Awaitable[None]]

SETTLE: Final = 0.5
"""Seconds after which a resource that went is looked for again: editors empty a file before they write it."""


class DirectorySource:
    """Resources from the manifests below a folder. Statuses are kept for whoever asks; the files stay as they are.

    Use it as an async context manager; it watches in between. `sleep` waits before what went is believed to be gone.
    """

    def __init__(self, root: Path, known: Mapping[str, Kind] | None = None, *, sleep: Sleep = asyncio.sleep) -> None:
        self.root = root.resolve()
        self.statuses: dict[Key, Mapping[str, Any]] = {}
        self._kinds = kinds() if known is None else known
        self._sleep = sleep
        self._state = State()
        self._looking = asyncio.Lock()
        self._readers: set[asyncio.Queue[Key | None]] = set()
        self._stop = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Look once, having begun to watch. Raises NeedsPerson."""
        if not self.root.is_dir():
            raise NeedsPerson(f"there is no folder {self.root}; make it, or name another")
        self._watching = asyncio.create_task(self._watch(), name=f"watch {self.root.name}")
        await asyncio.sleep(0)  # from here on edits are noticed
        await self._take()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._watching is not None:
            await self._watching

    async def changes(self) -> AsyncGenerator[Key, None]:
        """Every key that exists, once; then each that changed, went, broke, or whose Secret changed."""
        news: asyncio.Queue[Key | None] = asyncio.Queue()
        self._readers.add(news)
        try:
            for key in self.keys():
                yield key
            while (changed_key := await news.get()) is not None:
                yield changed_key
            if self._watching is not None:
                await asyncio.shield(self._watching)  # raises what the watch ended with
        finally:
            self._readers.discard(news)

    def keys(self) -> list[Key]:
        """Every resource that the folder declares now, or declared when it was last good."""
        return sorted(self._state.held)

    async def get(self, key: Key) -> Resource | None:
        """The resource as it was last good; as it is written where it never was.

        Its generation is left to the ledger, whose count outlives this process.
        """
        held = self._state.held.get(key)
        if held is None:
            return None
        wrong = "; ".join(map(str, self.problems_of(key))) or None
        return replace(held.resource, generation=0, wrong=wrong)

    def problems(self) -> Mapping[str, Sequence[Problem]]:
        """What is wrong now, by file."""
        return self._state.problems

    def problems_of(self, key: Key) -> Sequence[Problem]:
        """What keeps the resource from being as its file now says; it is then as it was last good."""
        return self._state.problems_of(key)

    def vendor(self, key: Key) -> None:
        """Not remembered: to look is cheap."""

    def unreadable(self, place: str | None) -> bool:
        """Whether the file of `place` (`file:line`) is there but cannot be read whole now."""
        return place is not None and self._state.hides(place.rpartition(":")[0])

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, str]:
        """The values of a Secret manifest, and over them those of the files `secrets/NAME/KEY`, in any namespace."""
        secret = self._state.secrets.get(Key("Secret", namespace, name))
        files = await asyncio.to_thread(keyfiles.read, self.root, name)
        values = secret.values if secret is not None else None
        if values is None and not files:
            if secret is not None:
                raise SecretMissing(f"the Secret {name} at {secret.item.place()} cannot be read; see its problems")
            raise SecretMissing(
                f"no manifest declares the Secret {name} in namespace {namespace}, and there is no file "
                f"{keyfiles.FOLDER}/{name}/KEY beside the manifests"
            )
        return {**(values or {}), **files}

    async def write_status(self, key: Key, status: Mapping[str, Any]) -> None:
        """Keep the status; a folder shows it nowhere (readers find it in Postgres)."""
        self.statuses[key] = status

    async def record_event(self, key: Key, event: Event) -> None:
        """Tell the event in the log."""
        tell = log.warning if event.type == "Warning" else log.info
        tell(event.message, resource=str(key), reason=event.reason)

    async def release(self, key: Key) -> None:
        """Forget what was kept of a resource that went; its file is gone already."""
        self.statuses.pop(key, None)

    async def _watch(self) -> None:
        try:
            async for _ in edits(self.root, self._stop):
                await self._take()
        finally:
            self._tell([None])

    async def _take(self) -> None:
        """Look, and tell what changed. What went is looked for once more before it is believed."""
        async with self._looking:
            before, after = self._state, await self._look()
            if gone(before, after):
                await self._sleep(SETTLE)
                after = await self._look()
            self._state = after
        self._tell(sorted(changed(before, after)))

    async def _look(self) -> State:
        return await asyncio.to_thread(look, self.root, self._kinds, self._state)

    def _tell(self, keys: Iterable[Key | None]) -> None:
        for key in keys:
            for news in self._readers:
                news.put_nowait(key)
