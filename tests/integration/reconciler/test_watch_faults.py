"""Whatever a watch on the cluster meets, what happened is noticed afterwards, or the process says that it is blind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.errors import NeedsPerson
from reconciler.kinds.catalogue import kinds
from reconciler.sources.base import Key
from reconciler.sources.kubernetes import Access, KubernetesSource, watch
from tests.integration.reconciler.apiserver import ApiServer, again_and_again, api_server, silent, then, until

OPENAI = Key("Provider", "team-a", "openai")
GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
KNOWN = {"Provider": kinds()["Provider"]}


@dataclass
class Listener:
    """The source, and everything that it has named."""

    source: KubernetesSource
    heard: list[Key]

    async def hears(self, key: Key = OPENAI, times: int = 1) -> None:
        await until(lambda: self.heard.count(key) >= times)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same settings, with shorter waits."""
    monkeypatch.setattr(watch, "INACTIVE_SECONDS", 0.5)
    monkeypatch.setattr(watch, "LOGIN_SECONDS", 0.1)
    monkeypatch.setattr(watch.Patience, "__iter__", lambda _: iter([0.05] * 1000))
    usual = watch.settings

    def settings() -> object:
        chosen = usual()
        chosen.watching.reconnect_backoff = 0.05
        return chosen

    monkeypatch.setattr(watch, "settings", settings)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with api_server(tmp_path) as (running, _):
        yield running


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Listener]:
    access = Access(folder / "kubeconfig")
    async with KubernetesSource(access, KNOWN, clock=lambda: datetime.now(UTC), instance="test") as source:
        heard: list[Key] = []

        following = asyncio.create_task(_follow(source, heard.append))
        try:
            yield Listener(source, heard)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _follow(source: KubernetesSource, hear: Callable[[Key], None]) -> None:
    async for key in source.changes():
        hear(key)


async def test_what_is_there_and_what_comes_is_named(server: ApiServer, tmp_path: Path) -> None:
    """A list names what there is; a watch what comes, once each."""
    server.make("openai")
    server.watches.append(then(lambda: server.make("second")))
    async with listening(tmp_path) as listener:
        await listener.hears()
        await listener.hears(Key("Provider", "team-a", "second"))
        await until(lambda: listener.source.watching)
        assert await listener.source.trouble() is None


async def test_only_labelled_secrets_are_watched(server: ApiServer, tmp_path: Path) -> None:
    """Secrets are listed and watched by their label alone; one that changes names those who use it, and is not kept."""
    server.make("openai")
    meta = {"name": "openai-key", "namespace": "team-a", "uid": "s", "resourceVersion": "9"}
    changed = {"kind": "Secret", "apiVersion": "v1", "metadata": meta, "data": {"apiKey": "c2stcGxhbnRlZA=="}}
    server.secret_watches.append(again_and_again({"type": "MODIFIED", "object": changed}))
    async with listening(tmp_path) as listener:
        await listener.hears(times=2)
        assert "c2stcGxhbnRlZA==" not in str(vars(listener.source._notes))

    assert server.secret_selectors == {"costhook.io/watch=true"}


async def test_a_silent_watch_is_begun_anew(server: ApiServer, tmp_path: Path) -> None:
    """A watch whose server sends nothing, not even a bookmark, is given up, and the next one is heard."""
    server.watches += [silent, silent, then(lambda: server.make("openai"))]
    async with listening(tmp_path) as listener:
        await listener.hears()

    assert server.count("watch") >= 3


@pytest.mark.parametrize("code", [500, 503, 429, 403])
async def test_a_burst_of_refusals_is_waited_out(server: ApiServer, tmp_path: Path, code: int) -> None:
    """However often the API server refuses for the moment, the watch goes on when it does not."""

    def burst() -> object:
        server.refusals += [code] * 20
        return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}}

    server.watches += [then(burst), then(lambda: server.make("openai"))]
    async with listening(tmp_path) as listener:
        await listener.hears()

    assert not server.refusals


