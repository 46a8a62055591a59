"""Kopf, in a thread of its own: it lists and watches, and everything it sees is handed over at once.

In a thread, because kopf takes the loop it runs in for its own: it catches signals and, when it ends, cancels every
task that began after it did. Nothing is reconciled here, so nothing here waits.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, repeat
from typing import Any, Final

import aiohttp
import kopf

from reconciler.errors import NeedsPerson
from reconciler.sources.kubernetes.access import CONNECT_SECONDS, REQUEST_SECONDS, Access, session
from reconciler.sources.kubernetes.api import GROUP, VERSION, WATCHED_SECRETS
from reconciler.sources.kubernetes.call import Object

SERVER_SECONDS: Final = 300
INACTIVE_SECONDS: Final = 70.0
STALE_SECONDS: Final = SERVER_SECONDS + INACTIVE_SECONDS + 60
"""A watch is begun anew at least this often; one that is not is dead."""
LOGIN_SECONDS: Final = 2.0
"""Time between two logins, so that a refused credential does not make a storm."""
STOP_SECONDS: Final = 8.0
BEAT_SECONDS: Final = 5.0
"""A loop that takes longer to answer is stuck."""


class Patience:
    """Seconds between tries of a request that the API server does not answer well: kopf would end after a minute."""

    def __iter__(self) -> Iterator[float]:
        return chain((0.5, 1.0, 2.0, 4.0, 8.0), repeat(15.0))


Hear = Callable[[str | None, str, Object], None]
"""Told the type of an event (None while listing), the kind, and the object."""


class Watch:
    """Watches the kinds of `plurals` and labelled Secrets. `hear` and `listed` are called in the loop of `start`.

    `listed` is told the kind and namespace (or None) that was listed again, so that what went unseen can be found.
    """

    def __init__(
        self, access: Access, plurals: Mapping[str, str], hear: Hear, listed: Callable[[str, str | None], None]
    ) -> None:
        self._access, self._kinds = access, {plural: kind for kind, plural in plurals.items()}
        self._streams = len(plurals) * max(1, len(access.namespaces))
        self._hear, self._listed = hear, listed
        self._secrets = False
        self._stopping = False
        self._stop: asyncio.Event | None = None
        self._requested: dict[str, float] = {}
        self._lists: set[str] = set()
        self._last_login = float("-inf")
        self._home: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    def start(self, *, secrets: bool) -> asyncio.Future[None]:
        """Begin, also with Secrets if told; the future ends with kopf, by an error unless `stop` was called."""
        self._secrets = secrets
        self._home = asyncio.get_running_loop()
        self._ended = self._home.create_future()
        self._thread.start()
        return self._ended

    async def stop(self) -> None:
        """End, within STOP_SECONDS; what kopf ended with was for the future of `start` to tell."""
        self._stopping = True
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._ended is not None:
            with suppress(Exception):
                async with asyncio.timeout(STOP_SECONDS):
                    await asyncio.shield(self._ended)

    @property
    def watching(self) -> bool:
        """Whether every kind is watched in every namespace that is served."""
        return len(self._requested) == self._streams

    def begun(self) -> dict[tuple[str, str], float]:
        """When each watch was last begun, in seconds since the epoch, by kind and namespace (empty for all)."""
        past = time.time() - time.monotonic()
        return {self._watched(path): past + at for path, at in dict(self._requested).items()}

    async def trouble(self) -> str | None:
        """Why the watch is not to be relied on; None while it is."""
        if self._loop is None or self._ended is None or self._ended.done():
            return "the watch does not run"
        beat = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop)
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                await asyncio.wrap_future(beat)
        except TimeoutError:
            return "the watch's loop is stuck"
        oldest = min(self._requested.values(), default=time.monotonic())
        return "a watch has gone silent" if time.monotonic() - oldest > STALE_SECONDS else None

    def _run(self) -> None:
        assert self._home is not None
        error: BaseException | None = None
        try:
            asyncio.run(self._operate())
        except BaseException as met:  # noqa: BLE001  # whatever ends the thread is told to the loop that waits for it
            error = met
        with suppress(RuntimeError):  # the loop may be closed already
            self._home.call_soon_threadsafe(self._end, error)

    def _end(self, error: BaseException | None) -> None:
        if self._ended is None or self._ended.done():
            return
        if self._stopping:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(NeedsPerson(f"the watch on the cluster ended: {error!r}", reason="NoCluster"))

    async def _operate(self) -> None:
        self._stop = stop = asyncio.Event()  # of this loop: a flag of threads would keep one waiting after the end
        self._loop = asyncio.get_running_loop()
        if self._stopping:
            return
        namespaces = self._access.namespaces
        await kopf.operator(
            registry=self._registry(),
            settings=settings(),
            clusterwide=not namespaces,
            namespaces=namespaces,
            standalone=True,
            stop_flag=stop,
        )

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        async def login(**_kwargs: Any) -> kopf.AiohttpSession:
            return await self._login()

        async def heard(event: kopf.RawEvent, resource: kopf.Resource, **_kwargs: Any) -> None:
            self._hand_over(event, self._kinds.get(resource.plural, "Secret"))

        kopf.on.login(registry=registry)(login)
        for plural in self._kinds:
            kopf.on.event(GROUP, VERSION, plural, registry=registry)(heard)
        if self._secrets:
            kopf.on.event("", "v1", "secrets", registry=registry)(heard)
        return registry

    def _hand_over(self, event: kopf.RawEvent, kind: str) -> None:
        assert self._home is not None
        found = dict(event["object"])
        if kind == "Secret":
            found = {"metadata": found["metadata"]}  # the values stay where they are
        self._home.call_soon_threadsafe(self._hear, event["type"], kind, found)

    async def _login(self) -> kopf.AiohttpSession:
        wait = self._last_login + LOGIN_SECONDS - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        self._last_login = time.monotonic()
        configuration = await self._access.load()
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._requested_now)
        return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session(configuration, trace))

    async def _requested_now(
        self, _session: aiohttp.ClientSession, _context: object, params: aiohttp.TraceRequestEndParams
    ) -> None:
        """Note when each watch was last begun, and when a list is made that is not the first."""
        path, query = params.url.path, params.url.query
        if path.rpartition("/")[2] not in self._kinds or params.response.status != 200:
            return
        if "watch" in query:
            self._requested[path] = time.monotonic()
        elif path not in self._lists:
            self._lists.add(path)
        elif "continue" not in query:
            assert self._home is not None
            kind, namespace = self._watched(path)
            self._home.call_soon_threadsafe(self._listed, kind, namespace or None)

    def _watched(self, path: str) -> tuple[str, str]:
        """The kind and the namespace (empty for all) of a path such as /apis/GROUP/VERSION/namespaces/NAME/PLURAL."""
        *before, plural = path.split("/")
        return self._kinds[plural], before[-1] if before[-2] == "namespaces" else ""


def settings() -> kopf.OperatorSettings:
    """Kopf as a mere watch: no events, no peering, no scanning, and streams that cannot go silent unnoticed."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.posting.enabled = False
    chosen.watching.server_timeout = SERVER_SECONDS
    chosen.watching.client_timeout = SERVER_SECONDS + 30
    chosen.watching.connect_timeout = CONNECT_SECONDS
    chosen.watching.inactivity_timeout = INACTIVE_SECONDS
    chosen.watching.reconnect_backoff = 1.0
    chosen.watching.chunk_size = 500
    chosen.watching.label_selectors["v1", "secrets"] = WATCHED_SECRETS
    chosen.networking.request_timeout = REQUEST_SECONDS
    chosen.networking.connect_timeout = CONNECT_SECONDS
    chosen.networking.enforce_retry_after = True
    chosen.networking.error_backoffs = Patience()
    chosen.process.ultimate_exiting_timeout = None
    chosen.queueing.idle_timeout = 1.0
    logging.getLogger("kopf").setLevel(logging.WARNING)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # it warns that signals are not its own
    return chosen
