"""A played Neon: consumption by project in pages that end when they are empty, and names of the projects that are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from ledger.window import DAY, midnight, month_start, next_month
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "napi_0123456789abcdefghijklmnopqrstuvwxyz"
ORG: Final = "org-ocean-art-12345678"
HISTORY: Final = "/consumption_history/v2/projects"
LOOKBACK: Final = {"hourly": timedelta(hours=168), "daily": timedelta(days=60), "monthly": timedelta(days=365)}


@dataclass(frozen=True)
class Used:
    """What a project used of a metric on a day."""

    day: date
    metric: str
    value: int
    project: str = "alpha-1"
    plan: str = "launch_v3"


def refusal(status: int, code: str, message: str) -> Reply:
    return Reply.json({"request_id": "6f2a", "code": code, "message": message}, status)


@dataclass
class Vendor:
    """What an organisation's projects used. `most` is the longest page, `echo` whether an empty page names a cursor."""

    used: Sequence[Used] = ()
    now: datetime = datetime(2026, 3, 20, 12, tzinfo=UTC)
    most: int = 100
    echo: bool = True
    names: Mapping[str, str] = field(default_factory=lambda: {"alpha-1": "shop"})
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", HISTORY, lambda request: self._known(request) or self._history(request))
        server.route("GET", "/projects", lambda request: self._known(request) or self._projects(request))
        server.route("GET", f"/organizations/{ORG}", lambda request: self._known(request) or self._organisation())

    def _known(self, request: Request) -> Reply | None:
        self.asked.append(request)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return refusal(401, "", "not authorized")
        if request.first("org_id") not in (None, ORG):
            return refusal(404, "", "organization not found")
        return None

    def _organisation(self) -> Reply:
        return Reply.json({"id": ORG, "name": "Example Ltd", "plan": "launch"})

    def _projects(self, request: Request) -> Reply:
        rows = {id_: {"id": id_, "name": name, "region_id": "aws-us-east-1"} for id_, name in self.names.items()}
        return self._page(request, rows)

    def _history(self, request: Request) -> Reply:
        granularity = request.first("granularity") or ""
        start, end = (datetime.fromisoformat(request.first(name) or "") for name in ("from", "to"))
        if start < self.now - LOOKBACK[granularity]:
            return refusal(406, "", f"the from date is beyond the {granularity} lookback")
        metrics = (request.first("metrics") or "").split(",")
        projects = sorted({each.project for each in self.used})
        rows = {project: self._project(project, start, end, granularity, metrics) for project in projects}
        return self._page(request, {project: row for project, row in rows.items() if row["periods"]})

    def _project(self, project: str, start: datetime, end: datetime, granularity: str, metrics: Sequence[str]) -> Any:
        """Days or months of a project, by plan; those without use are left out."""
        plans: dict[str, dict[tuple[datetime, datetime], dict[str, int]]] = defaultdict(dict)
        for each in self.used:
            frame = self._frame(each.day, granularity)
            if each.project == project and start <= frame[0] < end and each.metric in metrics:
                sums = plans[each.plan].setdefault(frame, dict.fromkeys(metrics, 0))
                sums[each.metric] += each.value
        periods = [
            {
                "period_id": f"period-{plan}",
                "period_plan": plan,
                "period_start": "2025-01-01T00:00:00Z",
                "consumption": [self._told(frame, sums) for frame, sums in sorted(frames.items())],
            }
            for plan, frames in plans.items()
        ]
        return {"project_id": project, "periods": periods}

    def _frame(self, day: date, granularity: str) -> tuple[datetime, datetime]:
        start = midnight(day)
        return (start, start + DAY) if granularity == "daily" else (month_start(start), next_month(start))

    def _told(self, frame: tuple[datetime, datetime], sums: Mapping[str, int]) -> Any:
        metrics = [{"metric_name": name, "value": value} for name, value in sums.items()]
        start, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in frame)
        return {"timeframe_start": start, "timeframe_end": end, "metrics": metrics}

    def _page(self, request: Request, rows: Mapping[str, Any]) -> Reply:
        """Projects after the cursor, at most `limit` of them, 10 if that is not said."""
        size, cursor = min(int(request.first("limit") or 10), self.most), request.first("cursor") or ""
        ids = [id_ for id_ in sorted(rows) if id_ > cursor][:size]
        following = ids[-1] if ids else (cursor if self.echo else "")
        return Reply.json({"projects": [rows[id_] for id_ in ids], "pagination": {"cursor": following}})
