"""Connections by keyset: `first` and `after`, cursors that belong to one connection, counts only when asked for."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import strawberry

from api.graphql.errors import Code, PublicError
from api.graphql.scalars import BigInt
from ledger.money import plain

MAX_FIRST: Final = 100
"""Rows a page may have."""
MAX_CURSOR: Final = 2_000

_PLAIN: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)

T = TypeVar("T")
Part = str | int | bool | datetime | Decimal | UUID
"""What a cursor is made of."""


@strawberry.type(description="Where a page lies.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool = strawberry.field(description="Whether the page was asked for behind a cursor.")
    start_cursor: str | None
    end_cursor: str | None = strawberry.field(description="The cursor to go on behind; null on an empty page.")


@strawberry.type
class Edge(Generic[T]):
    cursor: str
    node: T


@strawberry.type
class Connection(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    async def counted(self) -> BigInt:
        return BigInt(await self.count())

    total_count: BigInt = strawberry.field(
        resolver=counted, description="How many there are in all; counted only when asked for."
    )


def page_size(first: int) -> int:
    """`first`, when it may be asked for. Raises PublicError."""
    if not 1 <= first <= MAX_FIRST:
        raise PublicError(Code.BAD_INPUT, f"Ask for 1 to {MAX_FIRST} at a time.", field="first")
    return first


def connection_of(
    rows: Sequence[Any],
    first: int,
    after: str | None,
    node: Callable[[Any], T],
    cursor: Callable[[Any], str],
    count: Callable[[], Awaitable[int]],
) -> Connection[T]:
    """A page of `rows` behind `after`; one more than `first` was asked for, to see whether there is another page."""
    edges = [Edge(cursor=cursor(row), node=node(row)) for row in rows[:first]]
    start, end = (edges[0].cursor, edges[-1].cursor) if edges else (None, None)
    page = PageInfo(
        has_next_page=len(rows) > first, has_previous_page=after is not None, start_cursor=start, end_cursor=end
    )
    return Connection(edges=edges, page_info=page, count=count)


def write_cursor(connection: str, parts: Sequence[Part]) -> str:
    """An opaque cursor of the `connection`, a name that says the order as well."""
    text = json.dumps([connection, *map(_written, parts)], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, connection: str, kinds: Sequence[type[Part]]) -> list[Any] | None:
    """What a cursor of this connection was made of; None without one. Raises PublicError for any other text."""
    if cursor is None:
        return None
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError
        named, *held = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        parts = [_read(value, kind) for value, kind in zip(held, kinds, strict=True)]
        # Written again, a cursor that was made here is the same to the letter.
        if named != connection or write_cursor(connection, parts) != cursor:
            raise ValueError
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise PublicError(
            Code.BAD_CURSOR, "This is not a cursor of this connection and order; begin without one.", field="after"
        ) from None
    return parts


def _written(part: Part) -> str | int | bool:
    match part:
        case datetime():
            return part.astimezone(UTC).isoformat()
        case Decimal():
            return plain(part)
        case UUID():
            return part.hex
    return part


def _read(value: object, kind: type[Part]) -> Part:
    if kind is datetime and isinstance(value, str):
        return datetime.fromisoformat(value)
    if kind is Decimal and isinstance(value, str) and _PLAIN.fullmatch(value):
        return Decimal(value)
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if type(value) is not kind or (isinstance(value, int) and abs(value) >= 1 << 63):
        raise TypeError(kind)
    if isinstance(value, str):
        value.encode()
    return value
