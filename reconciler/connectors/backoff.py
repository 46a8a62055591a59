"""How long to wait before asking a vendor again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from ledger.window import EPOCH

LONGEST: Final = timedelta(days=31)
"""A vendor's wish is cut at this; longer ones are mistakes."""
RESETS: Final = ("x-ratelimit-reset", "ratelimit-reset")
BUCKETS: Final = re.compile(r"x-ms-ratelimit-.+-retry-after")
"""Azure's waits, in seconds: one for each of the buckets that a request draws on (qpu, entity, tenant, clienttype)."""
EPOCH_TIMES: Final = timedelta(days=200 * 365)
"""A number of seconds from LONGEST up to this is a Unix time, not a wait."""


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The longest wait a vendor asks for: `retry-after-ms`, or `Retry-After` as seconds or as an HTTP date (RFC 9110,
    10.2.3), and Azure's by bucket. None where it asks for none, or for nothing that can be understood.
    """
    buckets = (_scaled(value, 1.0) for name, value in headers.items() if BUCKETS.fullmatch(name.lower()))
    return max((wait for wait in (_standard(headers, now), *buckets) if wait is not None), default=None)


def _standard(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    wished = _scaled(headers.get("retry-after-ms"), 0.001)
    if wished is None:
        wished = _scaled(headers.get("retry-after"), 1.0)
    return wished if wished is not None else _until(headers.get("retry-after"), now)


def limit_reset(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """When a rate limit starts anew, by `X-RateLimit-Reset` or `RateLimit-Reset`: vendors that refuse with 429 without
    a `Retry-After` tell it there, as seconds from `now` (Datadog, Supabase, Resend) or as a Unix time (GitHub, Render).
    """
    for name in RESETS:
        wished = _scaled(headers.get(name), 1.0, EPOCH_TIMES)
        if wished is not None:
            return wished if wished < LONGEST else min(max(EPOCH + wished - now, timedelta(0)), LONGEST)
    return None


def delay(attempt: int, first: float, longest: float, jitter: float, asked: timedelta | None) -> float:
    """Seconds to wait after the `attempt`th failure (from 1): doubling from `first` up to `longest`, of which
    `jitter` (0 to 1) decides the upper half; never less than the vendor `asked` for.
    """
    backoff = min(longest, first * 2.0 ** min(attempt - 1, 30))
    if asked is not None:
        return asked.total_seconds() + jitter * first
    return backoff * (1 + jitter) / 2


def _scaled(text: str | None, unit: float, longest: timedelta = LONGEST) -> timedelta | None:
    try:
        seconds = float(text) * unit if text is not None else None
    except ValueError:
        return None
    if seconds is None or not 0 <= seconds < float("inf"):
        return None
    return timedelta(seconds=min(seconds, longest.total_seconds()))


def _until(text: str | None, now: datetime) -> timedelta | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), LONGEST)
