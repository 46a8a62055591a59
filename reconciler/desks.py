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
    """Places by vendor. `wake` is told the key whose turn it is; for one event loop."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()
        self._waiting: defaultdict[str, dict[Key, None]] = defaultdict(dict)
        self.wake: Callable[[Key], None] = lambda _key: None

    def take(self, vendor: str, key: Key) -> bool:
        """Take a place; where there is none, False, and `key` is named when there is one."""
        self._waiting[vendor].pop(key, None)
        if self._taken[vendor] >= self._most:
            self._waiting[vendor][key] = None
            return False
        self._taken[vendor] += 1
        return True

    def leave(self, vendor: str) -> None:
        """Give a place back, to whoever has waited longest."""
        self._taken[vendor] -= 1
        waiting = self._waiting[vendor]
        if waiting:
            key = next(iter(waiting))
            del waiting[key]
            self.wake(key)
