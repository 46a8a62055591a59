"""A played Atlas: an organization's invoices in pages, each with its lines, behind digests or a token."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from tests.integration.connectors.digest_server import Guard

ORGANIZATION: Final = "66d7254246a21a41036ff300"
INVOICES: Final = f"/api/atlas/v2/orgs/{ORGANIZATION}/invoices"
PUBLIC, PRIVATE = "abcdefgh", "01234567-89ab-cdef-0123-456789abcdef"
CLIENT, SECRET = "mdb_sa_id_66d7254246a21a41036ff3aa", "mdb_sa_sk_0123456789abcdefghij"
TOKEN: Final = "token-9876543210"
DAY: Final = timedelta(days=1)
JSON: Final = {"Content-Type": "application/vnd.atlas.2023-01-01+json"}


def item(
    cents: object, day: date = date(2026, 3, 2), sku: str = "ATLAS_AWS_INSTANCE_M10", **fields: Any
) -> dict[str, Any]:
    """A line for a cluster and a day."""
    times = {"startDate": f"{day}T00:00:00Z", "endDate": f"{day + DAY}T00:00:00Z", "created": f"{day + DAY}T02:10:00Z"}
    what = {"groupId": "5f00", "groupName": "prod", "clusterName": "Cluster0", "sku": sku}
    used = {"quantity": 72.0, "unit": "server hours", "unitPriceDollars": 0.0266666667}
    return {**times, **what, **used, "totalPriceCents": cents, **fields}


@dataclass(frozen=True)
class Made:
    """An invoice for the month that begins on `first`."""

    first: date = date(2026, 3, 1)
    items: Sequence[Mapping[str, Any]] = ()
    status: str = "PENDING"
    more: Mapping[str, Any] = field(default_factory=dict)

    def listed(self, number: int) -> dict[str, Any]:
        after = (self.first + 31 * DAY).replace(day=1)
        times = {"startDate": f"{self.first}T00:00:00Z", "endDate": f"{after}T00:00:00Z"}
        return {"id": f"{number:024x}", "orgId": ORGANIZATION, "statusName": self.status, **times, **self.more}


@dataclass
class Vendor:
    """An organization's invoices, newest first. `hidden` are those that only /pending tells, in the form `alone`."""

    made: Sequence[Made] = ()
    most: int = 500
    hidden: Sequence[Made] = ()
    alone: bool = False
    role: Reply | None = None
    guard: Guard = field(default_factory=lambda: Guard(PUBLIC, PRIVATE, refusal=refusal(401, "NOT_AUTHORIZED")))
    tokens: int = 0
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("POST", "/api/oauth/token", self._token)
        server.route("GET", INVOICES, self._known)
        server.route("GET", f"{INVOICES}/*", self._known)
        server.route("GET", "/api/*", self._known)

    def _token(self, request: Request) -> Reply:
        pair = b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}" or request.body != b"grant_type=client_credentials":
            return Reply.json({"error": "invalid_client", "error_description": "no such client"}, 401)
        self.tokens += 1
        return Reply.json({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    def _known(self, request: Request) -> Reply:
        self.asked.append(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}" and not self.guard.admits(request):
            return self.guard.challenge()
        if not request.headers.get("accept", "").startswith("application/vnd.atlas."):
            return refusal(406, "INVALID_VERSION_DATE")
        if self.role is not None:
            return self.role
        return self._answer(request)

    def _answer(self, request: Request) -> Reply:
        every = [*self.made, *self.hidden]
        match request.path.removeprefix(INVOICES):
            case "":
                return self._page(request)
            case "/pending":
                pending = [made.listed(place) for place, made in enumerate(every) if made.status == "PENDING"]
                return Reply.json(pending[0] if self.alone else {"results": pending}, headers=JSON)
            case path if path.startswith("/") and path[1:].isalnum() and int(path[1:], 16) < len(every):
                made = every[int(path[1:], 16)]
                told = {"lineItems": made.items, "payments": [], "refunds": None, **made.listed(int(path[1:], 16))}
                return Reply.json(told, headers={**JSON, "RateLimit-Limit": "100", "RateLimit-Remaining": "99"})
        return refusal(404, "RESOURCE_NOT_FOUND")

    def _page(self, request: Request) -> Reply:
        number, size = int(request.first("pageNum") or 1), min(int(request.first("itemsPerPage") or 100), self.most)
        rows = [made.listed(place) for place, made in enumerate(self.made)]
        link = {"href": f"https://cloud.mongodb.com{request.path}?pageNum={number + 1}", "rel": "next"}
        links = [{"href": "self", "rel": "self"}, *([link] if number * size < len(rows) else [])]
        shown = rows[(number - 1) * size : number * size]
        return Reply.json({"results": shown, "links": links, "totalCount": 10**6}, headers=JSON)


def refusal(status: int, code: str, detail: str = "No.") -> Reply:
    return Reply.json({"detail": detail, "error": status, "errorCode": code, "reason": "Refused"}, status)
