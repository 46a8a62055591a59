"""Pages are walked to their end and never in circles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reconciler.connectors.paging import next_cursor, pages
from reconciler.errors import Bug


def linked(links: dict[str | None, str | None]) -> Callable[[str | None], Awaitable[tuple[str, str | None]]]:
    """A vendor whose page of each cursor is named after it, linked as said."""

    async def fetch(cursor: str | None) -> tuple[str, str | None]:
        return f"page {cursor}", links[cursor]

    return fetch


async def test_every_page_once_in_order() -> None:
    """Pages come in the order of their cursors, the last one included."""
    fetch = linked({None: "a", "a": "b", "b": None})

    assert [page async for page in pages(fetch)] == ["page None", "page a", "page b"]


async def test_a_first_cursor() -> None:
    """Walking may start at a cursor that is known."""
    assert [page async for page in pages(linked({"b": "c", "c": None}), "b")] == ["page b", "page c"]


@pytest.mark.parametrize("links", [{None: "a", "a": "a"}, {None: "a", "a": "b", "b": "a"}])
async def test_a_cursor_that_comes_back(links: dict[str | None, str | None]) -> None:
    """A cursor seen before ends the walk as a bug, at once or after a detour."""
    with pytest.raises(Bug, match="'a' twice") as caught:
        [page async for page in pages(linked(links))]
    assert caught.value.reason == "CursorLoop"


async def test_the_first_cursor_that_comes_back() -> None:
    """The cursor the walk began with counts as seen."""
    with pytest.raises(Bug):
        [page async for page in pages(linked({"a": "b", "b": "a"}), "a")]


async def test_ever_new_cursors() -> None:
    """A vendor that always has another page is given up after the most pages."""

    async def fetch(cursor: int | None) -> tuple[int, int]:
        return 0, (cursor or 0) + 1

    with pytest.raises(Bug, match="no end after 7 pages") as caught:
        [page async for page in pages(fetch, max_pages=7)]
    assert caught.value.reason == "CursorLoop"


@pytest.mark.parametrize(
    ("page", "cursor"),
    [
        ({"has_more": True, "next_page": "x"}, "x"),
        ({"has_more": True, "next_page": 7}, 7),
        ({"has_more": False, "next_page": "x"}, None),
        ({"has_more": False, "next_page": None}, None),
        ({"has_more": False}, None),
    ],
)
def test_where_a_page_goes_on(page: dict[str, Any], cursor: object) -> None:
    """The cursor counts only while the page says there is more."""
    assert next_cursor(page) == cursor


@pytest.mark.parametrize(
    ("page", "cursor"), [({"next": "x"}, "x"), ({"next": None}, None), ({"next": ""}, None), ({}, None)]
)
def test_where_a_page_goes_on_without_a_flag(page: dict[str, Any], cursor: object) -> None:
    """For vendors without a flag the cursor alone decides."""
    assert next_cursor(page, more=None, cursor="next") == cursor


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ({"has_more": True}, "CursorLoop"),
        ({"has_more": True, "next_page": ""}, "CursorLoop"),
        ({}, "UnexpectedAnswer"),
        ({"has_more": None}, "UnexpectedAnswer"),
        ({"has_more": "true", "next_page": "x"}, "UnexpectedAnswer"),
        ({"has_more": True, "next_page": ["x"]}, "UnexpectedAnswer"),
    ],
)
def test_pages_that_do_not_say(page: dict[str, Any], reason: str) -> None:
    """A page that does not say whether it is the last is no last page."""
    with pytest.raises(Bug) as caught:
        next_cursor(page)
    assert caught.value.reason == reason
