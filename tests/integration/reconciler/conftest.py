"""A reconciler over resources in memory, with a clock that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from ledger.database import WriterDB
from reconciler.connectors.http import EgressPolicy
from reconciler.connectors.registry import connector
from reconciler.deps import Deps
from reconciler.desks import Desks
from reconciler.engine import Engine
from reconciler.kinds.catalogue import kinds
from reconciler.kinds.provider import built_in
from reconciler.sources.base import Key, Resource
from reconciler.sources.memory import MemorySource
from reconciler.status import ready
from tests.integration.reconciler.vendor import Books, TestVendor

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
PATIENCE = 20


@dataclass
class Clock:
    """The time, as a test sets it."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


def find(type_: str) -> Any:
    """The connector of a type, the test's own among them."""
    return TestVendor if type_ == "test" else connector(type_)


@dataclass
class Plant:
    """One namespace with a source, a clock and books; every test has its own."""

    db: WriterDB
    namespace: str
    source: MemorySource
    clock: Clock
    books: Books
    holder: str = "one"
    places: int = 4
    patience: timedelta = timedelta()
    lease_ttl: timedelta = timedelta(seconds=30)

    @property
    def deps(self) -> Deps:
        return Deps(
            db=self.db,
            source=self.source,
            source_name=self.namespace,
            connector=find,
            kinds=kinds({**built_in(), "test": TestVendor}),
            clock=self.clock,
            phase=lambda _namespace, _name: 0.0,
            patience=self.patience,
            holder=self.holder,
            lease_ttl=self.lease_ttl,
            desks=Desks(self.places),
            egress=EgressPolicy(allow_loopback=True),
        )

    def put(self, name: str = "vendor", kind: str = "Provider", **spec: Any) -> Key:
        """Apply a resource; a Provider of the test vendor unless told otherwise."""
        key = Key(kind, self.namespace, name)
        if kind == "Provider":
            spec = {
                "type": "test",
                "secretRef": {"name": "books"},
                "test": {"desk": self.namespace},
                "history": "5d",
                **spec,
            }
        self.source.put(Resource(key, f"uid-{name}", 0, spec, place=f"{name}.yaml:1"))
        return key

    def annotate(self, key: Key, **annotations: str) -> None:
        """Put annotations on a resource."""
        named = {name.replace("_", "-"): value for name, value in annotations.items()}
        self.source.put(
            replace(self.source.resources[key], annotations={f"costhook.io/{k}": v for k, v in named.items()})
        )

    async def settle(self, *keys: Key) -> None:
        """Reconcile the keys once, whether due or not."""
        async with asyncio.timeout(PATIENCE):
            await Engine(self.deps, workers=4).settle(list(keys or self.source.resources))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Engine]:
        """A reconciler that runs until the block ends."""
        stop, engine = asyncio.Event(), Engine(self.deps, workers=4)
        task = asyncio.create_task(engine.run(stop))
        try:
            yield engine
        finally:
            stop.set()
            async with asyncio.timeout(PATIENCE):
                await task

    def status(self, key: Key) -> Mapping[str, Any]:
        return self.source.statuses.get(key, {})

    def ready(self, key: Key) -> tuple[str, str]:
        """Status and reason of the Ready condition."""
        said = ready(self.status(key))
        return (said["status"], said["reason"]) if said else ("", "")

    async def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        async with self.db.transaction() as connection:
            found = await connection.execute(text(statement), {"ns": self.namespace, **values})
            return [tuple(row) for row in found]

    async def total(self, name: str = "vendor") -> Decimal:
        """All that the ledger holds of a provider, by its charges; its rollup must agree."""
        [(charges,)] = await self.rows(
            "select coalesce(sum(billed_cost), 0) from charge where namespace = :ns and provider = :name", name=name
        )
        [(rollup,)] = await self.rows(
            "select coalesce(sum(billed_cost), 0) from daily_cost where namespace = :ns and provider = :name", name=name
        )
        assert charges == rollup
        return Decimal(charges)

    async def until_ready(self, key: Key, expected: tuple[str, str]) -> None:
        """Wait until the Ready condition has this status and reason."""
        async with asyncio.timeout(PATIENCE):
            while self.ready(key) != expected:
                await asyncio.sleep(0.02)

    async def until(self, statement: str, expected: list[tuple[Any, ...]], **values: object) -> None:
        """Wait until a query answers as expected."""
        async with asyncio.timeout(PATIENCE):
            while await self.rows(statement, **values) != expected:
                await asyncio.sleep(0.02)


@pytest.fixture
def plant(writer: WriterDB, namespace: str) -> Plant:
    source = MemorySource()
    source.secrets[namespace, "books"] = {"apiKey": "good-key"}
    books = TestVendor.books[namespace] = Books()
    return Plant(writer, namespace, source, Clock(), books)


def another(plant: Plant) -> Plant:
    """A second reconciler over the same resources and database."""
    return replace(plant, holder=f"other-{uuid4().hex[:6]}")
