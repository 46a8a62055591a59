"""How the API's server ends: at once when nobody asks anything, and else after what is under way."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from api import server
from api.server import listening
from tests.loopback import PLAIN


class Slow:
    """An application whose one answer takes until it is let go."""

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.app = Starlette(routes=[Route("/", self._answer)])

    async def _answer(self, _request: Request) -> PlainTextResponse:
        self.asked.set()
        await self.go.wait()
        return PlainTextResponse("done")


@pytest.fixture
def slow() -> Slow:
    return Slow()


async def test_what_is_under_way_is_answered(slow: Slow) -> None:
    """A request that came before the end gets its answer; after it nobody listens."""
    async with httpx.AsyncClient(verify=PLAIN) as http:
        async with listening(slow.app, "127.0.0.1", 0) as url:
            answer = asyncio.create_task(http.get(url))
            await slow.asked.wait()
            asyncio.get_running_loop().call_later(0.02, slow.go.set)
        assert (await answer).text == "done"
        with pytest.raises(httpx.ConnectError):
            await http.get(url)


async def test_what_takes_too_long_is_broken_off(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end waits for GRACE_SECONDS and no longer."""
    monkeypatch.setattr(server, "GRACE_SECONDS", 0.05)
    async with httpx.AsyncClient(verify=PLAIN) as http:
        async with listening(slow.app, "127.0.0.1", 0) as url:
            answer = asyncio.create_task(http.get(url))
            await slow.asked.wait()
        assert (await answer).status_code == 500


async def test_an_idle_connection_holds_nothing_up(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that keeps its connection for later is let go without a pause."""
    slow.go.set()
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(seconds)

    async with httpx.AsyncClient(verify=PLAIN) as http, listening(slow.app, "127.0.0.1", 0) as url:
        assert (await http.get(url)).text == "done"
        monkeypatch.setattr(asyncio, "sleep", noted)
    assert not any(pauses)
