"""Sending one body to one receiver over HTTP, and what its refusals mean for who reads them."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from reconciler.connectors.call import web_address
from reconciler.connectors.http import Refused, Taken, VendorClient
from reconciler.connectors.refusal import ADVICE
from reconciler.errors import NeedsPerson, ReconcilerError

JSON: Final = "application/json; charset=utf-8"


async def post_json(
    http: VendorClient, title: str, url: str, document: Any, headers: Mapping[str, str] | None = None
) -> Taken:
    """What the receiver says to `document` once it has taken it. Raises as `post`."""
    return await post(http, title, url, dumped(document), {"Content-Type": JSON, **(headers or {})})


async def post(http: VendorClient, title: str, url: str, content: bytes, headers: Mapping[str, str]) -> Taken:
    """What the receiver called `title` says to `content` once it has taken it.

    Raises Refused, NeedsPerson, RetryLater and Bug, their text beginning with `title`.
    """
    try:
        return await http.post(url, content, headers)
    except Refused as error:
        raise _refused(title, error) from None
    except ReconcilerError as error:
        error.args = (f"{title}: {http.clean(str(error))}",)
        raise


def dumped(document: Any) -> bytes:
    """`document` as JSON in UTF-8, as short as it gets."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def hide_address(http: VendorClient, url: str) -> str:
    """`url`, whose path and query are a credential: whoever knows them may post. None of it is shown from now on."""
    url = url.strip()
    http.hide(url)
    try:
        web_address(url)  # whose error would show the URL
        parts = urlsplit(url)
    except (NeedsPerson, ValueError):
        said = "the URL in the Secret is none such as https://example.com/path; copy it again, whole"
        raise NeedsPerson(said, reason="InvalidSecret") from None
    bare = url.partition("#")[0].partition("?")[0]
    telling = [part for part in parts.path.split("/") if re.search("[0-9A-Z]", part)]
    http.hide(url, bare, parts.path.strip("/"), parts.query, *telling, *(value for _, value in parse_qsl(parts.query)))
    return url


def bearer(http: VendorClient, token: str) -> dict[str, str]:
    """The header of a bearer token, which is not shown from now on."""
    http.hide(token)
    return {"Authorization": f"Bearer {token}"}


def basic(http: VendorClient, user: str, password: str) -> dict[str, str]:
    """The header of HTTP's basic authentication; the password is not shown from now on."""
    http.hide(password)
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def _refused(title: str, error: Refused) -> Refused:
    """`error` in words that name the receiver; the client's own speak of reading bills."""
    seen = str(error).removeprefix(ADVICE.get(error.status, "")).strip()
    said = f": {' '.join(error.text.split())}" if error.text and error.body is None else ""
    advice = _ADVICE.get(error.status, "it refuses the message")
    refused = Refused(f"{title}: {advice} {seen}{said}", status=error.status, body=error.body, text=error.text)
    refused.reason = _REASONS.get(error.status, "MessageRefused")
    return refused


_REASONS: Final = {401: "Unauthorized", 403: "Forbidden", 404: "ReceiverGone", 410: "ReceiverGone"}
_GONE: Final = "nothing listens at this address any more; put a new one into the Secret or the settings"
_ADVICE: Final = {
    401: "it does not accept the credential; check the Secret",
    403: "it does not allow the credential to post; check the Secret, and what it may do",
    404: _GONE,
    410: _GONE,
}
