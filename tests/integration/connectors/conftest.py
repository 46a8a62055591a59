"""A scripted vendor, and clients that ask it without really waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.connectors.http import EgressPolicy, HttpLimits, Meter, VendorClient
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import ReconcilerError
from tests.integration.connectors import aws_moto, azurite
from tests.integration.connectors.certificates import Certificates

JSON = {"Content-Type": "application/json"}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

MakeClient = Callable[..., AbstractAsyncContextManager[VendorClient]]


def serve(server: ScriptedServer, body: bytes, headers: Mapping[str, str] = JSON) -> None:
    """Have /v1/x answer `body`."""
    server.route("GET", "/v1/x", lambda _: Reply(body=body, headers=headers))


async def failure(client: VendorClient, method: str = "GET", **options: Any) -> ReconcilerError:
    """The error that asking for /v1/x raises."""
    with pytest.raises(ReconcilerError) as caught:
        await client.json(method, "/x", **options)
    return caught.value


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """A vendor that knows no routes yet."""
    async with ScriptedServer() as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    """The seconds that clients would have waited between attempts."""
    return []


@pytest.fixture
def make_client(server: ScriptedServer, waits: list[float]) -> MakeClient:
    """Makes clients of `server` that note their waits instead of waiting."""

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    def make(**given: Any) -> VendorClient:
        defaults: dict[str, Any] = {
            "base_url": f"{server.url}/v1",
            "policy": EgressPolicy(allow_loopback=True),
            "meter": Meter(),
            "limits": HttpLimits(),
            "sleep": wait,
            "random": lambda: 0.5,
            "clock": lambda: NOW,
        }
        return VendorClient(**(defaults | given))

    return make


@pytest.fixture
async def client(make_client: MakeClient) -> AsyncIterator[VendorClient]:
    """A client of `server` with everything at its default."""
    async with make_client() as opened:
        yield opened


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority that clients of a test can be made to trust."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """The address of an emulated AWS, which every test of a process shares."""
    with aws_moto.running() as url:
        yield url


@pytest.fixture(scope="session")
def azurite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[azurite.Azurite]:
    """An emulated Blob storage, which every test of a process shares; each makes a container of its own."""
    with azurite.running(tmp_path_factory.mktemp("azurite")) as running:
        yield running


@pytest.fixture
def moto(moto_server: str) -> str:
    """The same, with nothing in it."""
    aws_moto.forget(moto_server)
    return moto_server
