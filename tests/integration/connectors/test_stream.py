"""Files are read piece by piece, within bounds of size and time."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress

import pytest

from reconciler.connectors.http import HttpLimits, Meter, Refused, VendorClient
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import Bug, RetryLater
from tests.integration.connectors.conftest import MakeClient

FILE = bytes(range(256)) * 4096


async def read(client: VendorClient, limit: int | None = None) -> bytes:
    """The file at /v1/file."""
    async with client.stream("GET", "/file", limit=limit) as answer:
        return b"".join([chunk async for chunk in answer.chunks()])


async def test_a_file_in_pieces(server: ScriptedServer, make_client: MakeClient) -> None:
    """Every byte arrives, in pieces, counted by the meter; status and headers are at hand before."""
    server.route("GET", "/v1/file", lambda _: Reply(body=FILE, headers={"ETag": '"1"', "Content-Type": "text/csv"}))
    meter = Meter()
    async with make_client(meter=meter) as client, client.stream("GET", "/file", params={"v": 1}) as answer:
        chunks = [chunk async for chunk in answer.chunks()]

    assert b"".join(chunks) == FILE
    assert max(map(len, chunks)) <= 64 * 1024
    assert (answer.status, answer.headers["etag"]) == (200, '"1"')
    assert (meter.calls, meter.bytes) == (1, len(FILE))
    assert server.requests[0].headers["accept"] == "*/*"


async def test_a_file_that_did_not_change(server: ScriptedServer, client: VendorClient) -> None:
    """A conditional request may be answered by "not modified"."""
    server.route("GET", "/v1/file", lambda _: Reply(304))
    async with client.stream("GET", "/file", headers={"If-None-Match": '"1"'}) as answer:
        assert answer.status == 304
        assert [chunk async for chunk in answer.chunks()] == []

    assert server.requests[0].headers["if-none-match"] == '"1"'


async def test_a_gzip_file_stays_one(server: ScriptedServer, client: VendorClient) -> None:
    """Only the encoding of the transfer is undone; a file that is gzip itself is handed out as it is."""
    packed = gzip.compress(FILE)
    server.route("GET", "/v1/file", lambda _: Reply(body=packed, headers={"Content-Type": "application/gzip"}))
    assert await read(client) == packed

    server.route("GET", "/v1/file", lambda _: Reply(body=packed, headers={"Content-Encoding": "gzip"}))
    assert await read(client) == FILE


async def test_what_unfolds_comes_in_pieces_too(server: ScriptedServer, client: VendorClient) -> None:
    """However well a body is compressed, no piece of it is longer than one that was not."""
    packed = gzip.compress(bytes(10_000_000))
    server.route("GET", "/v1/file", lambda _: Reply(body=packed, headers={"Content-Encoding": "gzip"}))
    async with client.stream("GET", "/file") as answer:
        sizes = [len(chunk) async for chunk in answer.chunks()]

    assert sum(sizes) == 10_000_000
    assert max(sizes) <= 64 * 1024


async def test_a_file_that_is_too_long(server: ScriptedServer, client: VendorClient) -> None:
    """The bound is on what comes out, not on what travels."""
    server.route("GET", "/v1/file", lambda _: Reply(body=gzip.compress(FILE), headers={"Content-Encoding": "gzip"}))

    assert await read(client, limit=len(FILE)) == FILE
    with pytest.raises(Bug, match="longer than") as caught:
        await read(client, limit=len(FILE) - 1)
    assert f"{server.url}/v1/file" in str(caught.value)


async def test_a_file_that_breaks_off(server: ScriptedServer, client: VendorClient, waits: list[float]) -> None:
    """Once bytes have flowed there is no second try: the run ends and reads the file again later."""
    server.fail(Reply(body=FILE, cut=100_000))

    with pytest.raises(RetryLater) as caught:
        await read(client)
    assert client.meter.bytes == 100_000
    assert caught.value.__context__ is None
    assert (len(server.requests), waits) == (1, [])


async def test_a_beginning_that_fails(server: ScriptedServer, client: VendorClient) -> None:
    """Before bytes flow, faults that may pass are retried."""
    server.route("GET", "/v1/file", lambda _: Reply(body=FILE))
    server.fail(Reply(503), times=2)

    assert await read(client) == FILE


async def test_a_file_that_is_refused(server: ScriptedServer, client: VendorClient) -> None:
    """A refusal is raised when the stream is opened."""
    server.fail(Reply(403))
    with pytest.raises(Refused):
        await read(client)


@pytest.mark.parametrize("limits", [HttpLimits(read=0.05), HttpLimits(stream_total=0.05)])
async def test_a_file_that_stalls(limits: HttpLimits, make_client: MakeClient) -> None:
    """A body that stops flowing is given up by the bound on silence, or on the whole of the waiting."""

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, make_client(base_url=f"http://127.0.0.1:{port}/v1", limits=limits) as client:
        with pytest.raises(RetryLater, match="no answer in time"):
            await read(client)


async def test_a_file_that_trickles(make_client: MakeClient) -> None:
    """A body that flows, but so slowly that it would never end, is given up by the bound on the waiting."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b".")
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), 0.01)
        writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    limits = HttpLimits(stream_total=0.1)
    async with server, make_client(base_url=f"http://127.0.0.1:{port}/v1", limits=limits) as client:
        with pytest.raises(RetryLater, match="no answer in time"):
            await read(client)


async def test_a_consumer_that_takes_its_time(server: ScriptedServer, make_client: MakeClient) -> None:
    """Time that the consumer takes between pieces does not count against the vendor."""
    server.route("GET", "/v1/file", lambda _: Reply(body=FILE))
    loop = asyncio.get_running_loop()
    async with make_client(limits=HttpLimits(stream_total=1.0)) as client, client.stream("GET", "/file") as answer:
        chunks = aiter(answer.chunks())
        first = await anext(chunks)
        done = loop.create_future()
        loop.call_later(1.1, done.set_result, None)
        await done
        rest = [chunk async for chunk in chunks]

    assert first + b"".join(rest) == FILE


async def test_leaving_early(server: ScriptedServer, client: VendorClient) -> None:
    """A consumer may stop anywhere; the connection is closed, and the client goes on working."""
    server.route("GET", "/v1/file", lambda _: Reply(body=FILE))
    async with client.stream("GET", "/file") as answer:
        assert await anext(aiter(answer.chunks()))

    assert await read(client) == FILE
