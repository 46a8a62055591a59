"""Where a call goes, what it carries, and how it is named in messages."""

from __future__ import annotations

import httpx
import pytest

from reconciler.connectors.call import Call, Params, below, sendable, shown, web_address, with_query
from reconciler.errors import NeedsPerson

BASE = httpx.URL("https://api.example.com/v1/?x=1#y")


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/costs", "https://api.example.com/v1/costs"),
        ("costs", "https://api.example.com/v1/costs"),
        ("costs?day=1", "https://api.example.com/v1/costs?day=1"),
        ("costs?next=https://other.example/", "https://api.example.com/v1/costs?next=https://other.example/"),
        ("https://other.example/file.csv", "https://other.example/file.csv"),
    ],
)
def test_paths_are_appended(path: str, url: str) -> None:
    """A path goes below the base URL's path; a whole URL stands for itself."""
    assert str(below(BASE, path)) == url


@pytest.mark.parametrize(
    "text",
    ["", "costs", "/costs", "https://", "https:///v1", "https://[::1", "https://0177.0.0.1/"],
)
def test_what_is_no_url(text: str) -> None:
    """Without a host there is nothing to ask, and the message says what a URL looks like."""
    with pytest.raises(NeedsPerson, match="is no URL such as https://"):
        web_address(text)


def test_a_broken_url_shows_no_password() -> None:
    """Even a URL that cannot be understood gives nothing away."""
    with pytest.raises(NeedsPerson) as caught:
        web_address("https://me:hunter22@0177.0.0.1/?key=topsecret")
    assert "hunter22" not in str(caught.value)
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "query"),
    [
        (None, "a=1"),
        ({}, "a=1"),
        ({"b": "x y&z"}, "a=1&b=x+y%26z"),
        (
            {"group_by[]": ["p", "q"], "none": None, "n": 7, "yes": True},
            "a=1&group_by%5B%5D=p&group_by%5B%5D=q&n=7&yes=true",
        ),
        ([("g", "p"), ("g", "q"), ("h", None)], "a=1&g=p&g=q"),
    ],
)
def test_queries(params: Params, query: str) -> None:
    """Parameters are added to the query: lists repeat their name, None is left out."""
    assert with_query(httpx.URL("https://api.example.com/?a=1"), params).query.decode() == query


def test_a_call_shows_neither_query_nor_headers() -> None:
    """Messages and reprs name the method and the place, and nothing in which credentials travel."""
    url = httpx.URL("https://me:hunter22@api.example.com:8443/v1/c%0Aosts?key=topsecret#x")
    call = Call("GET", url, {"Authorization": "Bearer topsecret"}, b"topsecret", retry=True)

    assert call.target == "GET https://api.example.com:8443/v1/c%0Aosts"
    assert repr(call) == f"Call({call.target})"
    assert shown(url) == "https://api.example.com:8443/v1/c%0Aosts"


@pytest.mark.parametrize(
    ("start", "location", "same"),
    [
        ("https://a.example/x", "/y", True),
        ("https://a.example/x", "https://A.example.:443/y", True),
        ("http://a.example/x", "http://a.example:80/y", True),
        ("http://a.example:8443/x", "https://a.example:8443/y", False),
        ("https://a.example/x", "https://a.example:8443/y", False),
        ("https://a.example/x", "https://b.example/y", False),
        ("https://a.example/x", "https://a.example.b.example/y", False),
        ("https://a.example/x", "//b.example/y", False),
    ],
)
def test_what_follows_a_redirect(start: str, location: str, same: bool) -> None:
    """Headers follow to the same scheme, host and port; elsewhere goes Accept alone."""
    headers = {"Authorization": "Bearer 12345678", "X-Key": "12345678", "ACCEPT": "text/csv"}
    call = Call("GET", httpx.URL(start), headers, None, retry=True)

    followed = call.redirected(httpx.Response(302, headers={"Location": location}))

    assert followed.headers == (headers if same else {"ACCEPT": "text/csv"})
    assert followed.url == httpx.URL(start).join(location)


def test_headers_lose_the_space_around_them() -> None:
    """The line break that many a Secret ends with does no harm."""
    assert sendable({"X-Key": " key-1234\n"}) == {"X-Key": "key-1234"}


@pytest.mark.parametrize("value", ["key-1234\nkey-5678", "key-\u20ac1234", "key\x001234", "key-1234\r\nX: y"])
def test_headers_that_http_cannot_carry(value: str) -> None:
    """A key with a line break or foreign letters in it was copied wrongly; the message does not repeat it."""
    with pytest.raises(NeedsPerson, match="X-Key contains a line break or a letter outside ASCII") as caught:
        sendable({"X-Key": value})
    assert caught.value.reason == "InvalidSecret"
    assert "1234" not in str(caught.value)
