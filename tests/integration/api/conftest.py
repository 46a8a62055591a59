"""The API as a real server on loopback, and a client that asks it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.server import listening
from api.settings import ApiSettings, ConnectorInfo
from ledger.database import ReaderDB, WriterDB
from migrations.step import last
from tests.integration.ledger.conftest import Desk
from tests.loopback import PLAIN

NOW = datetime(2026, 10, 2, 15, tzinfo=UTC)
"""The API's clock: the third day of the data that most tests use."""

CONNECTOR = ConnectorInfo(
    type="openai",
    title="OpenAI",
    gives="Cost by project and line item.",
    grain="Day",
    reach_days=None,
    settling_days=1.0,
    moving_days=3.0,
    rate_limit=None,
    call_cost=None,
    origin="api",
    guide="docs/connectors/openai.md",
)


def settings(**changes: Any) -> ApiSettings:
    """Settings of an API on loopback at a fixed time."""
    return ApiSettings(**{"host": "127.0.0.1", "schema_step": last(), "clock": lambda: NOW, **changes})


@dataclass
class Asker:
    """A client of one API."""

    http: httpx.AsyncClient

    async def post(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        usual = {"accept": "application/graphql-response+json", "content-type": "application/json"}
        body = json.dumps({"query": query, "variables": variables})
        return await self.http.post("/graphql", content=body, headers=usual | headers)

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer that has no errors."""
        answer = await self.post(query, variables)
        body = answer.json()
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    async def refused(self, query: str, **variables: Any) -> dict[str, Any]:
        """The one error of an answer that is a 4xx."""
        answer = await self.post(query, variables)
        assert 400 <= answer.status_code < 500, answer.text
        [error] = answer.json()["errors"]
        return {"message": error["message"], **error["extensions"]}


@pytest.fixture
async def asker(reader: ReaderDB) -> AsyncIterator[Asker]:
    """A client of an API on loopback that asks for no authentication."""
    app = create_app(settings(), reader, [CONNECTOR])
    async with listening(app, "127.0.0.1", 0) as url, httpx.AsyncClient(base_url=url, timeout=30, verify=PLAIN) as http:
        yield Asker(http)


@pytest.fixture
async def desk(writer: WriterDB, namespace: str) -> Desk:
    """A provider in a namespace of its own."""
    made = Desk(writer, namespace)
    await made.open()
    return made
