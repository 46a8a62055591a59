"""Whose keys sign: those of the Secret, or the platform's identity; and the role that is taken on with them.

IAM Roles for Service Accounts is a token in a file that STS takes for keys; EKS Pod Identity is an address beside the
pod, which botocore asks (docs/adr/0011-signed-by-botocore.md). Both are told by the environment alone, never by a
manifest. Where it tells of neither, the machine itself may have a role, which EC2's metadata service gives.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlencode

from reconciler.connectors.aws.endpoints import endpoint
from reconciler.connectors.aws.markup import text, tree
from reconciler.connectors.aws.refusal import EXPIRED, explained, name_of
from reconciler.connectors.aws.settings import AwsSettings
from reconciler.connectors.aws.signing import NO_LIBRARY, Keys, signed
from reconciler.connectors.base import Context
from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson

STS_VERSION: Final = "2011-06-15"
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
LONGEST_SESSION: Final = 64
LIMIT: Final = 1024**2
GIVEN: Final = ("AccessKeyId", "SecretAccessKey", "SessionToken")
NONE: Final = (
    "The platform gives Costhook no AWS identity: set one up (IAM Roles for Service Accounts, EKS Pod Identity, an "
    "instance profile of EC2), or set aws.identity to Secret and name the Secret that holds an access key. See "
    "docs/connectors/aws.md."
)
PATIENCE: Final = 1
"""Seconds for which EC2's metadata service is waited for: it is there at once, or not at all."""
ATTEMPTS: Final = 2
HALF: Final = "The Secret needs accessKeyID and secretAccessKey both. See docs/connectors/aws.md."

T = TypeVar("T")


