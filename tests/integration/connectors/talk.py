"""A connector, made as the reconciler makes it, with a client that notes its waits instead of waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any, TypeVar

from ledger.charge import Charge
from ledger.window import Span
from reconciler.connectors.base import Account, Connector, Context, Credentials
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient
from reconciler.connectors.scripted import ScriptedServer
from reconciler.errors import ReconcilerError

C = TypeVar("C", bound=Connector[Any])


@asynccontextmanager
async def talking(
    kind: type[C],
    server: ScriptedServer,
    credentials: Mapping[str, str],
    now: datetime,
    block: Mapping[str, Any],
    waits: list[float] | None = None,
) -> AsyncIterator[C]:
    """A connector of `kind` that asks `server`; `block` is what a manifest says in `spec.<type>`."""

    async def wait(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    settings = kind.Settings.model_validate(block)
    async with VendorClient(
        base_url=getattr(settings, "base_url", None),
        policy=EgressPolicy(allow_loopback=True),
        meter=Meter(clock=lambda: now),
        redact=tuple(credentials.values()),
        sleep=wait,
        clock=lambda: now,
    ) as http:
        yield kind(settings, Context(http, Credentials(credentials), now))


async def read_days(connector: Connector[Any], first: date, after_last: date) -> list[Charge]:
    """The charges of all windows that the connector names for the days, in the windows' order."""
    span = Span.of_days(first, after_last)
    windows = await connector.windows([span], span)
    return [charge for window in windows async for batch in connector.charges(window) for charge in batch]


async def checked(connector: Connector[Any]) -> Account | ReconcilerError:
    """What `check` finds, or raises."""
    try:
        return await connector.check()
    except ReconcilerError as error:
        return error
