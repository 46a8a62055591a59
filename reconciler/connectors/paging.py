"""Walking a vendor's pages without walking in circles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from reconciler.errors import Bug

MOST_PAGES: Final = 10_000

Page = TypeVar("Page")
Cursor = TypeVar("Cursor")


async def pages(
    fetch: Callable[[Cursor | None], Awaitable[tuple[Page, Cursor | None]]],
    first_cursor: Cursor | None = None,
    *,
    max_pages: int = MOST_PAGES,
) -> AsyncIterator[Page]:
    """Every page, from `first_cursor` on. `fetch(cursor)` returns a page and the next cursor, None at the end.

    Raises Bug (CursorLoop) when a cursor comes back a second time, or after `max_pages` pages.
    """
    cursor, seen = first_cursor, {first_cursor}
    for _ in range(max_pages):
        page, cursor = await fetch(cursor)
        if cursor in seen and cursor is not None:
            raise Bug(f"the vendor named page {str(cursor)[:60]!r} twice", reason="CursorLoop")
        yield page
        if cursor is None:
            return
        seen.add(cursor)
    raise Bug(f"no end after {max_pages} pages", reason="CursorLoop")


def next_cursor(page: Mapping[str, Any], *, more: str | None = "has_more", cursor: str = "next_page") -> Any:
    """The cursor that `page` names in its field `cursor`; None when its field `more` is false.

    With `more=None`, for vendors that only name a cursor while there is one, its absence is the end. Raises
    Bug: CursorLoop when there is more but no cursor, UnexpectedAnswer when a field is missing or of another type.
    """
    following = page.get(cursor) or None
    has_more = following is not None if more is None else page.get(more)
    if not isinstance(has_more, bool) or not isinstance(following, str | int | None):
        raise Bug(f"the page does not say in {more!r} and {cursor!r} whether and where it goes on")
    if has_more and following is None:
        raise Bug(f"the page says {more!r} but its {cursor!r} is empty", reason="CursorLoop")
    return following if has_more else None
