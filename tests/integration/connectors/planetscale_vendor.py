"""A played PlanetScale: an organization's invoices and their lines, in numbered pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

TOKEN: Final = "pscale_tkn_0123456789abcdef"
TOKEN_ID: Final = "0123456789ab"
INVOICES: Final = "/v1/organizations/acme/invoices"


def item(subtotal: object, **fields: Any) -> dict[str, Any]:
    """A line for a branch of a database."""
    branch = {"id": "br_1", "name": "main", "created_at": "2026-03-01T00:00:00.000Z", "deleted_at": None}
    told = {"description": "PS-10 AWS us-east-1", "metric_name": "cluster", "cloudflare_billed": False}
    return {"subtotal": subtotal, **told, "database_id": "db_1", "database_name": "app", "resource": branch, **fields}


@dataclass(frozen=True)
class Made:
    """An invoice; its period is written as PlanetScale was seen to write it."""

    total: object
    items: Sequence[Mapping[str, Any]] = ()
    start: str = "2026-03-01T00:00:00.000Z"
    end: str = "2026-04-01T00:00:00.000Z"


@dataclass
class Vendor:
    """Invoices, newest first, and the longest page that is given. `later` are totals of the second look at one."""

    made: Sequence[Made] = ()
    most: int = 100
    later: Mapping[str, object] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", INVOICES, self._invoices)
        server.route("GET", f"{INVOICES}/*", self._invoice)

    def _invoices(self, request: Request) -> Reply:
        return self._listed(request, [self._row(place) for place in range(len(self.made))])

    def _invoice(self, request: Request) -> Reply:
        name, _, more = request.path.removeprefix(f"{INVOICES}/").partition("/")
        place = int(name.removeprefix("inv_"))
        if more:
            named = [{"id": f"li_{number}", **each} for number, each in enumerate(self.made[place].items)]
            return self._listed(request, named)
        return self._refused(request) or Reply.json({**self._row(place), **self._changed(name)})

    def _changed(self, name: str) -> Mapping[str, object]:
        return {"total": self.later[name]} if name in self.later else {}

    def _row(self, place: int) -> dict[str, Any]:
        made = self.made[place]
        period = {"billing_period_start": made.start, "billing_period_end": made.end}
        return {"id": f"inv_{place}", "total": made.total, **period, "paid": False, "overdue": False}

    def _listed(self, request: Request, rows: Sequence[Mapping[str, Any]]) -> Reply:
        page = int(request.first("page") or 1)
        size = min(int(request.first("per_page") or 25), 100, self.most)
        following = page + 1 if page * size < len(rows) else None
        url = f"https://api.planetscale.com{request.path}?page={following}" if following else None
        numbers = {"current_page": page, "per_page": size, "next_page": following, "next_page_url": url}
        before = {"prev_page": page - 1 or None, "prev_page_url": None}
        shown = rows[(page - 1) * size : page * size]
        return self._refused(request) or Reply.json({"type": "list", **numbers, **before, "data": shown})

    def _refused(self, request: Request) -> Reply | None:
        self.asked.append(request)
        if request.headers.get("authorization") != f"{TOKEN_ID}:{TOKEN}":
            return refusal(401, "unauthorized", "Unauthorized")
        return None


def refusal(status: int, code: str, message: str) -> Reply:
    return Reply.json({"code": code, "message": message}, status)