async def test_a_history_that_is_gone_is_listed_again(server: ApiServer, tmp_path: Path) -> None:
    """At 410 Gone in mid-watch everything is listed anew: what changed meanwhile is named, and what went."""
    server.make("openai")
    going = Key("Provider", "team-a", "going")
    server.make("going")

    def happens_unseen() -> object:
        server.objects.pop("going")
        server.make("openai")
        server.make("new")
        return GONE

    server.watches.append(then(happens_unseen))
    async with listening(tmp_path) as listener:
        await listener.hears(times=2)
        await listener.hears(Key("Provider", "team-a", "new"))
        await listener.hears(going, times=2)
        assert await listener.source.get(going) is None

    assert server.count("list") >= 2


async def test_a_watch_that_is_cut_goes_on(server: ApiServer, tmp_path: Path) -> None:
    """A connection that breaks in the middle of an event loses nothing."""
    server.watches += [
        then('{"type": "ADDED", "obj', RuntimeError("cut")),
        then(lambda: server.make("openai")),
    ]
    async with listening(tmp_path) as listener:
        await listener.hears()


async def test_an_expired_token_is_read_anew(server: ApiServer, tmp_path: Path) -> None:
    """When Kubernetes has renewed the token on disk, watch and calls go on with the new one."""
    server.watches += [then(), then(), then(lambda: server.make("openai"))]
    async with listening(tmp_path) as listener:
        server.token = "second"
        await until(lambda: server.count("unauthorized") >= 1)
        (tmp_path / "token").write_text("second")
        await listener.hears()
        assert await listener.source.get(OPENAI) is not None


async def test_a_watch_that_cannot_go_on_ends_the_process(tmp_path: Path) -> None:
    """What no API server says ends the watch, and the one who listens is told, so that nobody stays blind unawares."""

    async def ends(folder: Path, nonsense: str) -> None:
        folder.mkdir()
        async with api_server(folder) as (running, config):
            running.watches += [then(nonsense)] * 3
            async with KubernetesSource(Access(config), KNOWN, clock=lambda: datetime.now(UTC), instance="test") as it:
                with pytest.raises(NeedsPerson, match="the watch on the cluster ended"):
                    await asyncio.wait_for(_follow(it, lambda _key: None), 15)
                assert await it.trouble() == "the watch does not run"

    async with asyncio.TaskGroup() as both:  # kopf takes five seconds for its end
        both.create_task(ends(tmp_path / "error", '{"type": "ERROR", "object": {"code": 500}}\n'))
        both.create_task(ends(tmp_path / "page", "<html>\n"))


async def test_a_watch_that_stays_away_is_told(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch that has not been begun anew for too long makes the process unhealthy."""
    async with listening(tmp_path) as listener:
        await until(lambda: listener.source.watching)
        monkeypatch.setattr(watch, "STALE_SECONDS", -1.0)
        assert await listener.source.trouble() == "a watch has gone silent"


async def test_a_stuck_loop_is_told(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch whose loop does not turn makes the process unhealthy."""
    monkeypatch.setattr(watch, "BEAT_SECONDS", 0.1)
    async with listening(tmp_path) as listener:
        await until(lambda: listener.source.watching)
        loop = listener.source._watch._loop
        assert loop is not None
        blocked = asyncio.Event()
        home = asyncio.get_running_loop()

        def block() -> None:
            home.call_soon_threadsafe(blocked.set)
            time.sleep(0.5)  # noqa: TID251  # the point is that the loop does nothing meanwhile

        loop.call_soon_threadsafe(block)
        await blocked.wait()
        assert await listener.source.trouble() == "the watch's loop is stuck"


async def test_unavailable_at_the_start_is_told(server: ApiServer, tmp_path: Path) -> None:
    """An API server that cannot answer when the process starts is an error that says so."""
    server.refusals.append(503)
    access = Access(tmp_path / "kubeconfig")
    source = KubernetesSource(access, KNOWN, clock=lambda: datetime.now(UTC), instance="test")
    with pytest.raises(Exception, match="the API server cannot list providers now: status 503"):
        async with source:
            pass
