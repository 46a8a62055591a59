"""JWTs of an identity provider: only those it signed, for this API, in time; whatever it does meanwhile."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from api import keys as key_cache
from api.app import create_app
from api.keys import Keys
from api.oidc import OidcSettings
from api.server import listening
from ledger.database import ReaderDB
from ledger.errors import NeedsPerson
from tests.integration.api.conftest import NOW, settings
from tests.integration.api.identity_provider import AUDIENCE, IdentityProvider, ec, identity_provider, rsa
from tests.loopback import PLAIN

VIEWER = {"query": "{ viewer { name kind namespaces scopes } }"}


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class House:
    """An API that trusts an identity provider with two keys."""

    provider: IdentityProvider
    http: httpx.AsyncClient
    clock: Clock
    rsa: RSAKey
    ec: ECKey
    logged: list[str] = field(default_factory=list)

    async def ask(self, token: str | None, **headers: str) -> httpx.Response:
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return await self.http.post("/graphql", json=VIEWER, headers=headers)


@pytest.fixture(scope="session")
def signing_keys() -> tuple[RSAKey, ECKey]:
    return rsa("one"), ec("two")


@pytest.fixture
async def house(reader: ReaderDB, signing_keys: tuple[RSAKey, ECKey]) -> AsyncIterator[House]:
    clock = Clock()
    async with identity_provider() as provider:
        provider.keys = list(signing_keys)
        oidc = OidcSettings(
            issuer=provider.url, audience=AUDIENCE, grants={"team-a": ("team-a",), "finance": ("*",), "two": ("b", "c")}
        )
        app = create_app(settings(authentication=True, oidc=oidc, clock=clock), reader)
        async with (
            listening(app, "127.0.0.1", 0) as url,
            httpx.AsyncClient(base_url=url, timeout=20, verify=PLAIN) as http,
        ):
            yield House(provider, http, clock, *signing_keys)


async def test_good_tokens_open_what_is_granted(house: House) -> None:
    """Both algorithms are good; the groups of the caller say which namespaces are seen."""
    for key, groups, seen in (
        (house.rsa, ["team-a"], ["team-a"]),
        (house.ec, ["team-a", "two", "unknown", 5], ["b", "c", "team-a"]),
        (house.ec, "team-a two", ["b", "c", "team-a"]),
        (house.rsa, ["finance"], None),
        (house.rsa, None, []),
        (house.rsa, {"team-a": 1}, []),
        (house.rsa, ["*"], []),
    ):
        answer = await house.ask(house.provider.token(key, groups=groups))
        assert answer.json()["data"]["viewer"] == {
            "name": f"{house.provider.url} ann",
            "kind": "JWT",
            "namespaces": seen,
            "scopes": ["alert", "export", "read", "sync"],
        }


SOON = int(NOW.timestamp())


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other", "another"]},
        {"aud": None},
        {"exp": SOON - 61},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": float("inf")},
        {"nbf": SOON + 3600},
        {"iat": SOON + 3600},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": "x" * 300},
    ],
)
async def test_claims_that_are_not_for_here(house: House, changes: dict[str, Any]) -> None:
    """A token of another issuer, for another audience, out of its time or of nobody is refused."""
    answer = await house.ask(house.provider.token(house.rsa, **changes))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="costhook"'
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_clocks_may_differ_a_little(house: House) -> None:
    """A minute's difference between the clocks of provider and API makes no token bad; several audiences do not."""
    near: dict[str, Any] = {"exp": SOON - 30, "nbf": SOON + 30, "aud": ["other", AUDIENCE]}

    assert (await house.ask(house.provider.token(house.ec, **near))).status_code == 200


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def forge(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """A token signed with a shared secret, whatever its header says."""
    signed = f"{part(header)}.{part(claims)}"
    signature = hmac.new(secret, signed.encode(), "sha256").digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def test_algorithms_are_not_for_the_token_to_choose(house: House) -> None:
    """No signature, a shared secret made of the public key, other algorithms, a key for the wrong one: refused."""
    claims = house.provider.claims()
    shared = [house.rsa.as_pem(private=False), json.dumps(house.rsa.as_dict(private=False)).encode(), b""]
    forged = [
        f"{part({'alg': 'none', 'kid': 'one'})}.{part(claims)}.",
        f"{part({'alg': 'None', 'kid': 'one'})}.{part(claims)}.x",
        *(forge({"alg": "HS256", "kid": "one"}, claims, secret) for secret in shared),
        *(forge({"alg": "RS256", "kid": "one"}, claims, secret) for secret in shared),
        house.provider.token(house.rsa, header={"alg": "PS256"}),
        house.provider.token(house.rsa, header={"kid": "two"}),
        house.provider.token(house.ec, header={"kid": "one"}),
        house.provider.token(ec("two")),
        house.provider.token(house.rsa)[:-8] + "AAAAAAAA",
    ]
    for token in forged:
        assert (await house.ask(token)).status_code == 401, token[:60]


async def test_keys_that_tokens_bring_along_are_not_used(house: House) -> None:
    """A key in the header, or an address of keys there, is refused even when the signature fits it."""
    own = rsa("mine")
    brought = own.as_dict(private=False)
    headers: list[dict[str, Any]] = [
        {"jwk": brought},
        {"jku": f"{house.provider.url}/elsewhere"},
        {"x5u": f"{house.provider.url}/elsewhere"},
        {"x5c": ["MII"]},
        {"kid": "mine", "jwk": brought},
    ]
    for header in headers:
        token = f"{part({'alg': 'RS256', 'kid': 'one', **header})}.{part(house.provider.claims())}"
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, house.provider.claims(), own).rpartition(".")[2]
        assert (await house.ask(f"{token}.{signed}")).status_code == 401


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' or 1=1 --", "", "ONE", "x" * 5000, 5, ["one"], {"a": 1}])
async def test_key_ids_are_only_names(house: House, kid: Any) -> None:
    """An id that is no key's, or no text, opens nothing, whatever it spells."""
    header = part({"alg": "RS256", "kid": kid})
    rest = house.provider.token(house.rsa).partition(".")[2]

    assert (await house.ask(f"{header}.{rest}")).status_code == 401


