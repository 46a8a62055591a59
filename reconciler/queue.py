"""The work queue between a source and the reconcile functions: keys, not events.

A key is worked on by one worker at a time; one that is added while it is being worked on comes again after.
Failures come back after a delay that doubles. Nothing here is durable and nothing needs to be: after a restart
the source names every key again, and what is due is decided from the database.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from datetime import timedelta
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_RETRY: Final = timedelta(milliseconds=750)
LONGEST_RETRY: Final = timedelta(minutes=15)


class WorkQueue(Generic[K]):
    """Keys that wait, are being worked on, or come back later. For one event loop."""

    def __init__(self, first_retry: timedelta = FIRST_RETRY, longest_retry: timedelta = LONGEST_RETRY) -> None:
        self._waiting: deque[K] = deque()
        self._queued: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._later: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._first, self._longest = first_retry, longest_retry
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Keys that wait or are being worked on; those that come back later do not count."""
        return len(self._queued) + len(self._working)

    @property
    def waiting(self) -> int:
        """Keys that wait for their turn."""
        return len(self._queued)

    @property
    def working(self) -> int:
        """Keys that are being worked on."""
        return len(self._working)

    @property
    def later(self) -> int:
        """Keys that come back at a later time."""
        return len(self._later)

    def add(self, key: K) -> None:
        """Have `key` worked on soon. Adding one that waits already changes nothing."""
        self._cancel_later(key)
        if key in self._working:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._waiting.append(key)
            self._changed.set()

    def add_after(self, key: K, wait: timedelta) -> None:
        """Have `key` worked on after `wait`, unless it is added sooner."""
        self._cancel_later(key)
        seconds = max(0.0, wait.total_seconds())
        self._later[key] = asyncio.get_running_loop().call_later(seconds, self._come_back, key)

    async def get(self) -> K:
        """The next key; the caller says `done` when it has been worked on."""
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        key = self._waiting.popleft()
        self._queued.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """`key` has been worked on; if it was added meanwhile it waits again."""
        self._working.discard(key)
        self._changed.set()
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def succeeded(self, key: K) -> None:
        """Forget earlier failures of `key`."""
        self._failures.pop(key, None)

    def failed(self, key: K, at_least: timedelta | None = None) -> timedelta:
        """Have `key` come back after its next delay, or `at_least`; returns the delay chosen."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        wait: timedelta = min(self._first * 2 ** min(failures, 20), self._longest)
        if at_least is not None:
            wait = max(wait, at_least)
        if key not in self._again:
            self.add_after(key, wait)
        return wait

    async def idle(self) -> None:
        """Return once nothing waits and nothing is being worked on."""
        while len(self):
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        """Let go of everything that would come back later."""
        for key in list(self._later):
            self._cancel_later(key)

    def _come_back(self, key: K) -> None:
        self._later.pop(key, None)
        self.add(key)

    def _cancel_later(self, key: K) -> None:
        handle = self._later.pop(key, None)
        if handle is not None:
            handle.cancel()
