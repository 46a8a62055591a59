"""How many providers of one vendor are synced at the same time, so that one vendor's many accounts, or its slowness,
do not keep every worker.

Who finds no place does not wait for one: its key is kept, and named again when a place is free.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final

from reconciler.sources.base import Key

MOST: Final = 4


class Desks:
    """Places by vendor. `wake` is told the key whose turn it is; for one event loop.

    A place is kept for a key that was told, until the key takes it or is `done` without it.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._busy: Counter[str] = Counter()
        self._called: dict[Key, str] = {}
        self._waiting: defaultdict[str, dict[Key, None]] = defaultdict(dict)
        self.wake: Callable[[Key], None] = lambda _key: None

    def has_place(self, vendor: str, key: Key) -> bool:
        """Whether there is a place; where there is none, `key` is named when there is one."""
        if self._called.get(key) == vendor or self._busy[vendor] < self._most:
            return True
        self._waiting[vendor].setdefault(key)
        return False

    def take(self, vendor: str, key: Key) -> bool:
        """Take a place, if there is one; otherwise as `has_place`."""
        if not self.has_place(vendor, key):
            return False
        self._waiting[vendor].pop(key, None)
        if self._called.get(key) == vendor:
            del self._called[key]
        else:
            self._busy[vendor] += 1
        return True

    def leave(self, vendor: str) -> None:
        """Give a place back; it goes to whoever has waited longest."""
        self._busy[vendor] -= 1
        waiting = self._waiting[vendor]
        if waiting:
            key = next(iter(waiting))
            del waiting[key]
            self._busy[vendor] += 1
            self._called[key] = vendor
            self.wake(key)

    def done(self, key: Key) -> None:
        """The key has been looked at: a place that was kept for it and that it had no use for is another's."""
        vendor = self._called.pop(key, None)
        if vendor is not None:
            self.leave(vendor)