async def test_without_an_id_the_one_key_of_the_algorithm_is_meant(house: House) -> None:
    """A token that names no key is checked with the only one that fits; where two fit, it is refused."""
    token = jwt.encode({"alg": "RS256"}, house.provider.claims(), house.rsa)
    assert (await house.ask(token)).status_code == 200

    house.provider.keys.append(rsa("three"))
    house.clock.now += timedelta(minutes=11)
    assert (await house.ask(token)).status_code == 401


@pytest.mark.parametrize("text", ["x", "a.b.c", "...", "e30.e30.e30", f"{part([1])}.e30.x", "W" * 9000, "é", "a b"])
async def test_what_is_no_token_is_refused(house: House, text: str) -> None:
    """Any other text gets the same 401."""
    answer = await house.http.post("/graphql", json=VIEWER, headers=[(b"authorization", f"Bearer {text}".encode())])

    assert answer.status_code == 401
    assert house.provider.asked == 0


async def test_there_is_one_way_to_show_a_token(house: House) -> None:
    """Nothing, another scheme, two headers, or a token in the address: 401."""
    good = house.provider.token(house.rsa)
    assert (await house.ask(None)).status_code == 401
    for value in (f"Basic {good}", good, "Bearer", f"Bearer {good} {good}"):
        assert (await house.http.post("/graphql", json=VIEWER, headers={"authorization": value})).status_code == 401
    twice = [("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}")]
    assert (await house.http.post("/graphql", json=VIEWER, headers=twice)).status_code == 401
    assert (await house.http.post("/graphql", json=VIEWER, params={"access_token": good})).status_code == 401


async def test_rotated_keys_are_fetched(house: House) -> None:
    """A key that appears is found at once, and one that was withdrawn is no longer good when the keys are read anew."""
    assert (await house.ask(house.provider.token(house.rsa))).status_code == 200
    fresh = ec("fresh")
    house.provider.keys = [fresh]
    house.clock.now += timedelta(seconds=31)
    assert (await house.ask(house.provider.token(fresh))).status_code == 200
    assert (await house.ask(house.provider.token(house.rsa))).status_code == 401


async def test_unknown_keys_do_not_hammer_the_provider(house: House) -> None:
    """Tokens that name unknown keys cause one look at the provider's keys per half minute, not one each."""
    for i in range(5):
        assert (await house.ask(house.provider.token(ec(f"unknown {i}")))).status_code == 401
    assert house.provider.asked == 1

    house.clock.now += timedelta(seconds=31)
    await house.ask(house.provider.token(ec("unknown")))
    assert house.provider.asked == 2


@pytest.mark.parametrize("mood", ["down", "slow", "huge", "redirecting", "silly", "nested"])
async def test_a_provider_in_a_bad_mood(house: House, mood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys, nobody gets in and the answer says to come again; with keys, those who had good tokens do."""

    async def asked(provider_mood: str, token: str) -> httpx.Response:
        house.provider.mood = provider_mood
        monkeypatch.setattr(key_cache, "SECONDS", 0.3 if provider_mood == "slow" else 30.0)
        return await house.ask(token)

    token = house.provider.token(house.rsa, exp=int((NOW + timedelta(days=2)).timestamp()))
    answer = await asked(mood, token)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")

    house.clock.now += timedelta(seconds=31)
    assert (await asked("good", token)).status_code == 200
    house.clock.now += timedelta(minutes=11)
    assert (await asked(mood, token)).status_code == 200
    house.clock.now += timedelta(hours=25)
    assert (await asked(mood, token)).status_code == 503


async def test_odd_keys_do_not_spoil_the_good_ones(house: House) -> None:
    """Keys that cannot be read, or are of no use here, are left out."""
    house.provider.mood = "odd keys"

    assert (await house.ask(house.provider.token(house.ec))).status_code == 200


async def test_short_keys_are_not_used(house: House) -> None:
    """An RSA key of less than 2048 bits is no key."""
    short = rsa("short", 1024)
    house.provider.keys.append(short)

    assert (await house.ask(house.provider.token(short))).status_code == 401


@pytest.mark.parametrize("url", ["http://idp.example", "ftp://idp.example", "idp.example", "file:///etc/passwd", ""])
def test_keys_come_by_https(url: str) -> None:
    """An issuer, or an address of keys, that is not https is refused at the start; this machine itself may be http."""
    with pytest.raises(NeedsPerson, match="https"):
        Keys(url or "https:///", None, lambda: NOW)
    with pytest.raises(NeedsPerson, match="https"):
        Keys("https://idp.example", url or "x", lambda: NOW)
    Keys("http://127.0.0.1:8080", None, lambda: NOW)


async def test_tokens_are_not_logged(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a good token nor a bad one appears in the log; who asked does."""
    good, bad = house.provider.token(house.rsa), house.provider.token(ec("bad"))
    for token in (good, bad):
        await house.ask(token)

    logged = capsys.readouterr().out
    assert "ann" in logged
    for piece in (good.split(".")[1], good.split(".")[2], bad.split(".")[2]):
        assert piece not in logged
