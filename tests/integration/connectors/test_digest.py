"""Digest authentication against a server that works the digests out by itself."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reconciler.connectors.http import Meter, Refused, VendorClient
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson
from tests.integration.connectors.conftest import JSON, MakeClient, failure
from tests.integration.connectors.digest_server import Guard

USER, PASSWORD = "public01", "private-0123456789"


def told(_: Request) -> Reply:
    return Reply.json({"ok": 1})


def guarded(server: ScriptedServer, guard: Guard) -> None:
    """Have /v1/x answer those who have the password, whatever the query."""
    server.route("GET", "/v1/x", guard.behind(told))
    server.route("POST", "/v1/x", guard.behind(lambda request: Reply.json({"got": request.json()})))


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("qop", ["auth", "auth,auth-int", None])
async def test_a_challenge_is_answered(
    server: ScriptedServer, client: VendorClient, algorithm: str, qop: str | None
) -> None:
    """Each kind of challenge is answered, for questions with a query and for those with a body."""
    guarded(server, Guard(USER, PASSWORD, algorithm, qop))
    client.digest(USER, PASSWORD)

    assert await client.json("GET", "/x", params={"a": "ö 1"}) == {"ok": 1}
    assert await client.json("POST", "/x", body={"b": 2}) == {"got": {"b": 2}}


async def test_a_challenge_is_kept_until_it_is_stale(server: ScriptedServer, client: VendorClient) -> None:
    """The nonce serves until the server wants another one, which is then used."""
    guard = Guard(USER, PASSWORD)
    guarded(server, guard)
    client.digest(USER, PASSWORD)
    for _ in range(3):
        await client.json("GET", "/x")
    assert guard.challenges == 1

    guard.nonce = "nonce-2"
    for _ in range(3):
        await client.json("GET", "/x")
    assert guard.challenges == 2


async def test_a_wrong_password_is_refused_and_not_shown(server: ScriptedServer, client: VendorClient) -> None:
    """The second refusal is final; the password never travels."""
    guarded(server, Guard(USER, "another-password"))
    client.digest(USER, PASSWORD)
    error = await failure(client)

    assert isinstance(error, Refused)
    assert error.status == 401
    assert len(server.requests) == 2
    assert PASSWORD not in f"{error}{server.requests[1].headers}"


async def test_both_requests_are_metered(server: ScriptedServer, make_client: MakeClient) -> None:
    """The question for a challenge counts as a call, and the budget holds between the two."""
    guarded(server, Guard(USER, PASSWORD))
    meter = Meter(per_day=1)
    async with make_client(meter=meter) as client:
        client.digest(USER, PASSWORD)
        error = await failure(client)

    assert error.reason == "CallBudgetSpent"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="vendor"',
        "Digest realm",
        'Digest realm="v", nonce="n", algorithm=ROT13',
        'Digest realm="v", nonce="n", qop="auth-int"',
        'Digest realm="v", nonce="n", qop="other"',
    ],
)
async def test_a_challenge_that_cannot_be_answered_is_told(
    server: ScriptedServer, client: VendorClient, challenge: str
) -> None:
    """A challenge that is damaged or of an unknown kind ends in words, and in no endless asking."""
    server.route("GET", "/v1/x", lambda _: Reply(401, b"{}", {**JSON, "WWW-Authenticate": challenge}))
    client.digest(USER, PASSWORD)

    assert isinstance(await failure(client), Bug)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "headers"), [(401, {"WWW-Authenticate": "Bearer"}), (401, {}), (403, {})])
async def test_other_refusals_are_left_as_they_are(
    server: ScriptedServer, client: VendorClient, status: int, headers: Mapping[str, str]
) -> None:
    """A 401 without a digest challenge, and a 403, are refusals like any other."""
    server.route("GET", "/v1/x", lambda _: Reply(status, b"{}", {**JSON, **headers}))
    client.digest(USER, PASSWORD)

    assert isinstance(await failure(client), Refused)


async def test_other_origins_are_not_answered(server: ScriptedServer, client: VendorClient) -> None:
    """A challenge from another origin, such as the target of a redirect, gets no digest."""
    guard = Guard(USER, PASSWORD)
    async with ScriptedServer() as other:
        guarded(other, guard)
        server.route("GET", "/v1/x", lambda _: Reply(302, headers={"Location": f"{other.url}/v1/x"}))
        client.digest(USER, PASSWORD)
        error = await failure(client)

        assert isinstance(error, NeedsPerson)
        assert not any("authorization" in request.headers for request in other.requests)
