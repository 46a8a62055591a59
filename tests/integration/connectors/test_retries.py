"""Faults that may pass are retried within the run, with patience and within the budget; others end it at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.connectors.http import HttpLimits, Meter, VendorClient
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import Bug, RetryLater
from tests.integration.connectors.conftest import JSON, MakeClient, failure, serve


async def test_the_meter_counts_every_attempt(server: ScriptedServer, make_client: MakeClient) -> None:
    """Failed attempts cost calls and bytes too."""
    serve(server, b"[1, 2, 3]")
    server.fail(Reply(status=503, body=b"busy"), times=2)
    meter = Meter()
    async with make_client(meter=meter) as client:
        await client.json("GET", "/x")

    assert (meter.calls, meter.bytes) == (3, 9 + 2 * 4)


async def test_the_budget_is_asked_before_every_call(server: ScriptedServer, make_client: MakeClient) -> None:
    """An attempt beyond the budget is not sent, and its error says so rather than what failed before."""
    server.fail(Reply(status=503))
    async with make_client(meter=Meter(per_day=2)) as client:
        error = await failure(client)

    assert (error.reason, len(server.requests)) == ("CallBudgetSpent", 2)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529, 599])
async def test_faults_that_pass(status: int, server: ScriptedServer, client: VendorClient, waits: list[float]) -> None:
    """Faults that may pass are waited out with doubling waits."""
    serve(server, b"{}")
    server.fail(Reply(status=status), times=3)

    assert await client.json("GET", "/x") == {}
    assert waits == [0.375, 0.75, 1.5]


@pytest.mark.parametrize(
    ("status", "reason"), [(429, "RateLimited"), (408, "VendorUnavailable"), (500, "VendorUnavailable")]
)
async def test_faults_that_stay(
    status: int, reason: str, server: ScriptedServer, client: VendorClient, waits: list[float]
) -> None:
    """After the last attempt the run ends with the vendor's own words."""
    server.fail(Reply.json({"error": {"message": "we are   busy"}}, status))
    error = await failure(client)

    assert isinstance(error, RetryLater)
    assert (error.reason, error.after) == (reason, None)
    assert str(error).startswith(f"GET {server.url}/v1/x answered {status}")
    assert str(error).endswith(": we are busy")
    assert len(waits) == 4


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "3"}, 3.25),
        ({"Retry-After": "60"}, 60.25),
        ({"Retry-After-Ms": "1500"}, 1.75),
        ({"Retry-After": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30.25),
    ],
)
async def test_the_vendors_wish_is_granted(
    headers: dict[str, str], wait: float, server: ScriptedServer, client: VendorClient, waits: list[float]
) -> None:
    """Retry-After decides the wait, in whatever form it comes, with a little jitter on top."""
    serve(server, b"{}")
    server.fail(Reply(status=429, headers=headers), times=1)
    await client.json("GET", "/x")

    assert waits == [wait]


@pytest.mark.parametrize(("status", "reason"), [(429, "RateLimited"), (503, "VendorUnavailable")])
async def test_a_wish_too_long_for_a_run(
    status: int, reason: str, server: ScriptedServer, client: VendorClient, waits: list[float]
) -> None:
    """A Retry-After beyond the longest wait ends the run at once and says when to come back."""
    server.fail(Reply(status=status, headers={"Retry-After": "61"}))
    error = await failure(client)

    assert isinstance(error, RetryLater)
    assert (error.reason, error.after, waits) == (reason, timedelta(seconds=61), [])


async def test_a_post_is_sent_once(server: ScriptedServer, client: VendorClient, waits: list[float]) -> None:
    """What might take effect twice is not sent twice."""
    server.fail(Reply(status=503))

    assert isinstance(await failure(client, "POST", body={}), RetryLater)
    assert (len(server.requests), waits) == (1, [])


async def test_a_post_that_may_be_repeated(server: ScriptedServer, client: VendorClient) -> None:
    """A query sent by POST is retried when the connector says that it may be."""
    server.route("POST", "/v1/x", lambda _: Reply.json([]))
    server.fail(Reply(status=503), times=1)

    assert await client.json("POST", "/x", body={}, retry=True) == []


async def test_a_post_of_bytes_is_read_whole_where_a_limit_is_given(
    server: ScriptedServer, client: VendorClient, waits: list[float]
) -> None:
    """Without a limit there is the beginning of what was said; with one there is all of it, or an error."""
    said = b"x" * 100_000
    server.route("POST", "/v1/x", lambda request: Reply(body=said if request.body == b"ask" else b""))

    assert len((await client.post("/x", b"ask", {})).body) < len(said)
    server.fail(Reply(body=said, cut=12), times=1)
    assert (await client.post("/x", b"ask", {}, limit=len(said), retry=True)).body == said
    assert len(waits) == 1
    with pytest.raises(Bug, match="longer"):
        await client.post("/x", b"ask", {}, limit=len(said) - 1)


async def test_json_that_breaks_off(server: ScriptedServer, client: VendorClient, waits: list[float]) -> None:
    """JSON that ends too early is asked for again, and reported if it always does."""
    serve(server, b'{"data": [')
    error = await failure(client)

    assert isinstance(error, Bug)
    assert len(waits) == 4


async def test_json_with_numbers_out_of_all_proportion(
    server: ScriptedServer, client: VendorClient, waits: list[float]
) -> None:
    """A number that no bill contains is reported at once."""
    serve(server, b'{"cost": NaN}')

    assert isinstance(await failure(client), Bug)
    assert not waits


@pytest.mark.parametrize("cut", [0, 5])
async def test_a_connection_that_breaks_off(cut: int, server: ScriptedServer, client: VendorClient) -> None:
    """A body shorter than announced is asked for again; the next whole one counts."""
    serve(server, b'{"data": []}')
    server.fail(Reply(body=b'{"data": []}', headers=JSON, cut=cut), times=2)

    assert await client.json("GET", "/x") == {"data": []}


@pytest.mark.parametrize("limits", [HttpLimits(read=0.05, attempts=2), HttpLimits(total=0.05, attempts=2)])
async def test_silence(limits: HttpLimits, server: ScriptedServer, make_client: MakeClient, waits: list[float]) -> None:
    """A server that accepts and never answers is given up by the bound on silence, or on the whole attempt."""
    server.fail(Reply(hold=True))
    async with make_client(limits=limits) as client:
        error = await failure(client)

    assert isinstance(error, RetryLater)
    assert str(error) == f"GET {server.url}/v1/x: no answer in time"
    assert (len(server.requests), len(waits)) == (2, 1)


async def test_nobody_listens(make_client: MakeClient) -> None:
    """A refused connection is retried, then left until later."""
    async with ScriptedServer() as gone:
        url = gone.url
    async with make_client(base_url=url) as client:
        error = await failure(client)

    assert isinstance(error, RetryLater)
    assert error.reason == "VendorUnavailable"


@pytest.mark.parametrize(("status", "waited"), [(429, 7.25), (503, 0.375)])
async def test_a_limits_reset_is_waited_for(
    status: int, waited: float, server: ScriptedServer, client: VendorClient, waits: list[float]
) -> None:
    """A 429 without Retry-After is waited out until its limit starts anew; a server error has nothing to do with it."""
    serve(server, b"{}")
    server.fail(Reply(status=status, headers={"X-RateLimit-Reset": "7"}), times=1)

    assert await client.json("GET", "/x") == {}
    assert waits == [waited]
