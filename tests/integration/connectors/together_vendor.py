"""Together's billing usage as a scripted vendor: finished windows of a month, in pages, for one organisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ledger.window import DAY, midnight, next_month
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY = "tgp_v1_0123456789abcdef"
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHO = {
    "type": "project_api_key",
    "api_key": {"id": "key_0"},
    "organization": {"id": "org_1", "name": "Example"},
    "project": {"id": "proj_1", "name": "Search", "slug": "search"},
}


def failure(status: int, message: str, code: str | None = None) -> Reply:
    return Reply.json({"error": {"message": message, "type": "error", "param": None, "code": code}}, status)


def item(cost: object, **fields: Any) -> Any:
    """A line item, as the reference has it."""
    return {
        "product_name": "Serverless Inference - Input Tokens",
        "quantity": "1250.5",
        "unit_price": "0.20",
        "cost": str(cost),
        "pricing_dimensions": {"model": "meta-llama/Llama-4"},
        "attributes": {"api_key_id": "key_1", "project_id": "proj_1"},
        "applied_credit": {"type": "PREPAID"},
        **fields,
    }


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Books:
    """What the played Together knows: items by the window's start. `per_page` is its longest page."""

    items: Mapping[datetime, Sequence[Any]] = field(default_factory=dict)
    who: Any = field(default_factory=lambda: WHO)
    per_page: int = 1000
    now: datetime = NOW

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", "/v1/billing/usage", self._usage)
        server.route("GET", "/v3/whoami", lambda _: Reply.json(self.who))

    def _usage(self, request: Request) -> Reply:
        month, granularity = request.first("month") or "", request.first("granularity") or ""
        limit = int(request.first("limit") or 100)
        token, _, place = (request.first("after") or f"{month}{granularity}/0").partition("/")
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return failure(401, "Invalid API key provided", "invalid_api_key")
        if request.first("organization_id") not in (None, "org_1"):
            return failure(403, "Organization does not own this API key")
        if not 1 <= limit <= 1000 or token != month + granularity:
            return failure(400, "Invalid limit or cursor")
        told = self._told(midnight(date.fromisoformat(f"{month}-01")), HOUR if granularity == "hour" else DAY)
        here, following = int(place), int(place) + min(limit, self.per_page)
        answer = {
            "object": "list",
            "organization_id": "org_1",
            "billing_period": month,
            "currency": "USD",
            "earliest_window_start": told[0]["start_time"] if told else None,
            "latest_window_end": told[-1]["end_time"] if told else None,
            "data": told[here:following],
            "next_cursor": f"{token}/{following}" if following < len(told) else None,
        }
        return Reply.json(answer)

    def _told(self, month: datetime, length: timedelta) -> list[Any]:
        """The finished windows of the month that have usage."""
        starts = sorted(start for start in self.items if month <= start < next_month(month))
        return [
            {
                "date": f"{start:%Y-%m-%d}",
                "start_time": stamp(start),
                "end_time": stamp(start + length),
                "line_items": self.items[start],
            }
            for start in starts
            if start + length <= (self.now if length == HOUR else midnight(self.now.date()))
        ]
