"""A Kubernetes API server that does wrong what a real one cannot be made to: it stalls, stutters, lies and forgets.

It knows one kind, and answers discovery, lists and watches as Kubernetes documents them (kubernetes.io/docs/reference/
using-api/api-concepts). Each watch takes the next of `watches`, a script; without one it is quiet and sends bookmarks.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from api.server import listening

GROUP = "/apis/costhook.io/v1alpha1"
Script = Callable[["ApiServer"], AsyncIterator[Any]]
"""What one watch sends: events, and texts as they are."""


@dataclass
class ApiServer:
    """`refusals` are statuses for the next requests of any kind, before anything else; `token` is the only good one."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    watches: deque[Script] = field(default_factory=deque)
    refusals: deque[int] = field(default_factory=deque)
    answers: deque[Response] = field(default_factory=deque)
    """For the next requests about one object, as they are."""
    page: int = 500
    token: str = "first"
    asked: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    secret_watches: deque[Script] = field(default_factory=deque)
    """What watches of Secrets send; there may be none, as long as nothing is here."""
    secret_selectors: set[str | None] = field(default_factory=set)
    """The label selectors by which Secrets were asked for."""
    _versions: Any = field(default_factory=lambda: count(1))

    def make(self, name: str) -> dict[str, Any]:
        """A Provider, new or changed; the event that tells of it."""
        version = str(next(self._versions))
        before = self.objects.get(name)
        generation = 1 if before is None else before["metadata"]["generation"] + 1
        meta = {"name": name, "namespace": "team-a", "uid": f"uid-{name}", "generation": generation}
        found = {
            "apiVersion": "costhook.io/v1alpha1",
            "kind": "Provider",
            "metadata": {**meta, "resourceVersion": version},
            "spec": {"type": "openai", "secretRef": {"name": f"{name}-key"}},
        }
        self.objects[name] = found
        return {"type": "ADDED" if before is None else "MODIFIED", "object": found}

    def count(self, word: str) -> int:
        """How often it was asked to `list` or to `watch`."""
        return self.asked.count(word)

    async def answer(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        if "watch" in request.query_params:
            self.asked.append("watch")
            script = self.watches.popleft() if self.watches else quiet
            return StreamingResponse(self._stream(script), media_type="application/json")
        self.asked.append("list")
        first = int(request.query_params.get("continue") or 0)
        last, there = first + self.page, list(self.objects.values())
        metadata = {"resourceVersion": str(next(self._versions)), "continue": str(last) if last < len(there) else ""}
        return JSONResponse({"kind": "ProviderList", "metadata": metadata, "items": there[first:last]})

    async def one(self, request: Request) -> Response:
        found = self.objects.get(request.path_params["name"])
        if self.answers:
            return self.answers.popleft()
        return self._refused(request) or (JSONResponse(found) if found else status(404))

    async def discover(self, request: Request) -> Response:
        preferred = {"version": "v1alpha1"}
        said: dict[str, Any] = {
            "/api": {"versions": ["v1"]},
            "/api/v1": {
                "resources": [
                    _kind("namespaces", "Namespace", namespaced=False),
                    _kind("secrets", "Secret", namespaced=True),
                ]
            },
            "/apis": {"groups": [{"name": "costhook.io", "versions": [preferred], "preferredVersion": preferred}]},
            GROUP: {"resources": [_kind("providers", "Provider", namespaced=True)]},
        }
        return self._refused(request) or JSONResponse(said[request.url.path])

    async def secrets(self, request: Request) -> Response:
        self.secret_selectors.add(request.query_params.get("labelSelector"))
        if not self.secret_watches and "watch" not in request.query_params:
            return self._refused(request) or status(403)
        if "watch" in request.query_params:
            script = self.secret_watches.popleft() if self.secret_watches else quiet
            return StreamingResponse(self._stream(script), media_type="application/json")
        return JSONResponse({"kind": "SecretList", "metadata": {"resourceVersion": "1"}, "items": []})

    def _refused(self, request: Request) -> Response | None:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            self.asked.append("unauthorized")
            return status(401)
        return status(self.refusals.popleft()) if self.refusals else None

    async def _stream(self, script: Script) -> AsyncIterator[bytes]:
        async for each in script(self):
            yield (each if isinstance(each, str) else json.dumps(each) + "\n").encode()


def _kind(plural: str, kind: str, *, namespaced: bool) -> dict[str, Any]:
    names = {"name": plural, "singularName": kind.lower(), "kind": kind}
    return {**names, "namespaced": namespaced, "verbs": ["get", "list", "watch", "patch"]}


def status(code: int) -> Response:
    return JSONResponse({"kind": "Status", "status": "Failure", "code": code, "message": "so it is"}, code)


def again_and_again(event: Any) -> Script:
    """The event, every now and then."""

    async def script(server: ApiServer) -> AsyncIterator[Any]:
        while not server.over.is_set():
            yield event
            with suppress(TimeoutError):
                await asyncio.wait_for(server.over.wait(), 0.1)

    return script


quiet = again_and_again({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}})
"""Nothing happens, and the server says so."""


async def silent(server: ApiServer) -> AsyncIterator[Any]:
    """The connection stays, and nothing ever comes."""
    await server.over.wait()
    yield ""


def then(*events: Any) -> Script:
    """These events, and the end of the watch; a function is called, an exception cuts the connection."""

    async def script(_server: ApiServer) -> AsyncIterator[Any]:
        for each in events:
            if isinstance(each, Exception):
                raise each
            yield each() if callable(each) else each

    return script


@asynccontextmanager
async def api_server(folder: Path) -> AsyncIterator[tuple[ApiServer, Path]]:
    """The server, and a kubeconfig for it whose token lies in the file `token` beside it."""
    server = ApiServer()
    routes = [
        Route(f"{GROUP}/providers", server.answer),
        Route(f"{GROUP}/namespaces/{{namespace}}/providers/{{name}}", server.one, methods=["GET", "PATCH"]),
        Route("/api/v1/secrets", server.secrets),
        *(Route(path, server.discover) for path in ("/api", "/api/v1", "/apis", GROUP)),
    ]
    (folder / "token").write_text(server.token)
    async with listening(Starlette(routes=routes), "127.0.0.1", 0) as url:
        config = {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"tokenFile": str(folder / "token")}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        (folder / "kubeconfig").write_text(yaml.safe_dump(config))
        yield server, folder / "kubeconfig"
        server.over.set()


async def until(reached: Callable[[], bool | Awaitable[bool]], seconds: float = 15.0) -> None:
    """Return once `reached` is true."""
    async with asyncio.timeout(seconds):
        while not reached():
            await asyncio.sleep(0.02)
