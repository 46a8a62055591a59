"""JWTs of an OpenID Connect provider, checked against the keys that it publishes.

The algorithm comes from a fixed list and the key from the provider's set, by its id; nothing that the token itself
says or brings along decides how it is checked.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode

from api.keys import Keys
from api.principal import Principal, Scope

ALGORITHMS: Final = ("ES256", "RS256")
LEEWAY: Final = 60
"""Seconds by which the clocks of provider and API may differ."""
INJECTED: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})
"""Headers by which a token would bring, or change the reading of, its own key."""


class InvalidJwt(Exception):
    """The text is no JWT that is good here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """What is expected of JWTs, and what they open.

    `claim` holds the caller's groups. `grants` says which namespaces a group opens, "*" all of them; without any,
    the groups' names are the namespaces.
    """

    issuer: str
    audience: str
    jwks_url: str | None = None
    """Where the keys are; None: where the issuer's discovery document says."""
    claim: str = "groups"
    grants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scopes: frozenset[Scope] = frozenset({"read", "export", "sync", "alert"})


class Verifier:
    """Checks JWTs."""

    def __init__(self, settings: OidcSettings, keys: Keys, clock: Callable[[], datetime]) -> None:
        self._settings, self._keys, self._clock = settings, keys, clock

    async def verify(self, presented: str) -> Principal:
        """Whose the JWT is. Raises InvalidJwt; Refusal when the provider's keys cannot be had."""
        algorithm, key_id = _header(presented)
        key = await self._keys.find(key_id, algorithm)
        if key is None:
            raise InvalidJwt
        return self._principal(self._claims(presented, key, algorithm))

    def _claims(self, presented: str, key: RSAKey | ECKey, algorithm: str) -> Mapping[str, Any]:
        expected = jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=LEEWAY,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            claims = jwt.decode(presented, key, algorithms=[algorithm]).claims
            expected.validate(claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            raise InvalidJwt from None
        return claims

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject or len(subject) > 256:
            raise InvalidJwt
        return Principal(f"{self._settings.issuer} {subject}", "jwt", self._namespaces(claims), self._settings.scopes)

    def _namespaces(self, claims: Mapping[str, Any]) -> frozenset[str] | None:
        held = claims.get(self._settings.claim, ())
        groups = held.split() if isinstance(held, str) else held if isinstance(held, list) else ()
        named = [group for group in groups if isinstance(group, str)]
        if not self._settings.grants:
            return frozenset(named) - {"*"}
        opened = {namespace for group in named for namespace in self._settings.grants.get(group, ())}
        return None if "*" in opened else frozenset(opened)


def _header(presented: str) -> tuple[str, str | None]:
    """Algorithm and key id of a JWT. Raises InvalidJwt."""
    try:
        header = json.loads(urlsafe_b64decode(presented.partition(".")[0].encode()))
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidJwt from None
    if not isinstance(header, dict) or INJECTED & header.keys() or presented.count(".") != 2:
        raise InvalidJwt
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or not (key_id is None or isinstance(key_id, str)):
        raise InvalidJwt
    return algorithm, key_id
