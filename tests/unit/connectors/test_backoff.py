"""How long the client waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.connectors.backoff import LONGEST, delay, limit_reset, retry_after

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "Sat, 21 Nov 2026 12:01:30 GMT"}, 90),
        ({"retry-after": "Sat, 21 Nov 2026 11:59:30 GMT"}, 0),
        ({"retry-after": "Saturday, 21-Nov-26 12:00:05 GMT"}, 5),
        ({"retry-after": "99999999999"}, LONGEST.total_seconds()),
        ({"x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after": "30", "retry-after": "9"}, 30),
        ({"X-Ms-Ratelimit-Microsoft.Consumption-Retry-After": "4", "retry-after": "9"}, 9),
        ({"x-ms-ratelimit-remaining-microsoft.costmanagement-qpu-requests": "30", "retry-after": "9"}, 9),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST.total_seconds()),
    ],
)
def test_what_vendors_ask_for(headers: dict[str, str], seconds: float) -> None:
    """Seconds, milliseconds and HTTP dates are understood; a date in the past means at once; of several the longest."""
    assert retry_after(headers, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "tomorrow", "Sat, 99 Nov 2026 12:00:00 GMT", "1e400"])
def test_nonsense_is_no_wish(text: str) -> None:
    """What cannot be understood is as if nothing had been asked."""
    assert retry_after({"retry-after": text}, NOW) is None


def test_no_header_is_no_wish() -> None:
    """Without a header the vendor asks for nothing."""
    assert retry_after({}, NOW) is None


@given(
    attempt=st.integers(1, 10_000),
    jitter=st.floats(0, 1, exclude_max=True),
    asked=st.none() | st.timedeltas(timedelta(0), timedelta(days=1)),
)
def test_the_wait_is_bounded_and_never_shorter_than_asked(attempt: int, jitter: float, asked: timedelta | None) -> None:
    """Backoff lies between half and all of its step, below the longest wait; a wish is always granted."""
    wait = delay(attempt, 0.5, 60.0, jitter, asked)
    if asked is None:
        step = min(60.0, 0.5 * 2.0 ** min(attempt - 1, 20))
        assert step / 2 <= wait <= step
    else:
        assert asked.total_seconds() <= wait <= asked.total_seconds() + 0.5


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": "12"}, 12),
        ({"ratelimit-reset": "0.5"}, 0.5),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 90)}, 90),
        ({"ratelimit-reset": str(int(NOW.timestamp()) - 5)}, 0),
        ({"ratelimit-reset": str(int(NOW.timestamp()) * 1000)}, LONGEST.total_seconds()),
        ({"x-ratelimit-reset": "soon", "ratelimit-reset": "3"}, 3),
    ],
)
def test_a_rate_limit_starts_anew(headers: dict[str, str], seconds: float) -> None:
    """A reset is seconds from now or a Unix time; what is past needs no wait, and nonsense is cut."""
    assert limit_reset(headers, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("headers", [{}, {"x-ratelimit-reset": "soon"}, {"x-ratelimit-reset": "-1"}])
def test_a_reset_that_is_not_told(headers: dict[str, str]) -> None:
    """Without a reset that can be understood nothing is asked for."""
    assert limit_reset(headers, NOW) is None
