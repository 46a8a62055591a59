"""Redirects are followed with care: a few, never to http, and never with a credential to another origin."""

from __future__ import annotations

import pytest

from reconciler.connectors.http import EgressRefused, HttpLimits, Meter
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.certificates import Certificates
from tests.integration.connectors.conftest import MakeClient

KEY = "key-0123456789"


def lead(server: ScriptedServer, method: str, path: str, to: str, status: int = 302) -> None:
    """Have `path` redirect to `to`."""
    server.route(method, path, lambda _: Reply(status, headers={"Location": to}))


async def outcome(make_client: MakeClient, path: str, method: str = "GET") -> object:
    """What asking for `path` with a credential and a header of the connector's comes to: an answer or an error."""
    async with make_client() as client:
        client.authorise({"X-Key": KEY})
        try:
            return await client.json(method, path, headers={"X-Also": "secret too"})
        except ReconcilerError as error:
            return error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_within_the_origin(status: int, server: ScriptedServer, make_client: MakeClient) -> None:
    """On the same scheme, host and port a redirect is followed with everything, and every hop is metered."""
    lead(server, "GET", "/v1/a", "../b?x=1", status)
    server.route("GET", "/b", lambda request: Reply.json([request.query, request.headers["x-key"]]))
    meter = Meter()
    async with make_client(meter=meter) as client:
        client.authorise({"X-Key": KEY})
        assert await client.json("GET", "/a") == [[["x", "1"]], KEY]

    assert meter.calls == 2


async def test_to_another_origin_and_back(server: ScriptedServer, make_client: MakeClient) -> None:
    """Another port is another origin: nothing but Accept goes there, nor comes back from there."""
    async with ScriptedServer() as other:
        lead(server, "GET", "/v1/a", f"{other.url}/b")
        lead(other, "GET", "/b", f"{server.url}/c")
        server.route("GET", "/c", lambda _: Reply.json("arrived"))
        assert await outcome(make_client, "/a") == "arrived"

    for request in (*other.requests, server.requests[1]):
        assert not {"x-key", "x-also", "authorization", "cookie"} & set(request.headers)
        assert KEY not in str(request.headers)
    assert other.requests[0].headers["accept"] == "application/json"


async def test_another_name_of_the_same_server(server: ScriptedServer, make_client: MakeClient) -> None:
    """localhost and 127.0.0.1 are two hosts, whoever answers there."""
    lead(server, "GET", "/v1/a", f"http://localhost:{server.port}/b")
    server.route("GET", "/b", lambda request: Reply.json(dict(request.headers)))

    headers = await outcome(make_client, "/a")

    assert isinstance(headers, dict)
    assert "x-key" not in headers


async def test_redirects_without_end(server: ScriptedServer, make_client: MakeClient) -> None:
    """Five redirects are followed, the sixth is not, and nothing is tried again."""
    lead(server, "GET", "/v1/a", "/v1/a")
    error = await outcome(make_client, "/a")

    assert isinstance(error, NeedsPerson)
    assert (error.reason, len(server.requests)) == ("RedirectRefused", 6)


async def test_five_redirects(server: ScriptedServer, make_client: MakeClient) -> None:
    """A chain of five arrives."""
    for hop in range(5):
        lead(server, "GET", f"/v1/{hop}", f"/v1/{hop + 1}")
    server.route("GET", "/v1/5", lambda _: Reply.json("arrived"))

    assert await outcome(make_client, "/0") == "arrived"


@pytest.mark.parametrize(
    "target", ["https://169.254.169.254/latest", "http://vendor.invalid/", "https://u:p@vendor.invalid/"]
)
async def test_every_hop_is_judged(target: str, server: ScriptedServer, make_client: MakeClient) -> None:
    """A redirect is no way round the egress policy."""
    lead(server, "GET", "/v1/a", target)

    assert isinstance(await outcome(make_client, "/a"), EgressRefused)


@pytest.mark.parametrize("target", ["https://0177.0.0.1/", "http://[::1"])
async def test_to_nowhere(target: str, server: ScriptedServer, make_client: MakeClient) -> None:
    """A redirect to what is no URL is a fault of the vendor's."""
    lead(server, "GET", "/v1/a", target)

    assert isinstance(await outcome(make_client, "/a"), RetryLater)


async def test_away_from_https(certificates: Certificates, server: ScriptedServer, make_client: MakeClient) -> None:
    """From https to http no redirect is followed, not even to where http may be asked."""
    async with ScriptedServer(tls=certificates.server("127.0.0.1")) as safe:
        lead(safe, "GET", "/a", f"{server.url}/b")
        async with make_client(base_url=safe.url, tls=certificates.trust) as client:
            with pytest.raises(NeedsPerson, match="redirects away from https") as caught:
                await client.json("GET", "/a")

    assert caught.value.reason == "RedirectRefused"
    assert not server.requests


@pytest.mark.parametrize(("status", "followed"), [(301, False), (302, False), (303, False), (307, True), (308, True)])
async def test_a_post_within_the_origin(
    status: int, followed: bool, server: ScriptedServer, make_client: MakeClient
) -> None:
    """A POST is sent on as it is where the status asks for just that; it never turns into a GET."""
    lead(server, "POST", "/v1/a", "/v1/b", status)
    server.route("POST", "/v1/b", lambda request: Reply.json(request.body.decode()))
    async with make_client() as client:
        if followed:
            assert await client.json("POST", "/a", body={"x": 1}) == '{"x": 1}'
        else:
            with pytest.raises(NeedsPerson, match="set baseURL"):
                await client.json("POST", "/a", body={"x": 1})


async def test_a_post_to_another_origin(server: ScriptedServer, make_client: MakeClient) -> None:
    """The body of a POST, which may hold secrets, does not leave for another origin."""
    async with ScriptedServer() as other:
        lead(server, "POST", "/v1/a", f"{other.url}/b", 307)
        error = await outcome(make_client, "/a", "POST")

    assert isinstance(error, NeedsPerson)
    assert not other.requests


async def test_no_redirects_at_all(server: ScriptedServer, make_client: MakeClient) -> None:
    """The bound on redirects is a setting, and may be none."""
    lead(server, "GET", "/v1/a", "/v1/b")
    async with make_client(limits=HttpLimits(redirects=0)) as client:
        with pytest.raises(NeedsPerson, match="more than 0 redirects"):
            await client.json("GET", "/a")


async def test_a_redirect_without_a_target(server: ScriptedServer, make_client: MakeClient) -> None:
    """A redirect that names no place is an unexpected answer."""
    server.route("GET", "/v1/a", lambda _: Reply(302))

    assert getattr(await outcome(make_client, "/a"), "reason", None) == "UnexpectedAnswer"
