"""The public keys of an identity provider: fetched without blocking, cached, fetched again when they rotate.

A provider that is down, slow, huge or redirects costs one bounded attempt per COOLDOWN; keys that were fetched
before stay good for a day meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode

from api.graphql.errors import Code
from api.graphql.http import Refusal
from api.settings import LOOPBACK_NAMES
from ledger.errors import NeedsPerson

FRESH: Final = timedelta(minutes=10)
USABLE: Final = timedelta(days=1)
COOLDOWN: Final = timedelta(seconds=30)
SECONDS: Final = 5.0
MAX_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 100
MIN_RSA_BITS: Final = 2048

Key = RSAKey | ECKey
log = structlog.get_logger("api")


class Unfetchable(Exception):
    """The provider's keys could not be fetched; the text is for the log."""


class Keys:
    """The keys of one issuer, by id."""

    def __init__(self, issuer: str, jwks_url: str | None, clock: Callable[[], datetime]) -> None:
        for url in filter(None, (issuer, jwks_url)):
            _check_url(url)
        self._issuer, self._url, self._clock = issuer, jwks_url, clock
        self._keys: list[tuple[str | None, str, Key]] = []
        self._fetched: datetime | None = None
        self._tried: datetime | None = None
        self._lock = asyncio.Lock()

    async def find(self, key_id: str | None, algorithm: str) -> Key | None:
        """The key of that id, or the only one there is where none is named. Raises Refusal while there are none."""
        now = self._clock()
        found = self._pick(key_id, algorithm)
        stale = self._fetched is None or now - self._fetched > FRESH
        if found is None or stale:
            await self._refresh(now)
            found = self._pick(key_id, algorithm)
        if self._fetched is None or now - self._fetched > USABLE:
            raise Refusal(503, "The keys of the identity provider cannot be had; try again soon.", Code.UNAVAILABLE)
        return found

    def _pick(self, key_id: str | None, algorithm: str) -> Key | None:
        fitting = [key for name, used_with, key in self._keys if used_with == algorithm and key_id in (None, name)]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self, now: datetime) -> None:
        """Fetch the keys, unless that was tried just now; whoever comes meanwhile waits for the one attempt."""
        async with self._lock:
            if self._tried is not None and now - self._tried < COOLDOWN:
                return
            self._tried = now
            try:
                self._keys = await self._fetch()
                self._fetched = now
            except (Unfetchable, httpx.HTTPError, TimeoutError) as error:
                log.warning("keys of the identity provider not fetched", error=str(error) or type(error).__name__)

    async def _fetch(self) -> list[tuple[str | None, str, Key]]:
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(follow_redirects=False, timeout=SECONDS) as http:
            url = self._url
            if url is None:
                url = await self._discover(http)
            listed = (await _document(http, url)).get("keys")
        if not isinstance(listed, list):
            raise Unfetchable("the key set has no list of keys")
        return [key for held in listed[:MAX_KEYS] if (key := _key(held)) is not None]

    async def _discover(self, http: httpx.AsyncClient) -> str:
        found = await _document(http, self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        url = found.get("jwks_uri")
        if found.get("issuer") != self._issuer or not isinstance(url, str):
            raise Unfetchable("the discovery document is of another issuer, or names no keys")
        try:
            _check_url(url)
        except NeedsPerson as error:
            raise Unfetchable(str(error)) from None
        return url


async def _document(http: httpx.AsyncClient, url: str) -> Mapping[str, Any]:
    """A JSON object of bounded size. Raises Unfetchable."""
    body = bytearray()
    async with http.stream("GET", url, headers={"Accept": "application/json"}) as answer:
        if answer.status_code != 200:
            raise Unfetchable(f"status {answer.status_code}")
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise Unfetchable(f"more than {MAX_BYTES} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Unfetchable("not JSON") from None
    if not isinstance(found, dict):
        raise Unfetchable("not a JSON object")
    return found


def _key(held: Any) -> tuple[str | None, str, Key] | None:
    """A published key with its id and algorithm; None for what is of no use here, whatever it is."""
    if not isinstance(held, dict) or held.get("use", "sig") != "sig" or "d" in held or "k" in held:
        return None
    name = held.get("kid")
    try:
        if held.get("kty") == "RSA" and held.get("alg", "RS256") == "RS256" and _bits(held) >= MIN_RSA_BITS:
            return name, "RS256", RSAKey.import_key(held)
        if held.get("kty") == "EC" and held.get("crv") == "P-256" and held.get("alg", "ES256") == "ES256":
            return name, "ES256", ECKey.import_key(held)
    except (JoseError, ValueError, TypeError):
        log.warning("a key of the identity provider cannot be read", kid=str(name)[:100])
    return None


def _bits(held: Mapping[str, Any]) -> int:
    """The size of an RSA key."""
    return int.from_bytes(urlsafe_b64decode(str(held.get("n", "")).encode()), "big").bit_length()


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    local = parts.hostname is not None and parts.hostname in {name.strip("[]") for name in LOOPBACK_NAMES}
    if parts.hostname is None or (parts.scheme != "https" and not (local and parts.scheme == "http")):
        raise NeedsPerson("the identity provider is reached by https://; check the issuer and the address of its keys")
