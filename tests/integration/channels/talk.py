"""A channel, made as the outbox makes it, whose receiver is a server of the test."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from reconciler.channels.base import Credentials, Receipt
from reconciler.channels.message import Message
from reconciler.channels.opening import LIMITS, credentials_of, opened
from reconciler.channels.registry import CHANNELS
from reconciler.connectors.http import EgressPolicy, HttpLimits
from reconciler.connectors.transport import Resolve, resolve
from reconciler.errors import ReconcilerError
from tests.unit.channels.messages import NOW

HERE = EgressPolicy(allow_loopback=True)


async def deliver(
    type_: str,
    messages: Sequence[Message],
    secret: Mapping[str, str],
    block: Mapping[str, Any] | None = None,
    *,
    now: datetime = NOW,
    policy: EgressPolicy = HERE,
    limits: HttpLimits = LIMITS,
    tls: ssl.SSLContext | None = None,
    resolve: Resolve = resolve,
) -> Receipt:
    """Send `messages` by a channel of `type_`; `secret` is the Secret, `block` what a manifest says in spec.<type>."""
    kind = CHANNELS[type_]
    settings = kind.Settings.model_validate(block or {})
    credentials: Credentials = credentials_of(kind, settings, secret)
    async with opened(
        kind, settings, credentials, policy=policy, clock=lambda: now, limits=limits, tls=tls, resolve=resolve
    ) as channel:
        return await channel.send(messages)


async def refused(*args: Any, **named: Any) -> ReconcilerError:
    """The error that `deliver` raises."""
    try:
        receipt = await deliver(*args, **named)
    except ReconcilerError as error:
        return error
    raise AssertionError(f"delivered: {receipt}")
