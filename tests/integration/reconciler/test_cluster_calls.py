"""Calls to the API server: whatever it answers, the error says what to do, and repeats nothing that it should not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater
from reconciler.sources.base import Key
from reconciler.sources.kubernetes import Access
from reconciler.sources.kubernetes.api import Api
from reconciler.sources.kubernetes.call import ClusterUnavailable, Conflict, Forbidden, Gone
from tests.integration.reconciler.apiserver import ApiServer, api_server, status

OPENAI = Key("Provider", "team-a", "openai")
PLURALS = {"Provider": "providers"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with api_server(tmp_path) as (running, _):
        running.make("openai")
        yield running


@pytest.fixture
async def calls() -> list[tuple[str, int]]:
    """Every call, as it was counted."""
    return []


@pytest.fixture
async def api(server: ApiServer, tmp_path: Path, calls: list[tuple[str, int]]) -> AsyncIterator[Api]:
    assert server.token
    async with Api(Access(tmp_path / "kubeconfig"), PLURALS, lambda *call: calls.append(call)) as client:
        yield client


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (status(403), Forbidden, "does not allow Costhook to change the .*; give its role that right"),
        (status(404), Gone, "there is nothing to change"),
        (status(409), Conflict, "another writer was first"),
        (status(422), NeedsPerson, r"refuses to change the .*: so it is \(422\)"),
        (PlainTextResponse("no", 422), NeedsPerson, "it does not say why"),
        (status(429), ClusterUnavailable, "cannot change the .* now: status 429"),
        (status(500), ClusterUnavailable, "now: status 500"),
        (status(503), ClusterUnavailable, "now: status 503"),
        (HTMLResponse("<html>log in</html>"), ClusterUnavailable, "no API server answered"),
        (JSONResponse([1]), ClusterUnavailable, "no API server answered"),
        (PlainTextResponse("[" * 100_000), ClusterUnavailable, "no API server answered"),
    ],
)
async def test_every_refusal_says_what_to_do(
    server: ApiServer, api: Api, answer: Response, error: type[ReconcilerError], said: str
) -> None:
    """What passes by itself is tried again, what a role lacks or the server refuses wants a person."""
    server.answers.append(answer)

    with pytest.raises(error, match=said):
        await api.patch(OPENAI, "1", [])


async def test_a_credential_is_read_anew_once(
    server: ApiServer, api: Api, tmp_path: Path, calls: list[tuple[str, int]]
) -> None:
    """A refused credential is read from where it lies and tried once more; still refused, it is waited for."""
    server.token = "second"
    with pytest.raises(RetryLater, match="refuses Costhook's credential"):
        await api.read(OPENAI)
    (tmp_path / "token").write_text("second")

    assert await api.read(OPENAI) is not None
    assert calls == [("GET", 401), ("GET", 401), ("GET", 401), ("GET", 200)]


async def test_nobody_there_is_told(tmp_path: Path, calls: list[tuple[str, int]]) -> None:
    """A server that cannot be reached is waited for, and the call counted as one without an answer."""
    async with api_server(tmp_path):
        pass
    async with Api(Access(tmp_path / "kubeconfig"), PLURALS, lambda *call: calls.append(call)) as client:
        with pytest.raises(ClusterUnavailable, match="the API server cannot be reached to read the"):
            await client.read(OPENAI)

    assert calls == [("GET", 0)]


async def test_long_lists_come_in_pages(server: ApiServer, api: Api) -> None:
    """Every object is named, however many answers that takes."""
    server.page = 2
    for number in range(4):
        server.make(f"more-{number}")

    found = await api.names("Provider", None)

    assert [key.name for key in found] == ["openai", "more-0", "more-1", "more-2", "more-3"]
    assert server.count("list") == 3
