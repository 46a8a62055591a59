"""A team: one namespace, the manifests that it applies, and what it then sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text

from ledger.database import connect_writer
from tests.e2e.controlplane import ControlPlane
from tests.e2e.vendor import Books, Vendor
from tests.e2e.waiting import until

KEY: Final = "sk-admin-planted-e2e-0123456789"
"""The key that opens every team's account; searched for everywhere after the suite."""


@dataclass(frozen=True)
class Ledger:
    """The database, asked directly."""

    url: str

    def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """What a statement finds; what it changes is kept."""
        return asyncio.run(self.find(statement, **values))

    async def find(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """As `rows`, for tests that have a loop."""
        db = connect_writer(self.url, pool_size=1)
        try:
            async with db.transaction() as connection:
                found = await connection.execute(text(statement), values)
                return [tuple(row) for row in found] if found.returns_rows else []
        finally:
            await db.close()


@dataclass(frozen=True)
class Team:
    """What the people of a namespace do, by the real kubectl."""

    plane: ControlPlane
    vendor: Vendor
    ledger: Ledger
    namespace: str

    @property
    def books(self) -> Books:
        """The team's account at the vendor."""
        return self.vendor.books[self.namespace]

    def kubectl(self, *arguments: str, text: str | None = None, ok: bool = True) -> str:
        return self.plane.kubectl("-n", self.namespace, *arguments, text=text, ok=ok)

    def give_key(self, key: str = KEY, *, watched: bool = False, opens: bool = True) -> None:
        """Apply the Secret with the key, which opens the account unless told otherwise."""
        if opens:
            self.books.keys.add(key)
        self.plane.apply(self.secret(key, watched=watched))

    def secret(self, key: str, *, watched: bool = False) -> dict[str, Any]:
        labels = {"costhook.io/watch": "true"} if watched else {}
        metadata = {"name": "openai-admin", "namespace": self.namespace, "labels": labels}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"apiKey": key}}

    def provider(self, name: str = "openai", **spec: Any) -> dict[str, Any]:
        """The manifest of a Provider of this team."""
        usual = {
            "type": "openai",
            "secretRef": {"name": "openai-admin"},
            "history": "5d",
            "openai": {"baseURL": self.vendor.url(self.namespace)},
        }
        return {
            "apiVersion": "costhook.io/v1alpha1",
            "kind": "Provider",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": usual | spec,
        }

    def apply_provider(self, name: str = "openai", **spec: Any) -> None:
        self.plane.apply(self.provider(name, **spec))

    def wait(self, condition: str, name: str = "openai", kind: str = "provider") -> str:
        """`kubectl wait --for=...`."""
        return self.kubectl("wait", f"--for={condition}", f"{kind}/{name}", "--timeout=30s")

    def wait_ready(self, name: str = "openai") -> None:
        self.wait("condition=Ready", name)

    def wait_reason(self, reason: str, name: str = "openai") -> None:
        self.wait(f"jsonpath={{.status.conditions[?(@.type=='Ready')].reason}}={reason}", name)

    def wait_handled(self, value: str, name: str = "openai") -> None:
        """Until the request for a sync with this value has been obeyed."""
        self.wait(f"jsonpath={{.status.lastHandledReconcileAt}}={value}", name)

    def sync_now(self, name: str = "openai") -> None:
        """Ask for a sync, as the guide says, and wait for its end."""
        asked = datetime.now().astimezone().isoformat()
        self.kubectl("annotate", "cprov", name, f"costhook.io/requested-at={asked}", "--overwrite")
        self.wait_handled(asked, name)

    def get(self, name: str = "openai") -> dict[str, Any]:
        """The Provider as it is now."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "provider", name, "-o", "json"))
        return found

    def status(self, name: str = "openai") -> dict[str, Any]:
        return dict(self.get(name).get("status", {}))

    def condition(self, type_: str = "Ready", name: str = "openai") -> Mapping[str, Any] | None:
        found = self.status(name).get("conditions", ())
        return next((each for each in found if each["type"] == type_), None)

    def events(self, name: str = "openai") -> list[tuple[str, str]]:
        """Type and reason of every event that was told of a Provider, in order."""
        selector = f"involvedObject.name={name},involvedObject.kind=Provider"
        found = json.loads(self.kubectl("get", "events", "--field-selector", selector, "-o", "json"))["items"]
        ordered = sorted(found, key=lambda each: (each["firstTimestamp"], int(each["metadata"]["resourceVersion"])))
        return [(each["type"], each["reason"]) for each in ordered]

    def cost(self, name: str = "openai") -> Decimal:
        """All that the ledger holds of a provider; its rollup must agree."""
        where = "where namespace = :namespace and provider = :name"
        tables = (f"(select coalesce(sum(billed_cost), 0) from {table} {where})" for table in ("charge", "daily_cost"))
        statement = f"select {', '.join(tables)}"  # one statement: both sums at one moment
        [sums] = self.ledger.rows(statement, namespace=self.namespace, name=name)
        assert sums[0] == sums[1]
        return Decimal(sums[0])

    def syncs(self, name: str = "openai") -> list[tuple[str, str]]:
        """Trigger and outcome of every sync of a provider."""
        return [
            (trigger, outcome)
            for trigger, outcome in self.ledger.rows(
                "select trigger, outcome from sync_run where namespace = :namespace and provider = :name order by id",
                namespace=self.namespace,
                name=name,
            )
        ]

    def until_cost(self, expected: str, name: str = "openai") -> None:
        until(lambda: self.cost(name) == Decimal(expected), lambda: f"{self.cost(name)} is not {expected}")
