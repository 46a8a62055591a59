"""An identity provider on loopback: keys that it publishes, tokens that it signs, and every way to be a bad one."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from api.server import listening
from tests.integration.api.conftest import NOW

AUDIENCE = "costhook"


def rsa(name: str, bits: int = 2048) -> RSAKey:
    with warnings.catch_warnings():  # joserfc warns of short keys, which one test wants
        warnings.simplefilter("ignore")
        return RSAKey.generate_key(bits, {"kid": name})


def ec(name: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": name})


@dataclass
class IdentityProvider:
    """`mood` says how it answers: as it should, or down, slow, huge, redirecting, silly."""

    url: str = ""
    keys: list[RSAKey | ECKey] = field(default_factory=list)
    mood: str = "good"
    asked: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(NOW.timestamp())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 300, "groups": ["team-a"]}
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def token(self, key: RSAKey | ECKey, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        written = {"alg": algorithm, "kid": key.kid, **(header or {})}
        return jwt.encode(written, self.claims(**changes), key, algorithms=[written["alg"]])

    async def jwks(self, request: Request) -> Response:
        self.asked += 1
        if self.mood == "slow":
            await self.over.wait()
        answers = {
            "down": PlainTextResponse("no", 500),
            "huge": JSONResponse({"keys": [], "fill": "x" * 1_000_000}),
            "redirecting": RedirectResponse(f"{self.url}/elsewhere"),
            "silly": PlainTextResponse("[[1]]"),
            "nested": PlainTextResponse("[" * 100_000),
        }
        return answers.get(self.mood) or await self.elsewhere(request)

    async def elsewhere(self, _request: Request) -> Response:
        odd: list[Any] = [None, 5, {}, {"kty": "oct", "k": "AA"}, {"kty": "RSA", "n": 5}, {"kty": "EC", "crv": "P-256"}]
        good = [key.as_dict(private=False) for key in self.keys]
        return JSONResponse({"keys": [*odd, *good] if self.mood == "odd keys" else good})

    async def discovery(self, _request: Request) -> Response:
        return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})


@asynccontextmanager
async def identity_provider() -> AsyncIterator[IdentityProvider]:
    provider = IdentityProvider()
    routes = [
        Route("/keys", provider.jwks),
        Route("/elsewhere", provider.elsewhere),
        Route("/.well-known/openid-configuration", provider.discovery),
    ]
    async with listening(Starlette(routes=routes), "127.0.0.1", 0) as url:
        provider.url = url
        yield provider
        provider.over.set()
