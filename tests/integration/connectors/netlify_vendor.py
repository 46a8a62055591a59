"""A played Netlify: teams, and how many minutes each has built in this billing period and in the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "nfp_0123456789abcdefghijklmnopqrstuvwxyz"
TEAM: Final = {"id": "5f0e1d2c3b4a", "name": "Example Ltd", "slug": "example", "type_name": "Pro", "type_id": "t1"}


def minutes(
    current: object = 0, previous: object = 0, start: str | None = "2026-03-12", **fields: Any
) -> dict[str, Any]:
    """Minutes as the reference has them; included ones are texts there."""
    told = {
        "current": current,
        "current_average_sec": 61,
        "previous": previous,
        "last_updated_at": "2026-03-20T11:00:00Z",
    }
    period = {} if start is None else {"period_start_date": f"{start}T00:00:00.000Z", "period_end_date": "2026-04-11"}
    return {**told, **period, **fields}


def refusal(status: int, message: str) -> Reply:
    return Reply.json({"code": status, "message": message}, status)


@dataclass
class Vendor:
    """Teams, and the builds of the first one."""

    minutes: Mapping[str, Any] | None = field(default_factory=minutes)
    teams: Sequence[Mapping[str, Any]] = (TEAM,)
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", "/accounts", lambda request: self._refused(request) or Reply.json(list(self.teams)))
        for team in self.teams:
            path = f"/{team['id']}/builds/status"
            server.route("GET", path, lambda request: self._refused(request) or self._status())

    def _refused(self, request: Request) -> Reply | None:
        self.asked.append(request)
        good = request.headers.get("authorization") == f"Bearer {KEY}"
        return None if good else refusal(401, "Access Denied: Invalid Access Token")

    def _status(self) -> Reply:
        told = {"active": 0, "enqueued": 0, "pending_concurrency": 0, "build_count": 3}
        return Reply.json([] if self.minutes is None else [{**told, "minutes": self.minutes}])
