"""When syncs come due: at fixed times of each interval, and every provider has its own.

A thousand providers that were applied at once, or that all came due while nothing ran, are so back in step with
themselves and not with one another after a single sync.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SOONEST: Final = 0.1
"""The part of an interval that passes at least between a sync and the next one that comes due."""


def phase(namespace: str, name: str) -> float:
    """The part of each interval, from 0 up to 1, after which a provider comes due: always the same for one name."""
    digest = blake2b(f"{namespace}/{name}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def next_due(now: datetime, interval: timedelta, phase: float) -> datetime:
    """The first time of the provider's own that is not too soon: 0.1 to 1.1 intervals from now."""
    earliest = now + SOONEST * interval
    gone = (earliest - EPOCH - phase * interval) % interval
    return earliest + (interval - gone if gone else timedelta())
