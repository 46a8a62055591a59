"""Whose token BigQuery is shown: a service account's by its key, or what the platform gives; and the account taken on.

Tokens are taken in exchange for what google-auth signs or finds (docs/adr/0014-what-google-adds.md).
The platform is told by the environment alone, never by a manifest: a credential configuration names files to read and
addresses to send them to.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from reconciler.connectors.base import Context
from reconciler.connectors.gcp import signing
from reconciler.connectors.gcp.endpoints import endpoint
from reconciler.connectors.gcp.refusal import FEDERATION, KEY, ROLE, explained, unrecognised
from reconciler.connectors.gcp.report import Impersonation, Token
from reconciler.connectors.gcp.settings import GcpSettings
from reconciler.connectors.http import Form, Refused
from reconciler.connectors.meter import utc_now
from reconciler.connectors.reading import read
from reconciler.errors import NeedsPerson

READ: Final = "https://www.googleapis.com/auth/cloud-platform.read-only"
"""What BigQuery's queries need; the token can change nothing, whatever the roles are."""
ACT: Final = "https://www.googleapis.com/auth/cloud-platform"
"""What taking on a service account needs."""
AUDIENCE: Final = "https://oauth2.googleapis.com/token"
BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS: Final = "urn:ietf:params:oauth:token-type:access_token"
FILE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
VENDOR: Final = "Google's token service"
ACCOUNTS: Final = "v1/projects/-/serviceAccounts"

T = TypeVar("T")


class Identity:
    """Gives the token, obtained once and again when Google says that it has ended."""

    def __init__(
        self,
        settings: GcpSettings,
        context: Context,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings, self._context, self._http, self._environ = settings, context, context.http, environ
        self._clock = clock
        self._token: str | None = None

    async def token(self) -> str:
        """Raises NeedsPerson where there is none, or the service account is not given."""
        if self._token is None:
            self._token = await self._obtained()
        return self._token

    async def trying(self, ask: Callable[[str], Awaitable[T]]) -> T:
        """What `ask` makes of the token; asked once more, with a new one, where Google says that it has ended.

        Refusals become the errors that they amount to.
        """
        try:
            return await ask(await self.token())
        except Refused as refused:
            if refused.status != 401:
                raise explained(refused) from None
        self._token = None
        try:
            return await ask(await self.token())
        except Refused as refused:
            raise explained(refused) from None

    async def _obtained(self) -> str:
        account = self._settings.service_account
        scope = ACT if account else READ
        own = await (self._of_secret(scope) if self._settings.identity == "Secret" else self._of_platform(scope))
        if account is None:
            return own
        url = f"{endpoint('iamcredentials', self._settings)}/{ACCOUNTS}/{account}:generateAccessToken"
        return await self._taken_on(url, own)

    async def _of_secret(self, scope: str) -> str:
        given = (self._context.credentials.get("serviceAccountKey") or "").strip()
        try:
            key = json.loads(given)
        except ValueError:
            key = None
        if not isinstance(key, dict) or not isinstance(key.get("private_key"), str):
            raise NeedsPerson(signing.BAD_KEY, reason="InvalidSecret")
        return await self._of_key(key, scope)

    async def _of_key(self, key: Mapping[str, Any], scope: str) -> str:
        signed = await asyncio.to_thread(signing.assertion, key, AUDIENCE, scope, self._clock())
        self._http.hide(signed)
        form = Form(grant_type=BEARER, assertion=signed)
        return await self._exchanged(f"{endpoint('oauth2', self._settings)}/token", form, "service account's key", KEY)

    async def _of_platform(self, scope: str) -> str:
        file = self._environ.get(FILE)
        if not file:
            return self._hidden(await asyncio.to_thread(signing.token_of_machine, scope))
        configuration = await asyncio.to_thread(_configuration, file)
        if configuration.get("type") == "service_account":
            return await self._of_key(configuration, scope)
        return await self._federated(configuration, scope)

    async def _federated(self, configuration: Mapping[str, Any], scope: str) -> str:
        """By workload identity federation: the cluster's token for one of Google's."""
        subject = self._hidden(await asyncio.to_thread(signing.subject_token, configuration))
        account = configuration.get("service_account_impersonation_url")
        form = Form(
            grant_type=EXCHANGE,
            audience=str(configuration.get("audience")),
            scope=ACT if account else scope,
            requested_token_type=ACCESS,
            subject_token=subject,
            subject_token_type=str(configuration.get("subject_token_type")),
        )
        token = await self._exchanged(str(configuration.get("token_url")), form, "cluster's token", FEDERATION)
        return await self._taken_on(str(account), token, scope) if account else token

    async def _exchanged(self, url: str, form: Form, what: str, advice: str) -> str:
        try:
            answer = await self._http.json("POST", url, body=form, retry=True)
        except Refused as refused:
            raise unrecognised(refused, what, advice) from None
        return self._hidden(read(Token, answer, VENDOR).value)

    async def _taken_on(self, url: str, token: str, scope: str = READ) -> str:
        """The token of the service account that `url` takes on, for whoever `token` is."""
        headers = {"Authorization": f"Bearer {token}"}
        wanted = {"scope": [scope], "lifetime": "3600s"}
        try:
            answer = await self._http.json("POST", url, headers=headers, body=wanted, retry=True)
        except Refused as refused:
            raise unrecognised(refused, "identity", ROLE) from None
        return self._hidden(read(Impersonation, answer, VENDOR).value)

    def _hidden(self, secret: str) -> str:
        self._http.hide(secret)
        return secret


def _configuration(file: str) -> Mapping[str, Any]:
    """What the file holds that GOOGLE_APPLICATION_CREDENTIALS names. Raises NeedsPerson."""
    try:
        found = json.loads(Path(file).read_text())
    except OSError as error:
        raise NeedsPerson(f"the file that {FILE} names cannot be read ({error.strerror}): {signing.NONE}") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NeedsPerson(signing.BAD_FILE)
    return found
