"""Durations as manifests write them: Go's (`30m`, `1h30m`, `1.5h`), with whole days in front (`90d`, `1d12h`)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

PATTERN: Final = "[0-9]{1,4}d|([0-9]{1,4}d)?([0-9]{1,5}([.][0-9]{1,3})?(ms|s|m|h)){1,4}"
"""Bounded so that Go's 64 bits of nanoseconds, in which the API server counts, never overflow."""

SAYS: Final = "a duration; write it like 30m, 6h or 7d"

_PARTS: Final = re.compile(r"([0-9]+)(?:[.]([0-9]+))?(ms|[smhd])")
_MICROSECONDS: Final = {"ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}


def parse(text: str) -> timedelta:
    """The exact length of a duration. Raises ValueError in words that say how to write one."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f'"{text}" is not {SAYS}')
    return timedelta(microseconds=sum(map(_microseconds, _PARTS.findall(text))))


def plain(length: timedelta) -> str:
    """`length`, not negative, in the fewest units: `90d`, `6h`, `1d12h`, `1.5s`; nothing at all is `0s`."""
    left, texts = length // timedelta(microseconds=1), []
    for unit in ("d", "h", "m"):
        count, left = divmod(left, _MICROSECONDS[unit])
        texts += [f"{count}{unit}"] if count else []
    seconds, micros = divmod(left, 10**6)
    millis, rest = divmod(micros, 1000)
    if rest:
        texts += [f"{seconds}s"] if seconds else []
        texts += [f"{millis}.{rest:03d}ms"]
    elif left or not texts:
        texts += [f"{seconds}.{millis:03d}".rstrip("0").rstrip(".") + "s"]
    return "".join(texts)


def seconds_in_cel(text: str) -> str:
    """A CEL expression for the whole seconds of the duration that the expression `text` holds.

    Kubernetes' duration() knows no days. Its cost estimate knows how long a substring may be, but not how long
    the text of a number or the parts of split() are, so this counts in numbers.
    """
    days = f"int({text}.substring(0, {text}.indexOf('d'))) * 86400"
    rest = f"({text}.endsWith('d') ? 0 : duration({text}.substring({text}.indexOf('d') + 1)).getSeconds())"
    return f"({text}.contains('d') ? {days} + {rest} : duration({text}).getSeconds())"


def _microseconds(part: tuple[str, str, str]) -> int:
    whole, fraction, unit = part
    return int(whole) * _MICROSECONDS[unit] + int(fraction.ljust(3, "0") or 0) * _MICROSECONDS[unit] // 1000
