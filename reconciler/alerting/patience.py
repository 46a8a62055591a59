"""When a message may go out, and when one that could not is tried again: pure, the clock is given."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from reconciler.channels.message import SEVERITIES, Severity
from reconciler.kinds.channel import QuietHours

FIRST_RETRY: Final = timedelta(seconds=5)
LONGEST_RETRY: Final = timedelta(hours=1)
GIVEN_UP_AFTER: Final = timedelta(hours=24)
"""How long a message is tried; then it waits for a person."""


def next_try(attempts: int, now: datetime, at_least: timedelta | None = None) -> datetime:
    """After so many attempts that failed: later each time, and not before the receiver asked for."""
    wait = min(FIRST_RETRY * (1 << min(max(attempts, 1) - 1, 20)), LONGEST_RETRY)
    return now + max(wait, at_least or timedelta())


def quiet_until(hours: QuietHours, severity: Severity, now: datetime) -> datetime | None:
    """When the quiet hours that hold `now` end; None when a message of this severity may go out."""
    if hours.allow != "none" and SEVERITIES.index(severity) >= SEVERITIES.index(hours.allow):
        return None
    there = now.astimezone(hours.zone)
    for back in (1, 0):
        day = there.date() - timedelta(days=back)
        start = datetime.combine(day, hours.start, hours.zone)
        end_day = day + timedelta(days=1) if hours.end <= hours.start else day
        end = datetime.combine(end_day, hours.end, hours.zone)
        if start <= there < end:
            return end.astimezone(now.tzinfo)
    return None
