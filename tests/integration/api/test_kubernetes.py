"""Callers whom a cluster knows: whatever its API server answers, or fails to, nobody sees more than RBAC lets them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from api import apiserver
from api.app import create_app
from api.kubernetes import KEPT
from api.server import listening
from ledger import audit, resources
from ledger.database import ReaderDB, WriterDB
from ledger.errors import NeedsPerson
from ledger.resources import Ref, Sighting
from tests.integration.api.conftest import NOW, settings
from tests.integration.ledger.conftest import Desk
from tests.loopback import PLAIN

ACCOUNT = "system:serviceaccount:team-a:reporter"
VIEWER = {"query": "{ viewer { name kind namespaces scopes } }"}
SYNC = """mutation ($namespace: String!, $name: String!) {
  syncProvider(namespace: $namespace, name: $name) { __typename }
}"""
SILENCE = """mutation ($namespace: String!) {
  silence(scope: {namespace: $namespace}, until: "2026-12-01T00:00:00Z", reason: "moving") { __typename }
}"""
BROKEN: dict[str, Response] = {
    "down": PlainTextResponse("no", 500),
    "overloaded": JSONResponse({"kind": "Status", "code": 429}, 429),
    "forbidden": JSONResponse({"kind": "Status", "code": 403}, 403),
    "refusing": JSONResponse({"kind": "Status", "code": 401}, 401),
    "redirecting": RedirectResponse("http://127.0.0.1:1/"),
    "silly": PlainTextResponse("<html>"),
    "a list": JSONResponse([1]),
    "nothing": JSONResponse(None),
    "no status": JSONResponse({"kind": "TokenReview"}),
    "null status": JSONResponse({"status": None}),
    "a text": JSONResponse({"status": "authenticated"}),
    "nobody": JSONResponse({"status": {"authenticated": True}}),
    "nameless": JSONResponse({"status": {"authenticated": True, "user": {"username": ""}}}),
    "nested": PlainTextResponse("[" * 100_000),
}


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class ApiServer:
    """A cluster's API server, as far as it is asked: whose a token is, and what its owner may do where."""

    tokens: dict[str, str] = field(default_factory=lambda: {"good": ACCOUNT})
    rights: set[tuple[str, str, str | None]] = field(default_factory=set)
    """User, verb and namespace, as to Providers; None for all namespaces."""
    alerting: set[tuple[str, str, str | None]] = field(default_factory=set)
    """The same as to Alerts."""
    mood: str = "good"
    of: str = "tokenreviews"
    """Which reviews the mood is for."""
    asked: list[Any] = field(default_factory=list)
    bearers: list[str | None] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def review(self, request: Request) -> Response:
        kind, body = request.path_params["kind"], await request.json()
        self.asked.append(body)
        self.bearers.append(request.headers.get("authorization"))
        if self.mood == "slow" and kind == self.of:
            await self.over.wait()
        if self.mood in BROKEN and kind == self.of:
            return BROKEN[self.mood]
        spec = body["spec"]
        return JSONResponse({"status": self._whose(spec) if kind == "tokenreviews" else self._may(spec)}, 201)

    def _whose(self, spec: dict[str, Any]) -> dict[str, Any]:
        user = self.tokens.get(spec["token"])
        if user is None:
            return {"authenticated": False, "error": "invalid bearer token"}
        return {"authenticated": True, "user": {"username": user, "uid": "u1", "groups": ["g1"], "extra": {"k": ["v"]}}}

    def _may(self, spec: dict[str, Any]) -> dict[str, Any]:
        wanted = spec["resourceAttributes"]
        right = spec["user"], wanted["verb"], wanted.get("namespace")
        rights = {"providers": self.rights, "alerts": self.alerting}[wanted["resource"]]
        return {"allowed": right in rights or (*right[:2], None) in rights}


@dataclass
class House:
    """An API that asks a cluster about its callers."""

    server: ApiServer
    http: httpx.AsyncClient
    clock: Clock
    token_file: Path

    async def ask(self, token: str = "good", query: Any = VIEWER) -> httpx.Response:
        return await self.http.post("/graphql", json=query, headers={"authorization": f"Bearer {token}"})

    async def viewer(self, token: str = "good") -> Any:
        return (await self.ask(token)).json()["data"]["viewer"]


def kubeconfig(folder: Path, url: str, **user: str) -> Path:
    path = folder / "kubeconfig"
    config = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
async def house(reader: ReaderDB, tmp_path: Path) -> AsyncIterator[House]:
    server, clock, file = ApiServer(), Clock(), tmp_path / "token"
    file.write_text("costhooks-own\n")
    cluster = Starlette(routes=[Route("/apis/{group}/v1/{kind}", server.review, methods=["POST"])])
    async with listening(cluster, "127.0.0.1", 0) as url:
        config = kubeconfig(tmp_path, url, tokenFile="token")
        app = create_app(settings(authentication=True, kubernetes=str(config), clock=clock), reader)
        async with (
            listening(app, "127.0.0.1", 0) as here,
            httpx.AsyncClient(base_url=here, timeout=20, verify=PLAIN) as http,
        ):
            yield House(server, http, clock, file)
            server.over.set()


async def test_a_caller_is_asked_about_with_all_that_is_known(house: House) -> None:
    """User, uid, groups and extra of the token go into every question; Costhook asks by its own token."""
    house.server.rights = {(ACCOUNT, "get", None)}

    assert await house.viewer() == {
        "name": ACCOUNT,
        "kind": "KUBERNETES",
        "namespaces": None,
        "scopes": ["export", "metrics", "read"],
    }
    whose, *rights = house.server.asked
    assert whose["spec"] == {"token": "good"}
    assert {json.dumps([spec["user"], spec["uid"], spec["groups"], spec["extra"]]) for spec in _specs(rights)} == {
        json.dumps([ACCOUNT, "u1", ["g1"], {"k": ["v"]}])
    }
    assert all(spec["resourceAttributes"]["group"] == "costhook.io" for spec in _specs(rights))
    assert set(house.server.bearers) == {"Bearer costhooks-own"}


