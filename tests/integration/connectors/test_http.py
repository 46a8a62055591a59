"""The vendors' client against a real server: answers, bounds, refusals."""

from __future__ import annotations

import gzip
from decimal import Decimal

import pytest

from reconciler.connectors.http import Form, HttpLimits, Meter, Refused, VendorClient
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, RetryLater
from tests.integration.connectors.conftest import JSON, MakeClient, failure, serve


async def test_json_arrives_exactly(server: ScriptedServer, client: VendorClient) -> None:
    """Fractions are Decimal and whole numbers int, digit by digit; the request is what the vendor documents."""
    serve(server, b'{"cost": 0.10000000000000000001, "tokens": 12345678901234567890, "zero": 0E-6176}')
    client.authorise({"Authorization": "Bearer key-12345678"})

    answer = await client.json("GET", "/x", params={"group_by[]": ["a", "b"]}, headers={"X-Version": "1"})

    assert answer["cost"] == Decimal("0.10000000000000000001")
    assert answer["tokens"] == 12345678901234567890
    assert [type(value) for value in answer.values()] == [Decimal, int, Decimal]
    (request,) = server.requests
    assert request.query == [("group_by[]", "a"), ("group_by[]", "b")]
    assert request.headers["authorization"] == "Bearer key-12345678"
    assert request.headers["x-version"] == "1"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"] == "costhook"


async def test_a_body_is_sent_as_json(server: ScriptedServer, client: VendorClient) -> None:
    """A POST carries its body as JSON, and gets its answer."""
    server.route("POST", "/v1/query", lambda request: Reply.json({"got": request.json()}))

    assert await client.json("POST", "query", body={"a": [1, None]}) == {"got": {"a": [1, None]}}
    assert server.requests[0].headers["content-type"] == "application/json"


async def test_a_form_is_sent_as_one(server: ScriptedServer, client: VendorClient) -> None:
    """A POST can carry the fields of a web form, which OAuth wants."""
    server.route("POST", "/v1/token", lambda request: Reply.json({"got": request.body.decode()}))

    answer = await client.json("POST", "token", body=Form(grant_type="client_credentials", scope="a b"))
    assert answer == {"got": "grant_type=client_credentials&scope=a+b"}
    assert server.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


async def test_no_content(server: ScriptedServer, client: VendorClient) -> None:
    """An answer without content is None, not an error."""
    server.route("GET", "/v1/x", lambda _: Reply(status=204))
    server.route("HEAD", "/v1/x", lambda _: Reply(headers=JSON))

    assert await client.json("GET", "/x") is None
    assert await client.json("HEAD", "/x") is None


async def test_cookies_are_not_kept(server: ScriptedServer, client: VendorClient) -> None:
    """No state travels from one request to the next."""
    serve(server, b"{}", {**JSON, "Set-Cookie": "session=1; Path=/"})
    await client.json("GET", "/x")
    await client.json("GET", "/x")

    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "BadRequest"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (402, "Refused"),
        (422, "Refused"),
        (499, "Refused"),
    ],
)
async def test_refusals(
    status: int, reason: str, server: ScriptedServer, client: VendorClient, waits: list[float]
) -> None:
    """A 4xx is not tried again; the error holds what the vendor said, for the connector to judge."""
    server.fail(Reply.json({"error": {"code": "nope", "message": "Not for you", "cost": Decimal("1.50")}}, status))
    error = await failure(client)

    assert isinstance(error, Refused)
    assert (error.status, error.reason, waits) == (status, reason, [])
    assert error.body == {"error": {"code": "nope", "message": "Not for you", "cost": Decimal("1.50")}}
    assert error.text.startswith('{"error"')
    assert f"/v1/x answered {status}" in str(error)
    assert "Not for you" in str(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"message": "m"}', ": m"),
        ('{"error": "e"}', ": e"),
        ('{"detail": [{"message": "first"}, {"message": "second"}]}', ": first"),
        ('{"errors": []}', "400 Bad Request"),
        ('{"error": null, "title": "t"}', ": t"),
        ("[]", "400 Bad Request"),
        ("{broken", "400 Bad Request"),
        ("7", "400 Bad Request"),
    ],
)
async def test_the_vendors_words(body: str, said: str, server: ScriptedServer, client: VendorClient) -> None:
    """Vendors put their words in different places; the usual ones are found, and none is missed by a fault."""
    server.fail(Reply(400, body.encode(), JSON))

    assert str(await failure(client)).endswith(said)


async def test_a_refusal_that_is_a_web_page(server: ScriptedServer, client: VendorClient) -> None:
    """A proxy's page is kept as text, in short, and not mixed into the message."""
    server.fail(Reply(403, b"<html>" + b"x" * 100_000, {"Content-Type": "text/html"}))
    error = await failure(client)

    assert isinstance(error, Refused)
    assert error.body is None
    assert error.text == "<html>" + "x" * 494
    assert "<html>" not in str(error)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_body_as_long_as_allowed(encoding: str, server: ScriptedServer, make_client: MakeClient) -> None:
    """The bound is counted after unpacking, and is itself within bounds."""
    body = b'"' + b"x" * 998 + b'"'
    packed = gzip.compress(body) if encoding == "gzip" else body
    serve(server, packed, {**JSON, "Content-Encoding": encoding})
    async with make_client(limits=HttpLimits(body=1000)) as client:
        assert await client.json("GET", "/x") == "x" * 998
        assert "longer than the 999 bytes" in str(await failure(client, limit=999))


