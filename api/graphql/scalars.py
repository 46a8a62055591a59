"""How values travel: decimals and times as text without loss, days as dates, large counts as numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, NewType

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from ledger.money import plain

MAX_WRITTEN: Final = 130
"""Characters of a decimal: more digits than any amount has."""

_PLAIN: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)

BigInt = NewType("BigInt", int)
Document = NewType("Document", object)


def _decimal(value: object) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"a {type(value).__name__} is no Decimal")
    return plain(value)


def parse_decimal(value: object) -> Decimal:
    """An exact decimal, from text in plain notation alone: a JSON number may have been a float. Raises GraphQLError."""
    if isinstance(value, str) and len(value) <= MAX_WRITTEN and _PLAIN.fullmatch(value):
        return Decimal(value)
    raise GraphQLError('This is not an exact decimal as text, such as "12.34".')


def _moment(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"a {type(value).__name__} is no time")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_moment(value: object) -> datetime:
    """An instant, from text that names its zone. Raises GraphQLError."""
    wanted = "a time with its zone, such as 2026-11-21T12:00:00Z"
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
        if parsed is not None and parsed.tzinfo is not None and "T" in value.upper():  # type: ignore[attr-defined]
            return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise GraphQLError(f"This is not {wanted}.")


def parse_day(value: object) -> date:
    """A day, from YYYY-MM-DD alone. Raises GraphQLError."""
    try:
        if isinstance(value, str) and len(value) == len("2026-11-21"):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise GraphQLError("This is not a day such as 2026-11-21.")


def _refuse(_value: object) -> Any:
    raise GraphQLError("This is only given, never taken.")


def _count(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a {type(value).__name__} is no count")
    return value


SCALARS: Final[Mapping[object, ScalarDefinition]] = {
    Decimal: strawberry.scalar(
        name="Decimal",
        description="Exact decimal in plain notation, as a string.",
        serialize=_decimal,
        parse_value=parse_decimal,
    ),
    date: strawberry.scalar(
        name="Date", description="UTC calendar day.", serialize=date.isoformat, parse_value=parse_day
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="Instant as YYYY-MM-DDTHH:MM:SSZ; other zones are understood, none is not.",
        serialize=_moment,
        parse_value=parse_moment,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="Whole number that may be larger than 32 bits.",
        serialize=_count,
        parse_value=_refuse,
    ),
    Document: strawberry.scalar(
        name="JSON", description="Any JSON value.", serialize=lambda value: value, parse_value=_refuse
    ),
}

__all__ = ["JSON", "SCALARS", "BigInt", "Document"]
