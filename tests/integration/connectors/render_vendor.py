"""A played Render: bare lists, each element with the cursor after it, and an empty page at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "rnd_0123456789abcdefghijklmnopqr"
OWNER: Final = "tea-0123456789abcdef"
OWNERS: Final = {"id": OWNER, "name": "Example Ltd", "email": "team@example.com", "type": "team"}
PROJECT: Final = {"id": "prj-1", "name": "Shop", "environmentIds": ["evm-1", "evm-2"], "owner": OWNERS}


def service(id_: str, plan: str | None = "starter", instances: int | None = 1, **fields: Any) -> dict[str, Any]:
    """A service, as the specification has it."""
    details = {"plan": plan, "numInstances": instances, "region": "frankfurt", **fields.pop("details", {})}
    told = {
        "id": id_,
        "name": f"The {id_}",
        "type": "web_service",
        "ownerId": OWNER,
        "environmentId": "evm-1",
        "suspended": "not_suspended",
        "createdAt": "2026-01-10T08:00:00.123456Z",
        "serviceDetails": {name: value for name, value in details.items() if value is not None},
    }
    return {**told, **fields}


def store(id_: str, plan: str, **fields: Any) -> dict[str, Any]:
    """A database or a key value."""
    told = {
        "id": id_,
        "name": f"The {id_}",
        "plan": plan,
        "region": "frankfurt",
        "status": "available",
        "owner": OWNERS,
        "environmentId": "evm-2",
        "createdAt": "2026-01-10T08:00:00Z",
    }
    return {**told, **fields}


def refusal(status: int, message: str) -> Reply:
    return Reply.json({"id": "err-1", "message": message}, status)


@dataclass
class Vendor:
    """What stands at Render. `most` is the longest page."""

    services: Sequence[Mapping[str, Any]] = ()
    databases: Sequence[Mapping[str, Any]] = ()
    stores: Sequence[Mapping[str, Any]] = ()
    owners: Sequence[Mapping[str, Any]] = (OWNERS,)
    most: int = 100
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        lists = {
            "owners": ("owner", self.owners),
            "projects": ("project", [PROJECT]),
            "services": ("service", self.services),
            "postgres": ("postgres", self.databases),
            "key-value": ("keyValue", self.stores),
        }
        for path, (name, rows) in lists.items():
            server.route("GET", f"/v1/{path}", self._list(name, rows))

    def _list(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Any:
        def page(request: Request) -> Reply:
            self.asked.append(request)
            if request.headers.get("authorization") != f"Bearer {KEY}":
                return refusal(401, "Unauthorized")
            owner = request.first("ownerId")
            known = [row for row in rows if owner in (None, row.get("ownerId"), row.get("owner", {}).get("id"))]
            size, here = min(int(request.first("limit") or 20), self.most), int(request.first("cursor") or 0)
            numbered = list(enumerate(known, 1))[here : here + size]
            return Reply.json([{"cursor": str(number), name: row} for number, row in numbered])

        return page
