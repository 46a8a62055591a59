"""LiteLLM's proxy as a scripted vendor: rows of its daily table, in pages that add up several breakdowns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "sk-admin-viewer-0123456789"
OWN_KEY: Final = "sk-just-mine-0123456789"
NOW: Final = datetime(2026, 3, 20, 12, tzinfo=UTC)
COUNTERS: Final = (
    "spend",
    "flat_cost",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "api_requests",
    "successful_requests",
)
RESERVED: Final = "__ptu_flat_cost__"
"""The key of rows that say what reserved throughput costs."""


def hashed(key: str) -> str:
    return sha256(key.encode()).hexdigest()


@dataclass(frozen=True)
class Row:
    """A row of the daily table."""

    day: date
    spend: Decimal = Decimal(0)
    model: str = "gpt-6-sol"
    key: str = "sk-ci"
    provider: str = "openai"
    flat_cost: Decimal = Decimal(0)
    prompt_tokens: int = 100
    completion_tokens: int = 20
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    api_requests: int = 1
    successful_requests: int = 1


def failure(status: int, message: str, type_: str) -> Reply:
    """An error as the proxy itself gives it: the code is a text, and the parameter null."""
    return Reply.json({"error": {"message": message, "type": type_, "param": None, "code": str(status)}}, status)


def detail(status: int, said: str) -> Reply:
    """An error of a route."""
    return Reply.json({"detail": {"error": said}}, status)


@dataclass
class Proxy:
    """What the played proxy knows. `metadata` is of keys, by the key itself; `per_page` its longest page."""

    rows: Sequence[Row] = ()
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    teams: Sequence[tuple[str, str | None]] = ()
    per_page: int = 1000
    models_told: bool = True

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", "/user/daily/activity", self._activity)
        server.route("GET", "/v2/team/list", self._team_list)

    def _activity(self, request: Request) -> Reply:
        refused = _refused(request)
        if refused:
            return refused
        first, last = request.first("start_date") or "", request.first("end_date") or ""
        if not first or not last:
            return detail(400, "Please provide start_date and end_date")
        page, size = int(request.first("page") or 1), int(request.first("page_size") or 50)
        if page < 1 or not 1 <= size <= 1000:
            return Reply.json({"detail": [{"loc": ["query", "page_size"], "msg": "Input should be less"}]}, 422)
        known = [] if request.first("user_id") else [row for row in self.rows if first <= row.day.isoformat() <= last]
        size = min(size, self.per_page)
        shown = sorted(known, key=lambda row: row.day, reverse=True)[(page - 1) * size : page * size]
        days = sorted({row.day for row in shown}, reverse=True)
        answer = {
            "results": [self._day(day, [row for row in shown if row.day == day]) for day in days],
            "metadata": {
                "total_spend": sum((row.spend for row in shown), Decimal(0)),
                "page": page,
                "total_pages": -(-len(known) // size),
                "has_more": page * size < len(known),
            },
        }
        return Reply.json(answer)

    def _day(self, day: date, rows: Sequence[Row]) -> Any:
        called = [row for row in rows if row.key != RESERVED]
        named = rows if self.models_told else []
        return {
            "date": day.isoformat(),
            "metrics": _total(rows),
            "breakdown": {
                "models": {
                    name: self._bucket([row for row in named if row.model == name]) for name in _of(named, "model")
                },
                "providers": {
                    name: {
                        **self._bucket([row for row in called if row.provider == name]),
                        "metadata": {"subscription_covered": True} if name == "chatgpt" else {},
                    }
                    for name in _of(called, "provider")
                },
                "api_keys": self._bucket(called)["api_key_breakdown"],
            },
        }

    def _bucket(self, rows: Sequence[Row]) -> Any:
        keys = _of([row for row in rows if row.key != RESERVED], "key")
        by_key = {
            hashed(key) if key.startswith("sk-") else key: {
                "metrics": _total([row for row in rows if row.key == key]),
                "metadata": {"key_alias": None, "team_id": None, "user_id": None, **self.metadata.get(key, {})},
            }
            for key in keys
        }
        return {"metrics": _total(rows), "metadata": {}, "api_key_breakdown": by_key}

    def _team_list(self, request: Request) -> Reply:
        refused = _refused(request)
        if refused:
            return refused
        page, size = int(request.first("page") or 1), min(int(request.first("page_size") or 10), self.per_page)
        shown = self.teams[(page - 1) * size : page * size]
        answer = {
            "teams": [{"team_id": team, "team_alias": alias} for team, alias in shown],
            "total": len(self.teams),
            "page": page,
            "page_size": size,
            "total_pages": -(-len(self.teams) // size),
        }
        return Reply.json(answer)


def _refused(request: Request) -> Reply | None:
    key = (request.headers.get("authorization") or "").removeprefix("Bearer ")
    if key not in (KEY, OWN_KEY):
        return failure(401, "Authentication Error, Invalid proxy server token passed.", "token_not_found_in_db")
    if key == OWN_KEY and request.first("user_id"):
        return detail(403, "Non-admin users can only view their own spend data.")
    return None


def _of(rows: Sequence[Row], name: str) -> list[str]:
    return list(dict.fromkeys(getattr(row, name) for row in rows))


def _total(rows: Sequence[Row]) -> Any:
    return {name: sum(getattr(row, name) for row in rows) for name in COUNTERS}
