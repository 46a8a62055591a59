"""The scripted vendor does what its script says."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from reconciler.connectors import scripted
from reconciler.connectors.http import Refused, VendorClient
from reconciler.connectors.scripted import Handler, Reply, Request, ScriptedServer, dump


def named(path: str) -> Handler:
    """A handler that answers the path it was installed for."""
    return lambda _: Reply.json(path)


async def test_routes(server: ScriptedServer, client: VendorClient) -> None:
    """The exact path wins over a pattern, and the longer pattern over the shorter one."""
    for path in ("/v1/*", "/v1/a/*", "/v1/a/b"):
        server.route("GET", path, named(path))

    assert [await client.json("GET", path) for path in ("/x", "/a/x", "/a/b")] == ["/v1/*", "/v1/a/*", "/v1/a/b"]


async def test_no_route(server: ScriptedServer, client: VendorClient) -> None:
    """What has no route is answered by 404, as a vendor would."""
    server.route("POST", "/v1/x", lambda _: Reply.json([]))

    with pytest.raises(Refused, match="no route for GET /v1/x"):
        await client.json("GET", "/x")


async def test_handlers_may_await(server: ScriptedServer, client: VendorClient) -> None:
    """A handler that is a coroutine is awaited."""

    async def handler(request: Request) -> Reply:
        await asyncio.sleep(0)
        return Reply.json([request.first("a"), request.every("a"), request.first("b"), request.every("b")])

    server.route("GET", "/v1/x", handler)

    assert await client.json("GET", "/x", params={"a": ["1", "2"]}) == ["1", ["1", "2"], None, []]


async def test_faults_by_number(server: ScriptedServer, client: VendorClient, waits: list[float]) -> None:
    """A fault may be meant for one request alone, counted from when it was set, and can be taken back."""
    server.route("GET", "/v1/x", lambda _: Reply.json([]))
    await client.json("GET", "/x")
    server.fail(Reply(503), nth=2)
    for _ in range(3):
        await client.json("GET", "/x")
    assert len(waits) == 1

    server.fail(Reply(503))
    server.heal()
    await client.json("GET", "/x")
    assert len(waits) == 1


async def test_the_end_of_patience(
    server: ScriptedServer, client: VendorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After very many requests the server refuses, so that a client that walks in circles fails."""
    monkeypatch.setattr(scripted, "PATIENCE", 20)
    server.route("GET", "/v1/x", lambda _: Reply.json([]))
    for _ in range(20):
        await client.json("GET", "/x")

    with pytest.raises(Refused, match="no end to these requests"):
        await client.json("GET", "/x")


async def test_what_is_no_http(server: ScriptedServer) -> None:
    """A client that speaks something else, or hangs up half-way, is let go."""
    for words in (b"\x16\x03\x01 hello\r\n\r\n", b"GET /"):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(words)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    assert not server.requests


async def test_it_must_be_started() -> None:
    """Outside its `async with` a server has no address."""
    with pytest.raises(RuntimeError, match="not started"):
        _ = ScriptedServer().url


def test_decimals_are_written_exactly() -> None:
    """JSON is written without a float on the way, whatever the nesting."""
    value = {"a": [Decimal("0.10"), None, True, 'q"'], "b": {"c": Decimal("1E+3")}}

    assert dump(value) == '{"a":[0.10,null,true,"q\\""],"b":{"c":1E+3}}'
