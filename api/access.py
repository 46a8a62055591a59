"""Who asks: an API token, a JWT of the identity provider or of the cluster, or, on loopback, whoever sits there."""

from __future__ import annotations

import re
from typing import Final, Protocol

from starlette.datastructures import Headers

from api.graphql.errors import Code
from api.graphql.http import Refusal
from api.kubernetes import Cluster
from api.oidc import InvalidJwt, Verifier
from api.principal import LOCAL, SCOPES, Principal
from api.settings import ApiSettings
from ledger import tokens
from ledger.database import ReaderDB

MAX_CREDENTIAL: Final = 8 * 1024
_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE | re.ASCII)


class Unauthenticated(Refusal):
    """Nobody, or somebody unknown, asks. All the ways to be unknown are answered alike."""

    def __init__(self) -> None:
        super().__init__(401, "Say who asks by Authorization: Bearer TOKEN, with a good token.", Code.UNAUTHENTICATED)


class Access(Protocol):
    """A way to find out who asks."""

    async def identify(self, headers: Headers) -> Principal:
        """The caller. Raises Refusal."""


class Everyone:
    """Callers need prove nothing: the API listens to this machine alone."""

    async def identify(self, headers: Headers) -> Principal:
        del headers
        return LOCAL


class Bearers:
    """Callers show an API token, a JWT where an identity provider is set, or a token of the cluster where one is."""

    def __init__(
        self, settings: ApiSettings, db: ReaderDB, verifier: Verifier | None, cluster: Cluster | None = None
    ) -> None:
        self._settings, self._db, self._verifier, self._cluster = settings, db, verifier, cluster

    async def identify(self, headers: Headers) -> Principal:
        presented = _credential(headers)
        if presented.startswith(tokens.PREFIX):
            return await self._by_token(presented)
        found = await self._by_jwt(presented)
        if found is None and self._cluster is not None:
            found = await self._cluster.find(presented)
        if found is None:
            raise Unauthenticated
        return found

    async def _by_jwt(self, presented: str) -> Principal | None:
        if self._verifier is None:
            return None
        try:
            return await self._verifier.verify(presented)
        except InvalidJwt:
            return None

    async def _by_token(self, presented: str) -> Principal:
        now = self._settings.clock()
        token = await tokens.find(self._db, presented, now)
        if token is None or not token.is_good(now):
            raise Unauthenticated
        return Principal(f"token {token.id} ({token.name})", "token", token.namespaces, token.scopes & SCOPES)


def _credential(headers: Headers) -> str:
    given = headers.getlist("authorization")
    match = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 and len(given[0]) <= MAX_CREDENTIAL else None
    if match is None:
        raise Unauthenticated
    return match[1]
