"""A played Fly.io: apps of an organisation, and the machines and volumes of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "FlyV1 fm2_lJPECAAAAAAACS1qxBC0123456789abcdef"
OLD_KEY: Final = "fo1_0123456789abcdefghijklmnop"
ORG: Final = "example"


def machine(id_: str, kind: str = "shared", cpus: int = 1, memory: int = 256, **fields: Any) -> dict[str, Any]:
    """A machine, as the reference has it."""
    told = {
        "id": id_,
        "name": f"the-{id_}",
        "state": "started",
        "region": "fra",
        "instance_id": "01J",
        "created_at": "2026-01-10T08:00:00Z",
        "config": {"image": "registry.example/app", "guest": {"cpu_kind": kind, "cpus": cpus, "memory_mb": memory}},
    }
    return {**told, **fields}


def volume(id_: str, size: object, **fields: Any) -> dict[str, Any]:
    told = {"id": id_, "name": "data", "state": "created", "size_gb": size, "region": "fra", "encrypted": True}
    return {**told, "created_at": "2026-01-10T08:00:00.123Z", **fields}


def refusal(status: int, message: str) -> Reply:
    return Reply.json({"error": message}, status)


@dataclass
class Vendor:
    """An organisation's machines and volumes, by app."""

    machines: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    volumes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    total: int | None = None
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", "/v1/apps", lambda request: self._refused(request) or self._apps(request))
        server.route("GET", "/v1/apps/*", lambda request: self._refused(request) or self._of_app(request))

    def _refused(self, request: Request) -> Reply | None:
        self.asked.append(request)
        good = (KEY, f"Bearer {OLD_KEY}")
        return None if request.headers.get("authorization") in good else refusal(401, "unauthorized")

    def _names(self) -> Sequence[str]:
        return sorted({*self.machines, *self.volumes})

    def _apps(self, request: Request) -> Reply:
        if request.first("org_slug") != ORG:
            return refusal(404, "organization not found")
        apps = [{"id": f"id-{name}", "name": name, "machine_count": 1, "network": "default"} for name in self._names()]
        return Reply.json({"total_apps": len(apps) if self.total is None else self.total, "apps": apps})

    def _of_app(self, request: Request) -> Reply:
        name, kind = request.path.split("/")[3:5]
        if name not in self._names():
            return refusal(404, "app not found")
        return Reply.json(list((self.machines if kind == "machines" else self.volumes).get(name, [])))
