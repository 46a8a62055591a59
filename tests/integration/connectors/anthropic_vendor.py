"""Anthropic's Admin API, played for tests: the documented protocol, and its refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from ledger.window import DAY
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

Row = Mapping[str, Any]
COSTS, USAGE = "/v1/organizations/cost_report", "/v1/organizations/usage_report/messages"
WORKSPACES = "/v1/organizations/workspaces"
SPLIT: Final[Mapping[str, frozenset[str]]] = {
    COSTS: frozenset({"workspace_id", "description"}),
    USAGE: frozenset({"workspace_id", "model", "service_tier", "context_window", "inference_geo", "api_key_id"}),
}
DESCRIBED = ("description", "cost_type", "model", "token_type", "service_tier", "context_window", "inference_geo")


def tokens(amount: str, **changes: Any) -> Row:
    """A cost row of input tokens; `amount` in cents."""
    row = {
        "amount": amount,
        "currency": "USD",
        "cost_type": "tokens",
        "description": "Claude Sonnet 4 Usage - Input Tokens",
        "workspace_id": "wrkspc_live",
        "model": "claude-sonnet-4-20250514",
        "token_type": "uncached_input_tokens",
        "service_tier": "standard",
        "context_window": "0-200k",
        "inference_geo": "not_available",
    }
    return {**row, **changes}


def used(count: int, **changes: Any) -> Row:
    """A usage row with `count` input tokens."""
    row = {
        "workspace_id": "wrkspc_live",
        "model": "claude-sonnet-4-20250514",
        "service_tier": "standard",
        "context_window": "0-200k",
        "inference_geo": "not_available",
        "api_key_id": None,
        "uncached_input_tokens": count,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 0,
        "server_tool_use": {"web_search_requests": 0},
    }
    return {**row, **changes}


class Vendor:
    """The Admin API of one organization: its reports, paged by days, and its workspaces, paged by two.

    It refuses what Anthropic refuses: other keys, missing headers, unknown groupings, limits out of bounds, and
    pages asked for with other parameters than the first.
    """

    def __init__(self, server: ScriptedServer, per_page: int = 31) -> None:
        self.server = server
        self.per_page = per_page
        self.books: dict[str, dict[date, list[Row]]] = {COSTS: {}, USAGE: {}}
        self.workspaces = [
            {"type": "workspace", "id": f"wrkspc_{name}", "name": name.title(), "archived_at": archived}
            for name, archived in (("live", None), ("beta", None), ("old", "2025-01-01T00:00:00Z"))
        ]
        server.route("GET", "/v1/organizations/me", self._guarded(self._me))
        server.route("GET", WORKSPACES, self._guarded(self._workspaces))
        server.route("GET", COSTS, self._guarded(self.report))
        server.route("GET", USAGE, self._guarded(self.report))

    def bill(self, day: str, *rows: Row) -> None:
        self.books[COSTS].setdefault(date.fromisoformat(day), []).extend(rows)

    def use(self, day: str, *rows: Row) -> None:
        self.books[USAGE].setdefault(date.fromisoformat(day), []).extend(rows)

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.server.requests if request.path == path]

    def _guarded(self, handler: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            if not request.headers.get("x-api-key", "").startswith("sk-ant-admin"):
                return error(401, "authentication_error", "invalid x-api-key")
            if "anthropic-version" not in request.headers:
                return error(400, "invalid_request_error", "anthropic-version: header is required")
            return handler(request)

        return answer

    def _me(self, request: Request) -> Reply:
        return Reply.json({"type": "organization", "id": "org-1", "name": "Example"})

    def _workspaces(self, request: Request) -> Reply:
        archived = request.first("include_archived") == "true"
        known = [space for space in self.workspaces if archived or space["archived_at"] is None]
        ids = [space["id"] for space in known]
        after = request.first("after_id")
        start = ids.index(after) + 1 if after else 0
        shown = known[start : start + min(2, int(request.first("limit") or 20))]
        last = shown[-1]["id"] if shown else None
        return Reply.json({"data": shown, "has_more": start + 2 < len(known), "first_id": None, "last_id": last})

    def report(self, request: Request) -> Reply:
        """What either report answers."""
        groups = set(request.every("group_by[]"))
        limit = int(request.first("limit") or 7)
        if not groups <= SPLIT[request.path] or not 1 <= limit <= 31 or request.first("bucket_width") != "1d":
            return error(400, "invalid_request_error", f"bad query: {request.query}")
        asked = "&".join(f"{name}={value}" for name, value in sorted(request.query) if name != "page")
        page, _, bound = (request.first("page") or "page_0_").removeprefix("page_").partition("_")
        if bound and bound != asked:
            return error(400, "invalid_request_error", "page: does not belong to this query")
        start, end = (date.fromisoformat((request.first(name) or "")[:10]) for name in ("starting_at", "ending_at"))
        days = [start + n * DAY for n in range((end - start).days)]
        first, most = int(page), min(limit, self.per_page)
        more = first + most < len(days)
        return Reply.json(
            {
                "data": [self._bucket(request.path, day, groups) for day in days[first : first + most]],
                "has_more": more,
                "next_page": f"page_{first + most}_{asked}" if more else None,
            }
        )

    def _bucket(self, path: str, day: date, groups: set[str]) -> Row:
        hidden = SPLIT[path] - groups
        if "description" in hidden:
            hidden |= set(DESCRIBED)
        rows = [{**row, **{name: None for name in hidden if name in row}} for row in self.books[path].get(day, [])]
        return {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{day + DAY}T00:00:00Z", "results": rows}


def error(status: int, kind: str, message: str, code: str | None = None) -> Reply:
    """Anthropic's error envelope."""
    details = {"details": {"error_code": code}} if code else {}
    said = {"type": "error", "error": {"type": kind, "message": message, **details}, "request_id": "req_011"}
    return Reply.json(said, status=status)
