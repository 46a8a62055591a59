"""Texts with places for what changes from request to request: `${start.date}`, `${cursor}`, `${secret.apiKey}`.

They are the standard library's string.Template, with the braces required and `$$` for a `$`.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from ledger.window import Span

POSITIONS: Final = ("cursor", "page", "offset")
EDGES: Final = ("start", "end", "last")
FORMS: Final = ("date", "month", "year", "time", "local", "unix", "millis")
SECRET: Final = "secret."
WINDOW: Final = tuple(f"{edge}.{form}" for edge in EDGES for form in FORMS)
MICROSECOND: Final = timedelta(microseconds=1)


class Places(string.Template):
    """A text with places in it; a name without braces is none."""

    idpattern = "(?!)"
    braceidpattern = r"[a-z]+(?:\.[-._A-Za-z0-9]+)?"


def names(text: str) -> list[str]:
    """The places in `text`. Raises ValueError, in words, where a `$` begins none."""
    for match in Places.pattern.finditer(text):
        if match["invalid"] is not None:
            raise ValueError("a $ begins ${name}; write $$ for a $ itself")
    return Places(text).get_identifiers()


def secrets(text: str) -> Iterator[str]:
    """The keys of the Secret that `text` names."""
    return (name.removeprefix(SECRET) for name in names(text) if name.startswith(SECRET))


def _checked(text: str) -> str:
    for name in names(text):
        if name not in (*WINDOW, *POSITIONS) and not (name.startswith(SECRET) and len(name) > len(SECRET)):
            known = ", ".join((*POSITIONS, *WINDOW, "secret.KEY"))
            raise ValueError(f"there is no place ${{{name}}}; there are {known}")
    return text


Template = Annotated[str, Field(max_length=2048), AfterValidator(_checked)]
"""A text with places; unknown ones are refused."""


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with every place filled."""
    return Places(text).substitute(values)


def window_values(span: Span, zone: ZoneInfo) -> dict[str, str]:
    """What the places of a period hold: its start, its end, which is not part of it, and its last moment."""
    edges = {"start": span.start, "end": span.end, "last": span.end - MICROSECOND}
    return {f"{edge}.{form}": text for edge, moment in edges.items() for form, text in _forms(moment, zone).items()}


def _forms(moment: datetime, zone: ZoneInfo) -> dict[str, str]:
    local = moment.astimezone(zone)
    seconds = int(moment.timestamp())
    return {
        "date": f"{local:%Y-%m-%d}",
        "month": f"{local:%Y-%m}",
        "year": f"{local:%Y}",
        "time": f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "local": f"{local:%Y-%m-%dT%H:%M:%S}",
        "unix": str(seconds),
        "millis": str(seconds * 1000 + moment.microsecond // 1000),
    }
