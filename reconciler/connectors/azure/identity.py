"""Who asks: the app registration whose secret is in the Secret, or the identity that the platform gives.

Workload identity is a token in a file that Entra takes for one of its own; a managed identity is an address beside the
machine, which azure-identity asks (docs/adr/0012-tokens-by-our-own-client.md). Both are told by the environment.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Literal, TypeVar
from urllib.parse import quote

from reconciler.connectors.azure.endpoints import endpoint
from reconciler.connectors.azure.refusal import GUIDE, of_entra
from reconciler.connectors.azure.settings import AzureSettings
from reconciler.connectors.base import Context
from reconciler.connectors.http import Form, Refused
from reconciler.connectors.reading import Answer, read
from reconciler.errors import NeedsPerson

Audience = Literal["https://management.azure.com/", "https://storage.azure.com/"]

FEDERATED: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
UNAUTHORIZED: Final = 401
NONE: Final = (
    "The platform gives Costhook no Azure identity: set one up (workload identity, a managed identity), or set "
    f"azure.identity to Secret and name the Secret that holds a client secret. {GUIDE}"
)
NO_LIBRARY: Final = (
    "Azure's library, which a managed identity takes, is not installed: install costhook[azure], which brings "
    "azure-identity; the image has it."
)
NO_SECRET: Final = f"The Secret needs clientSecret, or for source export sasToken. {GUIDE}"
NO_APP: Final = f"A client secret needs azure.tenantID and azure.clientID beside it. {GUIDE}"

T = TypeVar("T")


class Given(Answer):
    """What Entra gives."""

    access_token: str


class Identity:
    """Gives tokens, each obtained once, and again when Azure does not accept it any more."""

    def __init__(self, settings: AzureSettings, context: Context, environ: Mapping[str, str] = os.environ) -> None:
        self._settings, self._context, self._http, self._environ = settings, context, context.http, environ
        self._tokens: dict[Audience, str] = {}

    async def trying(self, audience: Audience, ask: Callable[[Mapping[str, str]], Awaitable[T]]) -> T:
        """What `ask` makes of the headers that show a token; asked once more, with a new one, after a 401.

        Tokens hold for about an hour, which a long sync outlives. Raises Refused as `ask` does.
        """
        try:
            return await ask(await self._headers(audience))
        except Refused as refused:
            if refused.status != UNAUTHORIZED:
                raise
        del self._tokens[audience]
        return await ask(await self._headers(audience))

    async def _headers(self, audience: Audience) -> Mapping[str, str]:
        if audience not in self._tokens:
            self._tokens[audience] = await self._obtained(audience)
            self._http.hide(self._tokens[audience])
        return {"Authorization": f"Bearer {self._tokens[audience]}"}

    async def _obtained(self, audience: Audience) -> str:
        if self._settings.identity == "Secret":
            return await self._of_app(audience)
        file = self._environ.get("AZURE_FEDERATED_TOKEN_FILE")
        if file:
            return await self._federated(file, audience)
        return await asyncio.to_thread(_managed, self._settings.client_id, audience)

    async def _of_app(self, audience: Audience) -> str:
        secret = (self._context.credentials.get("clientSecret") or "").strip()
        tenant, client = self._settings.tenant_id, self._settings.client_id
        if not secret:
            raise NeedsPerson(NO_SECRET, reason="InvalidSecret")
        if not tenant or not client:
            raise NeedsPerson(NO_APP)
        return await self._ask(tenant, Form(client_id=client, client_secret=secret), audience)

    async def _federated(self, file: str, audience: Audience) -> str:
        tenant = self._settings.tenant_id or self._environ.get("AZURE_TENANT_ID")
        client = self._settings.client_id or self._environ.get("AZURE_CLIENT_ID")
        if not tenant or not client:
            raise NeedsPerson(f"azure.tenantID or azure.clientID is missing, and the platform names none: {NONE}")
        assertion = await asyncio.to_thread(_token, file)
        self._http.hide(assertion)
        wanted = Form(client_id=client, client_assertion_type=FEDERATED, client_assertion=assertion)
        return await self._ask(tenant, wanted, audience)

    async def _ask(self, tenant: str, wanted: Form, audience: Audience) -> str:
        url = f"{endpoint('authority', self._settings, self._environ)}/{quote(tenant)}/oauth2/v2.0/token"
        form = Form({**wanted, "grant_type": "client_credentials", "scope": f"{audience}.default"})
        try:
            answer = await self._http.json("POST", url, body=form, retry=True)
        except Refused as refused:
            raise of_entra(refused) from None
        return read(Given, answer, "Entra").access_token


def _token(file: str) -> str:
    """The service account's token, which the platform replaces every hour or so."""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise NeedsPerson(
            f"the federated token of the service account cannot be read ({error.strerror}): {NONE}"
        ) from None


def _managed(client: str | None, audience: Audience) -> str:
    """A managed identity's token; blocks. The address is link-local, which VendorClient never asks."""
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import ManagedIdentityCredential
    except ImportError:
        raise NeedsPerson(NO_LIBRARY, reason="BrokenConnector") from None
    for name in ("azure", "msal"):  # they log every request
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        return str(ManagedIdentityCredential(client_id=client, retry_total=1).get_token(f"{audience}.default").token)
    except (AzureError, ValueError) as error:
        raise NeedsPerson(f"the managed identity gives no token ({type(error).__name__}): {NONE}") from None
