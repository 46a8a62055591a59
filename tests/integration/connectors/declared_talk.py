"""An invented vendor, and a connector that is told by its manifest how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime
from typing import Any

from ledger.charge import Charge
from ledger.window import DAY
from reconciler.connectors.declared import Declared
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from tests.integration.connectors.talk import read_days, talking

KEY = "acme-key-0123456789"
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 2)
CHARGE = {
    "billedCost": "amount",
    "billingCurrency": "currency",
    "chargePeriodStart": "day",
    "skuId": "item",
    "subAccountId": "project",
}


def block(**changes: Any) -> dict[str, Any]:
    """What a manifest says in spec.http, for an invented vendor."""
    request = {
        "path": "/costs",
        "query": [{"name": "from", "value": "${start.date}"}, {"name": "to", "value": "${end.date}"}],
        "headers": [{"name": "X-Key", "value": "${secret.apiKey}"}],
    }
    return {"vendor": "Acme", "request": request, "rows": "data", "charge": CHARGE, "settleDays": 0, **changes}


def paged(name: str, **paging: Any) -> dict[str, Any]:
    """The block with a further parameter of the query, and a way to page."""
    made = block(paging=paging)
    made["request"]["query"].append({"name": name, "value": f"${{{name}}}"})
    return made


def opened(
    server: ScriptedServer, settings: Mapping[str, Any], secrets: Mapping[str, str] | None = None, now: datetime = NOW
) -> AbstractAsyncContextManager[Declared]:
    keys = {"apiKey": KEY} if secrets is None else secrets
    return talking(Declared, server, keys, now, {"baseURL": server.url, **settings})


async def read(answer: Any, days: int = 1, now: datetime = NOW, **changes: Any) -> tuple[list[Charge], list[Request]]:
    """The charges of an answer that is given whatever is asked, and the requests."""
    async with ScriptedServer() as server:
        for method in ("GET", "POST"):
            server.route(method, "*", lambda _: Reply.json(answer))
            server.route(method, "/costs", lambda _: Reply.json(answer))
        async with opened(server, block(**changes), now=now) as connector:
            return await read_days(connector, FIRST, FIRST + days * DAY), server.requests


ROW = {"day": "2026-03-02", "amount": "1.50", "currency": "usd", "item": "alpha", "project": 7}
