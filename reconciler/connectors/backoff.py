"""How long to wait before asking a vendor again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = timedelta(days=31)
"""A vendor's wish is cut at this; longer ones are mistakes."""


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The wait a vendor asks for: `retry-after-ms`, or `Retry-After` as seconds or as an HTTP date (RFC 9110,
    10.2.3). None where it asks for none, or for nothing that can be understood.
    """
    wished = _scaled(headers.get("retry-after-ms"), 0.001)
    if wished is None:
        wished = _scaled(headers.get("retry-after"), 1.0)
    return wished if wished is not None else _until(headers.get("retry-after"), now)


def delay(attempt: int, first: float, longest: float, jitter: float, asked: timedelta | None) -> float:
    """Seconds to wait after the `attempt`th failure (from 1): doubling from `first` up to `longest`, of which
    `jitter` (0 to 1) decides the upper half; never less than the vendor `asked` for.
    """
    backoff = min(longest, first * 2.0 ** min(attempt - 1, 30))
    if asked is not None:
        return asked.total_seconds() + jitter * first
    return backoff * (1 + jitter) / 2


def _scaled(text: str | None, unit: float) -> timedelta | None:
    try:
        seconds = float(text) * unit if text is not None else None
    except ValueError:
        return None
    if seconds is None or not 0 <= seconds < float("inf"):
        return None
    return timedelta(seconds=min(seconds, LONGEST.total_seconds()))


def _until(text: str | None, now: datetime) -> timedelta | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), LONGEST)
