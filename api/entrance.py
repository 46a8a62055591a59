"""The way in: every request gets an id, a line in the log, and a caller whose identity is proven."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from secrets import token_hex
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import Access
from api.graphql.errors import Code
from api.graphql.http import Refusal, refused
from ledger.errors import LedgerError

OPEN: Final[Collection[str]] = frozenset({"/healthz", "/readyz"})
"""Paths that probes ask, who prove nothing."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
log = structlog.get_logger("api")


class Logged:
    """Gives requests their id (the caller's own, where it is a plain one) and writes one line for each."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = _request_id(Headers(scope=scope))
        begun, status, sent = time.perf_counter(), 0, 0

        async def watched(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            sent += len(message.get("body", b""))
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, watched)
            finally:
                principal = state.get("principal")
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    bytes=sent,
                    milliseconds=round((time.perf_counter() - begun) * 1000, 1),
                    caller=None if principal is None else principal.name,
                    client=scope["client"][0] if scope.get("client") else None,
                )


class Identified:
    """Lets pass callers whose identity is proven; the others get 401."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN:
            try:
                scope["state"]["principal"] = await self._access.identify(Headers(scope=scope))
            except Refusal as refusal:
                await self._refuse(refusal, scope, receive, send)
                return
            except LedgerError as error:
                log.warning("nobody can be identified", error=str(error))
                unavailable = Refusal(503, "The database cannot be reached; try again soon.", Code.UNAVAILABLE)
                await self._refuse(unavailable, scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        answer = refused(refusal)
        if refusal.status == 401:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="costhook"'
        await answer(scope, receive, send)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else token_hex(8)