async def test_who_may_patch_may_sync_there_and_nowhere_else(house: House, desk: Desk, writer: WriterDB) -> None:
    """Rights are those of each namespace, and the audit log says that a cluster knew the caller."""
    other = Desk(writer, f"{desk.namespace}-x")
    await other.open()
    house.server.rights = {(ACCOUNT, verb, desk.namespace) for verb in ("get", "patch")}
    house.server.rights.add((ACCOUNT, "get", other.namespace))

    for where, said in ((desk, "SyncRequested"), (other, "not ask for syncs in it")):
        variables = {"namespace": where.namespace, "name": where.name}
        assert said in (await house.ask(query={"query": SYNC, "variables": variables})).text
    [entry] = [entry for entry in await audit.latest(desk.db, 50) if entry.namespace == desk.namespace]
    assert (entry.actor, entry.actor_kind) == (ACCOUNT, "kubernetes")


async def test_who_may_patch_alerts_may_silence_them_there_and_nowhere_else(house: House, desk: Desk) -> None:
    """The right to Alerts is asked for by itself: without it one sees them, and with it one may not sync."""
    house.server.rights = {(ACCOUNT, "get", None)}
    house.server.alerting = {(ACCOUNT, "patch", desk.namespace)}
    await resources.see(desk.db, Sighting(Ref(desk.namespace, "Alert", "a"), "u", 1, "s", None, {}, {}), NOW)

    assert (await house.viewer())["scopes"] == ["alert", "export", "metrics", "read"]
    for where, said in ((desk.namespace, "Silenced"), ("elsewhere", "do nothing about its alerts")):
        assert said in (await house.ask(query={"query": SILENCE, "variables": {"namespace": where}})).text
    refused = await house.ask(query={"query": SYNC, "variables": {"namespace": desk.namespace, "name": desk.name}})
    assert "This takes the scope sync." in refused.text


async def test_an_unknown_token_opens_nothing(house: House) -> None:
    """A token that the cluster does not know, such as one for another audience, is answered as none at all."""
    house.server.rights = {(ACCOUNT, "get", None)}

    assert (await house.ask("another")).status_code == 401
    assert (await house.ask("costhook_")).status_code == 401


async def test_answers_are_kept_for_a_moment(house: House) -> None:
    """A right that is taken away, a token that is revoked and one that becomes good are felt after KEPT, not before."""
    house.server.rights = {(ACCOUNT, "get", None)}
    assert (await house.viewer())["namespaces"] is None
    assert (await house.ask("late")).status_code == 401
    asked = len(house.server.asked)

    house.server.rights.clear()
    house.server.tokens["late"] = "ann"
    house.clock.now += KEPT - timedelta(seconds=1)
    assert (await house.viewer())["namespaces"] is None
    assert (await house.ask("late")).status_code == 401
    assert len(house.server.asked) == asked

    house.clock.now += timedelta(seconds=1)
    assert (await house.viewer())["namespaces"] == []
    assert (await house.viewer("late"))["name"] == "ann"
    house.server.tokens.clear()
    house.clock.now += KEPT
    assert (await house.ask()).status_code == 401


@pytest.mark.parametrize("of", ["tokenreviews", "subjectaccessreviews"])
async def test_a_broken_api_server_lets_nobody_in(house: House, of: str) -> None:
    """Whatever is wrong with it, the answer is 503 in plain words, nothing is kept, and it is asked again at once."""
    house.server.rights, house.server.of = {(ACCOUNT, "get", None)}, of
    for mood in BROKEN:
        if of == "tokenreviews" or mood not in ("nobody", "nameless"):
            house.server.mood = mood
            refused = await house.ask()
            assert refused.status_code == 503, mood
            assert refused.json()["errors"][0]["message"] == "The cluster cannot be asked who you are; try again soon."

    house.server.mood = "good"
    assert (await house.ask()).status_code == 200


async def test_a_slow_api_server_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not come in time is none."""
    monkeypatch.setattr(apiserver, "SECONDS", 0.1)
    house.server.mood = "slow"

    assert (await house.ask()).status_code == 503


async def test_costhooks_own_token_is_read_anew(house: House) -> None:
    """Kubernetes renews the file of the token; one that is gone is an API server that cannot be asked."""
    house.token_file.write_text("renewed")
    assert (await house.ask()).status_code == 200
    assert house.server.bearers[-1] == "Bearer renewed"

    house.token_file.unlink()
    assert (await house.ask("another")).status_code == 503


async def test_many_callers_do_not_fill_the_memory(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more callers than are kept, the oldest are forgotten, and asked about again."""
    monkeypatch.setattr("api.kubernetes.MOST_KEPT", 2)
    for token in ("good", "one", "two", "good"):
        await house.ask(token)

    assert [body["spec"]["token"] for body in house.server.asked if "token" in body["spec"]].count("good") == 2


@pytest.mark.parametrize("text", ["", "[]", "contexts: []", "clusters: 5", "{"])
async def test_a_kubeconfig_that_says_nothing_is_refused(text: str, tmp_path: Path) -> None:
    """The setting is named, with what it may hold."""
    path = tmp_path / "kubeconfig"
    path.write_text(text)

    with pytest.raises(NeedsPerson, match=r"COSTHOOK_KUBERNETES: .* write in-cluster in a pod, or the path"):
        apiserver.login(str(path))


def _specs(bodies: list[Any]) -> list[dict[str, Any]]:
    return [body["spec"] for body in bodies]
