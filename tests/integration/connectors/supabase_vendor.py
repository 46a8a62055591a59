"""A played Supabase: an organisation, its projects in pages by offset, and each project's add-ons with their prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "sbp_0123456789abcdef0123456789abcdef01234567"
ORG: Final = "abcdefghijklmnopqrst"
PROJECTS: Final = f"/v1/organizations/{ORG}/projects"


def variant(id_: str, amount: object, interval: str = "hourly", name: str | None = None) -> dict[str, Any]:
    """A variant of an add-on, as the specification has it."""
    price = {"amount": amount, "interval": interval, "type": "usage", "description": f"${amount}"}
    return {"id": id_, "name": name or id_, "price": price, "meta": {}}


def addon(type_: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": type_, "variant": chosen}


MICRO: Final = addon("compute_instance", variant("ci_micro", Decimal("0.01344"), name="Micro"))
SMALL: Final = addon("compute_instance", variant("ci_small", Decimal("0.0206"), name="Small"))


def project(ref: str, addons: Sequence[Any] = (), **fields: Any) -> dict[str, Any]:
    """A project, and its add-ons beside it under the key that the server keeps to itself."""
    told = {
        "ref": ref,
        "name": f"The {ref}",
        "region": "us-east-1",
        "status": "ACTIVE_HEALTHY",
        "cloud_provider": "AWS",
        "is_branch": False,
        "inserted_at": "2026-01-10T08:00:00Z",
        "databases": [],
    }
    return {**told, **fields, "addons": addons}


def database(size: str | None, **fields: Any) -> dict[str, Any]:
    told = {"identifier": "db", "type": "PRIMARY", "status": "ACTIVE_HEALTHY", "region": "us-east-1"}
    return {**told, "infra_compute_size": size, **fields}


def refusal(status: int, message: str) -> Reply:
    return Reply.json({"message": message}, status)


@dataclass
class Vendor:
    """An organisation's projects. `offered` are add-ons that any project could have; `most` is the longest page."""

    projects: Sequence[Mapping[str, Any]] = ()
    plan: str | None = "pro"
    offered: Sequence[Mapping[str, Any]] = ()
    most: int = 100
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        organisation: dict[str, Any] = {"id": ORG, "name": "Example Ltd", "plan": self.plan, "opt_in_tags": []}
        told = Reply.json(organisation)
        server.route("GET", f"/v1/organizations/{ORG}", lambda request: self._refused(request) or told)
        server.route("GET", PROJECTS, lambda request: self._refused(request) or self._list(request))
        server.route("GET", "/v1/projects/*", lambda request: self._refused(request) or self._addons(request))

    def _refused(self, request: Request) -> Reply | None:
        self.asked.append(request)
        return None if request.headers.get("authorization") == f"Bearer {KEY}" else refusal(401, "Unauthorized")

    def _list(self, request: Request) -> Reply:
        limit, offset = min(int(request.first("limit") or 100), self.most), int(request.first("offset") or 0)
        rows = [{name: value for name, value in each.items() if name != "addons"} for each in self.projects]
        pagination = {"count": len(rows), "limit": limit, "offset": offset}
        return Reply.json({"projects": rows[offset : offset + limit], "pagination": pagination})

    def _addons(self, request: Request) -> Reply:
        ref = request.path.split("/")[3]
        known = next((each for each in self.projects if each["ref"] == ref), None)
        if known is None:
            return refusal(404, "Project not found")
        variants = {"type": "compute_instance", "name": "Compute", "variants": self.offered}
        return Reply.json({"selected_addons": known["addons"], "available_addons": [variants]})
