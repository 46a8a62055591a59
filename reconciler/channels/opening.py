"""A channel made ready for one delivery: its credentials picked from the Secret, its client bounded and silent."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from reconciler.channels.base import Channel, ChannelContext, Credentials, Settings
from reconciler.channels.registry import AnyChannel
from reconciler.connectors.http import EgressPolicy, HttpLimits, Meter, VendorClient
from reconciler.connectors.meter import utc_now
from reconciler.connectors.transport import Resolve, resolve
from reconciler.errors import NeedsPerson

LIMITS: Final = HttpLimits(connect=10, read=20, total=30, body=256 * 1024, attempts=1)
"""Bounds of one delivery: one attempt, since the outbox tries again."""


def credentials_of(
    kind: AnyChannel, settings: Settings, values: Mapping[str, str], key: str | None = None
) -> Credentials:
    """What the channel needs of the Secret's `values`; `key` is the Secret's name for the first of them.

    Raises NeedsPerson (SecretNotFound) where one is missing.
    """
    found = {}
    for nth, wanted in enumerate(kind.credential_keys(settings)):
        name = key if nth == 0 and key else wanted.name
        if values.get(name, "").strip():
            found[wanted.name] = values[name].strip()
        elif wanted.required:
            raise NeedsPerson(f"the Secret has no key {name}: {wanted.says}", reason="SecretNotFound")
    return Credentials(found)


@asynccontextmanager
async def opened(
    kind: AnyChannel,
    settings: Settings,
    credentials: Credentials,
    *,
    policy: EgressPolicy,
    clock: Callable[[], datetime] = utc_now,
    limits: HttpLimits = LIMITS,
    tls: ssl.SSLContext | None = None,
    resolve: Resolve = resolve,
) -> AsyncIterator[Channel[Any]]:
    """The channel, and its client for as long as the block runs.

    `tls` replaces the trusted certificates, `resolve` the resolution of names; both are for tests.
    """
    client = VendorClient(
        base_url=None,
        policy=policy,
        meter=Meter(clock=clock),
        redact=credentials.secrets(),
        limits=limits,
        clock=clock,
        tls=tls,
        resolve=resolve,
    )
    async with client:
        yield kind(settings, ChannelContext(client, credentials, clock(), policy, resolve, tls))
