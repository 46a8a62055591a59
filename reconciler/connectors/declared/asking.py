"""Requests out of what a manifest declares, and the way from one page to the next."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

from ledger.window import Span
from reconciler.connectors.base import Credentials
from reconciler.connectors.declared.expressions import Evaluator, Failed
from reconciler.connectors.declared.settings import HttpSettings, Paging, Request
from reconciler.connectors.declared.templates import SECRET, filled, names, secrets, window_values
from reconciler.connectors.http import Document
from reconciler.errors import Bug, NeedsPerson

Position = str
"""Where a page begins: a cursor, a number in digits or, with links, a URL; None is the first."""
NUMBERS: Final = ("page", "offset", "start.unix", "end.unix", "last.unix", "start.millis", "end.millis", "last.millis")
NEXT: Final = re.compile(r"<([^<>]+)>\s*((?:;[^;,<]*)*)")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, without its headers of credentials."""

    method: str
    path: str
    params: Sequence[tuple[str, str]] = field(repr=False)
    headers: Mapping[str, str]
    body: Any = None


class Asking:
    """Fills the places of a request."""

    def __init__(self, settings: HttpSettings, credentials: Credentials) -> None:
        self._request: Request = settings.request
        self._paging, self._zone = settings.paging, settings.zone
        self._base = settings.base_url
        keys = {key for text in settings.request.texts() for key in secrets(text)}
        self._secrets = {f"{SECRET}{key}": credentials.get(key) or "" for key in keys}

    def credential_headers(self) -> dict[str, str]:
        """The headers that hold secrets."""
        headers = {
            pair.name: filled(pair.value, self._secrets) for pair in self._request.headers if any(secrets(pair.value))
        }
        basic = self._request.basic
        if basic is not None:
            both = f"{filled(basic.user, self._secrets)}:{filled(basic.password, self._secrets)}"
            headers["Authorization"] = f"Basic {b64encode(both.encode()).decode()}"
        return headers

    def page(self, span: Span, position: Position | None) -> Asked:
        """The request for a page of a period."""
        values = {**self._secrets, **window_values(span, self._zone), **self._positions(position)}
        headers = {
            pair.name: filled(pair.value, values) for pair in self._request.headers if not any(secrets(pair.value))
        }
        if self._paging.type == "Link" and position is not None:
            keys = [pair for pair in self._request.query if any(secrets(pair.value))]
            return Asked(self._request.method, position, _query(keys, values), headers, self._body(values))
        path = filled(self._request.path, {name: quote(value, safe="") for name, value in values.items()})
        return Asked(self._request.method, path, _query(self._request.query, values), headers, self._body(values))

    def _positions(self, position: Position | None) -> dict[str, str]:
        match self._paging.type:
            case "Cursor":
                return {} if position is None else {"cursor": position}
            case "Page":
                return {"page": position or str(self._paging.first)}
            case "Offset":
                return {"offset": position or "0"}
            case _:
                return {}

    def _body(self, values: Mapping[str, str]) -> Any:
        return None if self._request.body is None else _fill(json.loads(self._request.body), values)

    def link(self, url: str) -> str:
        """A next page's URL, whole. Raises NeedsPerson where it leads to another host, which gets no credentials."""
        whole = urljoin(f"{self._base.rstrip('/')}/", url)
        if urlsplit(whole)[:2] != urlsplit(self._base)[:2]:
            raise NeedsPerson(
                f"the next page lies at {urlsplit(whole).hostname}, which is not the host of http.baseURL: set baseURL"
                " to the host that serves the pages",
                reason="RedirectRefused",
            )
        return whole


class Following:
    """Finds the next page after one."""

    def __init__(self, paging: Paging, evaluator: Evaluator, asking: Asking) -> None:
        self._paging, self._evaluator, self._asking = paging, evaluator, asking

    def after(self, document: Document, rows: int, position: Position | None) -> Position | None:
        """Where the page after this one begins; None at the end. Raises Bug where the answer does not say."""
        match self._paging.type:
            case "None":
                return None
            case "Cursor":
                return self._named(document)
            case "Link":
                url = self._named(document) if self._paging.next is not None else linked(document.headers)
                return None if url is None else self._asking.link(url)
            case "Page":
                return self._counted(document, rows, int(position or self._paging.first), 1)
            case "Offset":
                return self._counted(document, rows, int(position or 0), rows)

    def _named(self, document: Document) -> Position | None:
        if self._paging.more is not None and not self._more(document):
            return None
        found = self._value("next", document)
        if found in (None, "") and self._paging.more is not None:
            raise Bug(
                f"{self._paging.more} says that there is more, and {self._paging.next} not where", reason="CursorLoop"
            )
        if found in (None, "", False):
            return None
        if isinstance(found, bool) or not isinstance(found, str | int):
            raise Bug(f"paging.next: {self._paging.next} gives neither a text nor a whole number")
        return str(found)

    def _counted(self, document: Document, rows: int, here: int, step: int) -> Position | None:
        """The next number: while the answer says so, or else while there are rows."""
        if self._paging.more is not None:
            ends = not self._more(document)
        elif self._paging.last is not None:
            last = self._value("last", document)
            if isinstance(last, bool) or not isinstance(last, int):
                raise Bug(f"paging.last: {self._paging.last} gives no whole number")
            ends = here + step - (self._paging.first if self._paging.type == "Page" else 0) >= last
        else:
            ends = rows == 0
        if not ends and step == 0:
            raise Bug("a page without rows says that there is more", reason="CursorLoop")
        return None if ends else str(here + step)

    def _more(self, document: Document) -> bool:
        said = self._value("more", document)
        if not isinstance(said, bool):
            raise Bug(f"paging.more: {self._paging.more} gives neither true nor false")
        return said

    def _value(self, name: str, document: Document) -> Any:
        expression = getattr(self._paging, name)
        try:
            return self._evaluator.reads(expression)(document.content)
        except Failed as error:
            raise Bug(f"paging.{name}: {expression}: {error}") from None


def linked(headers: Mapping[str, str]) -> str | None:
    """The URL that the header Link (RFC 8288) calls the next; None where it names none."""
    for url, parameters in NEXT.findall(headers.get("link", "")):
        if re.search(r';\s*rel\s*=\s*(?:"[^"]*\bnext\b[^"]*"|next\b)', parameters, re.IGNORECASE):
            return str(url)
    return None


def _query(pairs: Sequence[Any], values: Mapping[str, str]) -> list[tuple[str, str]]:
    """The query, without those that name a place which nothing is known of yet."""
    return [
        (pair.name, filled(pair.value, values)) for pair in pairs if all(name in values for name in names(pair.value))
    ]


def _fill(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _fill(inner, values) for name, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, values) for inner in value]
    return _leaf(value, values) if isinstance(value, str) else value


def _leaf(text: str, values: Mapping[str, str]) -> Any:
    places = names(text)
    if any(name not in values for name in places):
        return None
    made = filled(text, values)
    return int(made) if len(places) == 1 and places[0] in NUMBERS and text == f"${{{places[0]}}}" else made
