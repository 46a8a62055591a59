"""A team whose budget is breached: judged and told by the real reconciler, and asked about through the real API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx

from api.app import create_app
from api.server import listening
from ledger.database import ReaderDB, WriterDB
from reconciler.alerting.judge import Judge
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.sources.memory import MemorySource
from tests.integration.api.conftest import Asker, settings
from tests.integration.reconciler.conftest import START, Clock, Plant
from tests.integration.reconciler.test_alerts import Receiver
from tests.integration.reconciler.vendor import Books, TestVendor
from tests.loopback import PLAIN

TODAY = START.date()
LEVELS = [{"percent": 50, "severity": "info"}, {"percent": 90}, {"percent": 100, "severity": "critical"}]


def back(days: int) -> date:
    """So many days before today."""
    return TODAY - timedelta(days=days)


@dataclass
class Team:
    """A namespace with a vendor, a budget of 100 USD, its alert, a channel, and who is told by it."""

    plant: Plant
    receiver: Receiver
    asker: Asker

    @property
    def namespace(self) -> str:
        return self.plant.namespace

    async def breach(self, bills: Mapping[date, list[str]] | None = None, **alert: Any) -> None:
        """Have 95.50 of the 100 USD spent, or the `bills`, and all that follows from it done."""
        plant = self.plant
        plant.put("hook", "Channel", type="webhook", secretRef={"name": "hook"})
        plant.put("ai", "Budget", amount="100.00", currency="USD")
        spec = {"budgetRef": {"name": "ai"}, "on": "Spend", "levels": LEVELS, "channels": [{"name": "hook"}], **alert}
        plant.put("over", "Alert", **spec)
        plant.books.bills = dict(bills or {back(2): ["60.00"], back(1): ["35.50"]})
        plant.put()
        await plant.settle()

    async def later(self, **span: float) -> None:
        """Let time pass, and whatever is due then be done."""
        self.plant.clock.now += timedelta(**span)
        await self.plant.settle()

    async def judged(self) -> None:
        """Have what is due judged and told, and nothing reconciled or synced."""
        judge = Judge(self.plant.deps, lambda _key: None)
        await judge.judge()
        await judge.settle()

    async def ask(self, query: str, **variables: Any) -> Any:
        """The only field of the answer; where the query has it, `ns` is the namespace."""
        named = {"ns": self.namespace} if "$ns" in query else {}
        return (await self.asker.ask(query, **named, **variables)).popitem()[1]


@asynccontextmanager
async def team_of(writer: WriterDB, reader: ReaderDB, namespace: str) -> AsyncIterator[Team]:
    """A team, and the API on the team's clock, which asks for no authentication."""
    clock, books = Clock(), Books()
    plant = Plant(writer, namespace, MemorySource(), clock, books)
    TestVendor.books[namespace] = books
    plant.source.secrets[namespace, "books"] = {"apiKey": "good-key"}
    app = create_app(settings(clock=clock), reader)
    async with ScriptedServer() as server, listening(app, "127.0.0.1", 0) as url:
        plant.source.secrets[namespace, "hook"] = {"url": f"{server.url}/hook"}
        async with httpx.AsyncClient(base_url=url, timeout=20, verify=PLAIN) as http:
            yield Team(plant, Receiver(server), Asker(http))


DOWN = Reply(503)
"""What a receiver answers that is not there now."""
