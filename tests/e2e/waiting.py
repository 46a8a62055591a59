"""Waiting for other processes, which have no event to wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 30.0
_TICK = threading.Event()


def until(
    reached: Callable[[], object],
    complaint: Callable[[], str] = str,
    seconds: float = PATIENCE,
    every: float = 0.05,
) -> None:
    """Return once `reached`, asked so often, is true. Fails with `complaint` when it is not within `seconds`."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, complaint()
        _TICK.wait(every)


def pause() -> None:
    """Let other processes run for a moment."""
    _TICK.wait(0.05)
