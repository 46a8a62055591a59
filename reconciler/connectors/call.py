"""One request to a vendor: where it goes, what it carries, and what of that may follow a redirect."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from reconciler.errors import NeedsPerson

Value = str | int | bool | None
Params = Mapping[str, Value | Sequence[Value]] | Sequence[tuple[str, Value]] | None
"""A query: names with a value or several. None values are left out; brackets in names are allowed."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
HARMLESS: Final = frozenset({"accept"})
"""Headers that may follow a redirect to another origin; any other might be a credential."""
SENDABLE: Final = re.compile(r"[\x20-\x7e]*\Z")


class Form(dict[str, str]):
    """A body that is sent as a web form sends its fields, as OAuth wants it."""


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """A request as it is sent. `retry` says whether sending it twice does no harm."""

    method: str
    url: httpx.URL
    headers: Mapping[str, str]
    content: bytes | None
    retry: bool

    @property
    def target(self) -> str:
        """What messages name: the method and the URL without its query, in which credentials may travel."""
        return f"{self.method} {shown(self.url)}"

    def __repr__(self) -> str:
        return f"Call({self.target})"

    def redirected(self, response: httpx.Response) -> Call:
        """The call that a redirect asks for. Raises NeedsPerson (RedirectRefused) where following does harm."""
        url = self.url.join(response.headers["location"])
        if self.url.scheme == "https" and url.scheme != "https":
            raise NeedsPerson(f"{self.target} redirects away from https", reason="RedirectRefused")
        same = origin(url) == origin(self.url)
        if self.method not in SAFE_METHODS and not (same and response.status_code in (307, 308)):
            raise NeedsPerson(
                f"{self.target} redirects to {shown(url)}, which is followed for GET alone: set baseURL to that place",
                reason="RedirectRefused",
            )
        kept = {name: value for name, value in self.headers.items() if same or name.lower() in HARMLESS}
        return Call(self.method, url, kept, self.content, self.retry)


def encoded(body: Any) -> tuple[bytes | None, dict[str, str]]:
    """`body` as it is sent, and the header that says in which form: JSON, unless it is a Form. None is no body."""
    if body is None:
        return None, {}
    if isinstance(body, Form):
        return urlencode(body).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    return json.dumps(body).encode(), {"Content-Type": "application/json"}


def web_address(text: str) -> httpx.URL:
    """`text` as a URL with a host; raises NeedsPerson."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL()
    if not url.host:
        bare = re.sub(r"//[^/]*@", "//***@", text.partition("?")[0])
        raise NeedsPerson(f"{bare[:200]!r} is no URL such as https://api.example.com/v1", reason="InvalidSettings")
    return url


def below(base: httpx.URL | None, path: str) -> httpx.URL:
    """`path` appended to `base`, unless it is a whole URL itself; raises NeedsPerson."""
    if base is None or "://" in path.partition("?")[0]:
        return web_address(path)
    root = str(base.copy_with(query=None, fragment=None))
    return web_address(f"{root.rstrip('/')}/{path.lstrip('/')}")


def with_query(url: httpx.URL, params: Params) -> httpx.URL:
    """`url` with `params` added to its query."""
    return url.copy_merge_params(httpx.QueryParams(_pairs(params))) if params else url


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port: what credentials belong to."""
    return url.scheme, url.host.lower().removesuffix("."), url.port or {"http": 80, "https": 443}.get(url.scheme)


def shown(url: httpx.URL) -> str:
    """`url` without user, query and fragment."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii').partition('?')[0]}"


def sendable(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` without white space around their values; raises NeedsPerson if HTTP cannot carry one."""
    stripped = {name: value.strip() for name, value in headers.items()}
    for name, value in stripped.items():
        if not SENDABLE.match(value):
            raise NeedsPerson(
                f"the value for the header {name} contains a line break or a letter outside ASCII;"
                " check that the key in the Secret was copied whole and alone",
                reason="InvalidSecret",
            )
    return stripped


def _pairs(params: Params) -> list[tuple[str, Any]]:
    pairs = params.items() if isinstance(params, Mapping) else params or ()
    return [
        (name, value)
        for name, given in pairs
        for value in (given if isinstance(given, Sequence) and not isinstance(given, str) else [given])
        if value is not None
    ]
