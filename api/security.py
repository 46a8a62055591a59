"""Who may talk to the API at all: the names it is reached under, the pages that may call it, what browsers may do.

A page from elsewhere must not read costs through a visitor's browser, not even by a name of its own that resolves
to this machine (DNS rebinding): foreign Host and Origin headers are refused before anything is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.graphql.errors import Code
from api.graphql.http import Refusal, refused
from api.settings import LOOPBACK_NAMES, ApiSettings

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Lets pass what is asked under the API's own names, and puts security headers on every answer."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(Headers(scope=scope))
        answer = self._app if refusal is None else refused(refusal)
        await answer(scope, receive, with_headers)

    def _refusal(self, headers: Headers) -> Refusal | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_own(_name(hosts[0])):
            return Refusal(403, "This API is not reached under that name.", Code.FORBIDDEN)
        origins = headers.getlist("origin")
        if any(not self._is_welcome(origin, hosts[0]) for origin in origins):
            return Refusal(403, "Pages of that origin may not call this API.", Code.FORBIDDEN)
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and not origins and headers.get("sec-fetch-mode") != "navigate":
            return Refusal(403, "Pages of other sites may not call this API.", Code.FORBIDDEN)
        return None

    def _is_own(self, name: str) -> bool:
        if self._settings.authentication:
            return not self._settings.allowed_hosts or name in _lower(self._settings.allowed_hosts)
        return name in LOOPBACK_NAMES or name.strip("[]") == self._settings.host

    def _is_welcome(self, origin: str, host: str) -> bool:
        if origin.lower() in _lower(self._settings.allowed_origins):
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    name, separator, port = host.lower().rpartition(":")
    return name if separator and port.isdecimal() else host.lower()


def _lower(names: Sequence[str]) -> set[str]:
    return {name.lower() for name in names}