class Identity:
    """Gives the keys to sign with, obtained once and again when AWS says that they have ended."""

    def __init__(self, settings: AwsSettings, context: Context, environ: Mapping[str, str] = os.environ) -> None:
        self._settings, self._context, self._http, self._environ = settings, context, context.http, environ
        self._keys: Keys | None = None
        self._url = f"{endpoint('sts', settings, environ)}/"

    @property
    def _renewable(self) -> bool:
        """Whether keys that have ended can be replaced without anybody's help."""
        return self._settings.identity == "Platform" or self._settings.role_arn is not None

    async def keys(self) -> Keys:
        """Raises NeedsPerson where there are none, or the role is not given."""
        if self._keys is None:
            self._keys = await self._obtained()
        return self._keys

    async def trying(self, ask: Callable[[Keys], Awaitable[T]]) -> T:
        """What `ask` makes of the keys; asked once more, with new ones, where AWS says that they have ended.

        Refusals become the errors that they amount to.
        """
        try:
            return await ask(await self.keys())
        except Refused as refused:
            if name_of(refused) not in EXPIRED or not self._renewable:
                raise explained(refused) from None
        self._keys = None
        try:
            return await ask(await self.keys())
        except Refused as refused:
            raise explained(refused) from None

    async def account(self) -> tuple[str, str]:
        """Account and ARN of whom the keys are, by GetCallerIdentity, which is free and needs no permission."""
        answer = tree(await self._ask({"Action": "GetCallerIdentity"}, await self.keys()))
        return text(answer, ".//Account"), text(answer, ".//Arn")

    async def _obtained(self) -> Keys:
        own = self._of_secret() if self._settings.identity == "Secret" else await self._of_platform()
        if self._settings.role_arn is None:
            return own
        wanted = {"Action": "AssumeRole", "RoleArn": self._settings.role_arn, "RoleSessionName": self._session()}
        if self._settings.external_id:
            wanted["ExternalId"] = self._settings.external_id
        return self._given(await self._ask(wanted, own))

    def _of_secret(self) -> Keys:
        values = [self._context.credentials.get(key) for key in ("accessKeyID", "secretAccessKey", "sessionToken")]
        key, secret, token = ((value or "").strip() for value in values)
        if not key or not secret:
            raise NeedsPerson(HALF, reason="InvalidSecret")
        return self._hidden(Keys(key, secret, token or None))

    async def _of_platform(self) -> Keys:
        role, file = (self._environ.get(name) for name in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"))
        if role and file:
            token = await asyncio.to_thread(_token, file)
            self._http.hide(token)
            wanted = {"Action": "AssumeRoleWithWebIdentity", "RoleArn": role, "RoleSessionName": self._session()}
            return self._given(await self._ask(wanted | {"WebIdentityToken": token}, None))
        ask = _of_pod if self._environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") else _of_instance
        return self._hidden(await asyncio.to_thread(ask, self._environ))

    def _session(self) -> str:
        """The session's name, which says whose Provider asks: trust policies may insist on it (sts:RoleSessionName)."""
        whose = f"{self._context.namespace or 'default'}.{self._context.name}"
        name = re.sub(r"[^\w+=,.@-]", "-", whose, flags=re.ASCII)
        if len(name) <= LONGEST_SESSION:
            return name
        return f"{name[: LONGEST_SESSION - 9]}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"

    async def _ask(self, wanted: Mapping[str, str], keys: Keys | None) -> bytes:
        body = urlencode({**wanted, "Version": STS_VERSION}).encode()
        scope = ("sts", self._settings.region)
        headers = signed(keys, scope, "POST", self._url, FORM, body) if keys else FORM
        try:
            return (await self._http.post(self._url, body, headers, limit=LIMIT, retry=True)).body
        except Refused as refused:
            raise explained(refused) from None

    def _given(self, answer: bytes) -> Keys:
        """The keys in an answer of STS."""
        found = tree(answer)
        key, secret, token = (text(found, f".//Credentials/{name}") for name in GIVEN)
        return self._hidden(Keys(key, secret, token))

    def _hidden(self, keys: Keys) -> Keys:
        self._http.hide(keys.secret_access_key, *filter(None, [keys.session_token]))
        return keys


def _token(file: str) -> str:
    """The web identity token, which the platform replaces every hour or so."""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise NeedsPerson(
            f"the web identity token of the service account cannot be read ({error.strerror}): {NONE}"
        ) from None


def _of_pod(environ: Mapping[str, str]) -> Keys:
    """The keys that EKS Pod Identity gives; blocks. The address is link-local, which VendorClient never asks."""
    try:
        from botocore.credentials import ContainerProvider
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise NeedsPerson(NO_LIBRARY, reason="BrokenConnector") from None
    try:
        given = ContainerProvider(environ).load().get_frozen_credentials()
    except (BotoCoreError, OSError, ValueError, KeyError) as error:
        raise NeedsPerson(f"EKS Pod Identity gives no keys ({type(error).__name__}): {NONE}") from None
    return Keys(given.access_key, given.secret_key, given.token)


def _of_instance(environ: Mapping[str, str]) -> Keys:
    """The keys of the role that the machine has by its instance profile; blocks, for some seconds at most.

    Version 2 of the metadata service alone is asked: 1 gives keys to whoever can make a server fetch an address.
    """
    try:
        from botocore.credentials import InstanceMetadataProvider
        from botocore.exceptions import BotoCoreError
        from botocore.utils import InstanceMetadataFetcher
    except ImportError:
        raise NeedsPerson(NO_LIBRARY, reason="BrokenConnector") from None
    own = {"ec2_metadata_service_endpoint": environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")}
    config = {"ec2_metadata_v1_disabled": True, **own}
    try:
        fetcher = InstanceMetadataFetcher(PATIENCE, ATTEMPTS, env=dict(environ), config=config)
        found = InstanceMetadataProvider(fetcher).load()
        given = found.get_frozen_credentials() if found else None
    except (BotoCoreError, OSError, ValueError, KeyError) as error:
        raise NeedsPerson(f"EC2's metadata service gives no keys ({type(error).__name__}): {NONE}") from None
    if given is None:
        raise NeedsPerson(NONE)
    return Keys(given.access_key, given.secret_key, given.token)
