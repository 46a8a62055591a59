"""A played Resend: metrics by day and domain, as far back as the plan keeps them, and a team's usage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from ledger.window import midnight
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "re_0123456789abcdefghijklmno"
SENDING: Final = "re_sending0123456789abcdefgh"
DOMAIN: Final = "d91cd9bd-1176-453e-8fc1-35364d380206"


@dataclass(frozen=True)
class Mailed:
    """Emails of a domain on a day."""

    day: date
    count: int
    what: str = "sent"
    domain: str = "mail.example.com"


def refusal(status: int, name: str, message: str) -> Reply:
    return Reply.json({"statusCode": status, "name": name, "message": message}, status)


@dataclass
class Vendor:
    """A team's emails. `keeps` is how long the plan keeps days, `limit` what it includes, and None turns usage off."""

    mailed: Sequence[Mailed] = ()
    now: datetime = datetime(2026, 3, 20, 12, tzinfo=UTC)
    keeps: timedelta = timedelta(days=400)
    limit: int | None = None
    used: int | None = None
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", "/emails/metrics", lambda request: self._refused(request) or self._metrics(request))
        server.route("GET", "/usage", lambda request: self._refused(request) or self._usage())

    def _refused(self, request: Request) -> Reply | None:
        self.asked.append(request)
        key = (request.headers.get("authorization") or "").removeprefix("Bearer ")
        if not request.headers.get("user-agent"):
            return Reply(status=403, body=b"error code: 1010")
        if key == SENDING:
            return refusal(401, "restricted_api_key", "This API key is restricted to only send emails")
        if key != KEY:
            return refusal(400, "validation_error", "API key is invalid") if key == "re_odd" else _unknown()
        return None

    def _metrics(self, request: Request) -> Reply:
        start, end = (datetime.fromisoformat(request.first(name) or "") for name in ("start_date", "end_date"))
        if request.first("granularity") != "daily" or request.first("dimensions") != "period,domain":
            return refusal(422, "validation_error", "the test asks by day and domain")
        start, end = max(start, self.now - self.keeps), min(end, self.now)
        sums: dict[tuple[date, str], dict[str, int]] = defaultdict(lambda: {"sent": 0, "received": 0})
        for each in self.mailed:
            if start - timedelta(days=1) < midnight(each.day) < end:
                sums[each.day, each.domain][each.what] += each.count
        rows = [
            {"period": day.isoformat(), "domain_id": DOMAIN, "domain_name": domain, **counts}
            for (day, domain), counts in sums.items()
            if midnight(day) >= start.replace(hour=0, minute=0, second=0, microsecond=0)
        ]
        told = {"object": "metrics", "granularity": "daily", "dimensions": ["period", "domain"], "totals": {}}
        stamps = {"start_date": f"{start:%Y-%m-%dT%H:%M:%S.000Z}", "end_date": f"{end:%Y-%m-%dT%H:%M:%S.000Z}"}
        return Reply.json({**told, **stamps, "metrics": ["sent", "received"], "data": rows})

    def _usage(self) -> Reply:
        if self.limit is None:
            return refusal(404, "not_found", "The requested endpoint does not exist.")
        month = [
            each.count for each in self.mailed if (each.day.year, each.day.month) == (self.now.year, self.now.month)
        ]
        used = sum(month) if self.used is None else self.used
        monthly: dict[str, Any] = {"used": used, "limit": self.limit, "resets_at": "2026-04-01T00:00:00.000Z"}
        return Reply.json({"object": "usage", "emails": {"daily": {"used": 0, "limit": None}, "monthly": monthly}})


def _unknown() -> Reply:
    return refusal(403, "invalid_api_key", "API key is invalid")