async def test_a_compressed_bomb(server: ScriptedServer, make_client: MakeClient) -> None:
    """A small body that unfolds into a huge one is stopped at the bound, and is not asked for again."""
    serve(server, gzip.compress(bytes(50_000_000)), {**JSON, "Content-Encoding": "gzip"})
    meter = Meter()
    async with make_client(limits=HttpLimits(body=100_000), meter=meter) as client:
        error = await failure(client)

    assert isinstance(error, Bug)
    assert (error.reason, meter.calls) == ("UnexpectedAnswer", 1)


async def test_a_bomb_in_an_error(server: ScriptedServer, client: VendorClient) -> None:
    """Nor does the body of a refusal unfold beyond its bound."""
    server.fail(Reply(401, gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"}))

    assert isinstance(await failure(client), Refused)


async def test_gzip_in_several_members(server: ScriptedServer, client: VendorClient) -> None:
    """Concatenated gzip members, with padding after them, are one body."""
    serve(server, gzip.compress(b"[1,") + gzip.compress(b"2]") + bytes(10), {**JSON, "Content-Encoding": "gzip"})

    assert await client.json("GET", "/x") == [1, 2]


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"[1, 2, 3]" * 99)[:-12], gzip.compress(b"[]") + b"junk", b"no gzip"],
    ids=["cut short", "with junk", "none at all"],
)
async def test_damaged_gzip(packed: bytes, server: ScriptedServer, client: VendorClient) -> None:
    """Compressed data that is cut short or damaged is no answer, and is asked for again."""
    serve(server, packed, {**JSON, "Content-Encoding": "gzip"})

    assert isinstance(await failure(client), RetryLater)
    assert len(server.requests) == 5


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
async def test_encodings_that_were_not_asked_for(encoding: str, server: ScriptedServer, client: VendorClient) -> None:
    """An encoding the client did not offer is a bug of the vendor's, in so many words."""
    serve(server, b"[]", {**JSON, "Content-Encoding": encoding})
    error = await failure(client)

    assert isinstance(error, Bug)
    assert "encoded as" in str(error)


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/html"}])
async def test_an_answer_that_is_not_json(
    headers: dict[str, str], server: ScriptedServer, client: VendorClient, waits: list[float]
) -> None:
    """A page where JSON was due is reported with its type, and not tried again."""
    serve(server, b"{}", headers)
    error = await failure(client)

    assert isinstance(error, Bug)
    assert (error.reason, waits) == ("UnexpectedAnswer", [])
    assert str(error).startswith(f"GET {server.url}/v1/x: the answer is not JSON but ")


async def test_an_unexpected_status(server: ScriptedServer, client: VendorClient) -> None:
    """A 3xx that leads nowhere is a bug, not an empty answer."""
    server.fail(Reply(status=300))

    assert isinstance(await failure(client), Bug)


async def test_a_name_that_does_not_exist(make_client: MakeClient) -> None:
    """A host without an address is named, so that a mistyped base URL is found."""
    async with make_client(base_url="https://vendor.invalid") as client:
        error = await failure(client)

    assert isinstance(error, RetryLater)
    assert "the name vendor.invalid cannot be resolved" in str(error)


async def test_proxies_of_the_environment(
    server: ScriptedServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that the environment names is not used: it would resolve names itself, unjudged."""
    serve(server, b"[]")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with make_client() as client:
        assert await client.json("GET", "/x") == []


async def test_no_base_url(server: ScriptedServer, make_client: MakeClient) -> None:
    """A client without a base URL asks whole URLs, and has nobody to show credentials to."""
    serve(server, b"[]")
    async with make_client(base_url=None) as client:
        client.authorise({"X-Key": "key-12345678"})
        assert await client.json("GET", f"{server.url}/v1/x") == []
        assert repr(client) == "VendorClient()"
        with pytest.raises(NeedsPerson, match="is no URL"):
            await client.json("GET", "/x")

    assert "x-key" not in server.requests[0].headers


async def test_credentials_stay_with_the_base_urls_origin(server: ScriptedServer, make_client: MakeClient) -> None:
    """A whole URL on another host is asked without credentials; on the same host, with them."""
    async with ScriptedServer() as other, make_client(headers={"X-Plan": "a"}) as client:
        client.authorise({"X-Key": "key-12345678"})
        for vendor in (server, other):
            vendor.route("GET", "/next", lambda _: Reply.json([]))
            await client.json("GET", f"{vendor.url}/next", headers={"X-Mine": "b"})

        assert "x-key" in server.requests[0].headers
        assert "x-key" not in other.requests[0].headers
        assert other.requests[0].headers["x-mine"] == "b"


async def test_a_key_that_http_cannot_carry(client: VendorClient) -> None:
    """A key with a line break within is refused when the connector is made, before anything is sent."""
    with pytest.raises(NeedsPerson) as caught:
        client.authorise({"Authorization": "Bearer key-1234\nkey-5678"})
    assert caught.value.reason == "InvalidSecret"
