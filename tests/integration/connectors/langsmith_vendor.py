"""LangSmith's granular usage as a scripted vendor: traces by day, grouped as asked, in buckets that the range sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from ledger.window import DAY, midnight
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "lsv2_sk_0123456789abcdef"
PERSONAL_KEY: Final = "lsv2_pt_0123456789abcdef"
NOW: Final = datetime(2026, 3, 20, 12, tzinfo=UTC)
USAGE: Final = "/api/v1/orgs/current/billing/granular-usage"
GROUPS: Final = {
    "workspace": ("workspace_id", "workspace_name"),
    "project": ("project_id", "project_name"),
    "user": ("user_id", "user_email"),
    "api_key": ("api_key_short_key",),
}


@dataclass(frozen=True)
class Sent:
    """Traces of a day, of which `long` are kept longer."""

    day: date
    traces: int
    long: int = 0
    of: str = "1"


@dataclass
class Organization:
    """What the played organisation sent. `tiers` says whether LangSmith knows the filter by retention."""

    sent: Sequence[Sent] = ()
    tiers: bool = True
    unnamed: bool = False
    overrides: dict[str, Any] = field(default_factory=dict)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", USAGE, self._usage)

    def _usage(self, request: Request) -> Reply:
        key = request.headers.get("x-api-key")
        if key not in (KEY, PERSONAL_KEY):
            return Reply.json({"detail": "Invalid token"}, 401)
        if key == PERSONAL_KEY and not request.headers.get("x-organization-id"):
            return Reply.json({"detail": "Forbidden"}, 403)
        start, end = (datetime.fromisoformat(request.first(name) or "") for name in ("start_time", "end_time"))
        if end <= start:
            return Reply.json({"detail": "end_time must be after start_time"}, 422)
        days = (end - start) // DAY
        tier = request.first("trace_tier") if self.tiers else None
        usage: Counter[tuple[date, str]] = Counter()
        for each in self.sent:
            if start <= midnight(each.day) < end:
                usage[each.day, each.of] += {"longlived": each.long, "shortlived": each.traces - each.long}.get(
                    tier or "", each.traces
                )
        rows = [
            {
                "time_bucket": f"{day}T00:00:00Z",
                "dimensions": self._dimensions(request.first("group_by") or "workspace", of),
                "traces": traces,
            }
            for (day, of), traces in usage.items()
            if traces
        ]
        stride = {"days": 1 if days <= 31 else 7, "hours": 0}
        return Reply.json({"stride": stride, "usage": rows, **self.overrides})

    def _dimensions(self, group: str, of: str) -> Any:
        return {name: None if self.unnamed and not name.endswith("id") else f"{name} {of}" for name in GROUPS[group]}
