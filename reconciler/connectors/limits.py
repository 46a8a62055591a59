"""Bounds within which a vendor is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of a client. Times are seconds; sizes are bytes after unpacking."""

    connect: float = 10.0
    read: float = 60.0
    """Longest silence while an answer is awaited or read."""
    total: float = 300.0
    """Longest time for one attempt at an answer, redirects included."""
    stream_total: float = 3600.0
    """Longest time spent waiting for the bytes of one stream."""
    body: int = 64 * 1024**2
    stream_body: int = 64 * 1024**3
    attempts: int = 5
    first_wait: float = 0.5
    """The wait after the first failed attempt; it doubles with every further one."""
    longest_wait: float = 60.0
    """Longest wait between attempts; a vendor that wishes for more is asked again at a later run."""
    redirects: int = 5
