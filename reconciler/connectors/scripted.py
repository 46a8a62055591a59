"""A small real HTTP server that plays a vendor in tests: on 127.0.0.1, in the test's own event loop.

    async with ScriptedServer() as server:
        server.route("GET", "/v1/costs", lambda request: Reply.json({"data": []}))
        server.fail(Reply(status=503), times=2)      # the first two requests, whatever their path

Nothing here is needed to run Costhook; it ships so that connectors kept elsewhere can be tested alike.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

PATIENCE: Final = 1000
"""Requests since the last `fail` or `replay` after which more are refused: endless walks shall fail, not hang."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the server saw it. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    def first(self, name: str) -> str | None:
        """The first value of query parameter `name`."""
        return next((value for key, value in self.query if key == name), None)

    def every(self, name: str) -> list[str]:
        """All values of query parameter `name`, in order."""
        return [value for key, value in self.query if key == name]

    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers. `cut` ends the connection that many bytes into the body; `hold` never answers."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    hold: bool = False

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
        """`value` as JSON; Decimals are written as numbers, digit by digit."""
        return cls(status, dump(value).encode(), {"Content-Type": "application/json", **(headers or {})})


Handler = Callable[[Request], Reply | Awaitable[Reply]]


def dump(value: Any) -> str:
    """JSON text of `value`, in which a Decimal is an exact number."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(name))}:{dump(item)}" for name, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


class ScriptedServer:
    """Answers by routes, unless told to fail; remembers every request in `requests`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self._tls = tls
        self._routes: dict[tuple[str, str], Handler] = {}
        self._fault: Callable[[Request, int], Reply | None] | None = None
        self._replay: dict[str, Reply] | None = None
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self._since = 0

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the server is not started: use it in an async with")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def route(self, method: str, path: str, handler: Handler) -> None:
        """Answer `method` on `path` by `handler`. A path that ends in `*` takes every path below; the longest wins."""
        self._routes[method, path] = handler

    def fail(
        self, fault: Reply | Callable[[Request], Reply], *, nth: int | None = None, times: int | None = None
    ) -> None:
        """From now on answer `fault` instead: only to the `nth` request, or to the first `times`, or to all."""
        self._since = len(self.requests)

        def decide(request: Request, number: int) -> Reply | None:
            meant = number == nth if nth is not None else times is None or number <= times
            return (fault(request) if callable(fault) else fault) if meant else None

        self._fault = decide

    def replay(self) -> None:
        """From now on answer every request to a path by the first answer that path gives: pages that never end."""
        self._since = len(self.requests)
        self._replay = {}

    def heal(self) -> None:
        """Undo `fail` and `replay`."""
        self._fault = self._replay = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)
        with suppress(ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
            await self._serve(reader, writer, h11.Connection(h11.SERVER))
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, http: h11.Connection) -> None:
        while (request := await _receive(reader, http)) is not None:
            self.requests.append(request)
            reply = await self._answer(request)
            if reply.hold:
                await reader.read()  # until the client gives up
                return
            _send(writer, http, request, reply)
            await writer.drain()
            if reply.cut is not None or http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _answer(self, request: Request) -> Reply:
        if len(self.requests) - self._since > PATIENCE:
            return Reply.json({"error": {"message": "there is no end to these requests"}}, status=400)
        reply = self._fault(request, len(self.requests) - self._since) if self._fault else None
        if reply is not None:
            return reply
        if self._replay is not None and request.path in self._replay:
            return self._replay[request.path]
        answer = self._handler(request)(request)
        reply = answer if isinstance(answer, Reply) else await answer
        if self._replay is not None:
            self._replay[request.path] = reply
        return reply

    def _handler(self, request: Request) -> Handler:
        exact = self._routes.get((request.method, request.path))
        below = [
            (path, handler)
            for (method, path), handler in self._routes.items()
            if method == request.method and path.endswith("*") and request.path.startswith(path[:-1])
        ]
        return exact or max(below, key=lambda route: len(route[0]), default=("", _not_found))[1]


def _not_found(request: Request) -> Reply:
    return Reply.json({"error": {"message": f"no route for {request.method} {request.path}"}}, status=404)


async def _receive(reader: asyncio.StreamReader, http: h11.Connection) -> Request | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            return Request(head.method.decode(), head.target.decode(), headers, body)
        else:
            return None


def _send(writer: asyncio.StreamWriter, http: h11.Connection, request: Request, reply: Reply) -> None:
    headers = {"Content-Length": str(len(reply.body)), **reply.headers}
    events: list[h11.Event] = [h11.Response(status_code=reply.status, headers=list(headers.items()))]
    if request.method != "HEAD" and reply.status not in (204, 304):
        events.append(h11.Data(data=reply.body[: reply.cut]))
    if reply.cut is None:
        events.append(h11.EndOfMessage())
    for event in events:
        writer.write(http.send(event) or b"")
