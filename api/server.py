"""Running the API inside a loop that already runs, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ledger.errors import NeedsPerson

STALLED_MS = 60_000
"""A client that takes nothing for this long is cut off by the kernel."""
HEAD_SECONDS = 10.0
GRACE_SECONDS = 5
"""What requests under way are given to end when the server stops."""


class _Protocol(H11Protocol):
    """Gives the head of a request HEAD_SECONDS to arrive, however it drips; uvicorn itself would wait for ever."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unwatch()

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state is h11.IDLE:
            self._watch()
        else:
            self._unwatch()

    def _watch(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.send_400_response("The request did not arrive in time.")


class _Server(uvicorn.Server):
    """Leaves signals to the program that runs it, tells when it takes requests, and ends as soon as it is told to.

    uvicorn itself looks ten times a second whether it is to end, and rests a tenth of a second more at the end.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up, self.down = asyncio.Event(), asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        while not self.down.is_set():
            await self.on_tick(0)  # sets the date of answers, to the second
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self.down.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in [*self.servers, *(sockets or ())]:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # those that are idle are gone after this
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await self._wait_tasks_to_complete()
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: ASGIApp, host: str, port: int, stop: asyncio.Event, *, started: Callable[[str], None] | None = None
) -> None:
    """Serve until `stop` is set, then end cleanly. `started` is told the base URL once requests are taken.

    Raises NeedsPerson when the address cannot be listened on.
    """
    async with listening(app, host, port) as url:
        if started is not None:
            started(url)
        await stop.wait()


@cache
def _settle() -> None:
    """Keep what is loaded by now out of garbage collection, which would stop an answer for 75 ms to go through it.

    Once in a process: what is garbage by then stays, too.
    """
    gc.freeze()


@contextlib.asynccontextmanager
async def listening(app: ASGIApp, host: str, port: int) -> AsyncIterator[str]:
    """Serve while the block runs; gives the base URL. Port 0 picks a free one."""
    listener = _listen(host, port)
    # h11 bounds the size of headers; the other implementation that uvicorn has keeps endless ones in memory.
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="api")
    task.add_done_callback(lambda _: server.up.set())
    try:
        await server.up.wait()
        if task.done():
            await task
        _settle()
        yield _url(listener)
    finally:
        server.down.set()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise NeedsPerson(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --listen HOST:PORT"
        ) from None
    # Connections inherit both. asyncio asks for no delay only where the protocol is named, which it is not here, and
    # with delay every answer, sent in two parts, waits 40 ms for the client's acknowledgement of the first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # A connection whose client stops reading ends, whatever waits to be sent.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MS)
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
