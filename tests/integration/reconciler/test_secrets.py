"""A credential never leaves the Secret: not into status, events, logs, metrics, the database or a message."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from ledger.schema import TENANT_TABLES
from reconciler.connectors.http import EgressPolicy, HttpLimits
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.engine import Engine
from tests.integration.reconciler.conftest import Plant

PLANTED = "sk-admin-planted/7+secret=&value"
FORMS = (PLANTED, base64.b64encode(PLANTED.encode()).decode(), quote(PLANTED, safe=""), "7+secret")


def _echo(request: Request) -> str:
    """What a careless vendor sends back: everything it was given."""
    given = request.headers.get("authorization", "") + request.headers.get("x-api-key", "")
    encoded = base64.b64encode(PLANTED.encode()).decode()
    return f"you sent {given} to {request.target}, or {encoded}, or {quote(PLANTED, safe='')}"


@pytest.mark.parametrize("type_", ["openai", "anthropic"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 200])
async def test_a_vendor_that_echoes_the_key_spreads_it_nowhere(plant: Plant, type_: str, status: int) -> None:
    """Whatever it answers with, every row of every table, every event, status and log line is free of it."""
    plant.source.secrets[plant.namespace, "books"] = {"apiKey": PLANTED}
    async with ScriptedServer() as server:
        for path in ("/organization/*", "/v1/organizations/*", "/v1/*", "/*"):
            server.route("GET", path, lambda request: Reply.json({"error": {"message": _echo(request)}}, status))
        fields: dict[str, Any] = {"type": type_, "test": None, type_: {"baseURL": server.url}}
        key = plant.put(**fields)
        spec = {name: value for name, value in plant.source.resources[key].spec.items() if value is not None}
        plant.source.resources[key] = replace(plant.source.resources[key], spec=spec)
        limits = HttpLimits(attempts=1, read=5.0, total=5.0)
        deps = replace(plant.deps, egress=EgressPolicy(allow_loopback=True), limits=limits)

        with capture_logs() as logs:
            await Engine(deps, workers=1).settle([key])

        assert server.requests, "the vendor was never asked, so nothing is proved"
    assert plant.ready(key)[0] == "False"
    told = [*await _everything(plant), repr(plant.source.statuses), repr(plant.source.events), repr(logs)]
    for place in told:
        for form in FORMS:
            assert form not in place


async def _everything(plant: Plant) -> list[str]:
    """Every row of every table, as text."""
    found = []
    async with plant.db.transaction() as connection:
        for table in TENANT_TABLES:
            if table != "vendor_token":
                rows = await connection.execute(
                    text(f"select t::text from {table} t where namespace = :ns"), {"ns": plant.namespace}
                )
                found += [str(row) for row in rows.scalars()]
    assert any("provider" in row.lower() for row in found)
    return found
