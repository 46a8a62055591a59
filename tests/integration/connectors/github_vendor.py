"""GitHub's billing endpoints as a scripted vendor: usage by month and cost centre, AI credits by day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from reconciler.connectors.scripted import Handler, Reply, Request, ScriptedServer

TOKEN = "ghp_0123456789abcdef"
FIRST = date(2026, 3, 2)


def failure(status: int, message: str, **headers: str) -> Reply:
    said = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return Reply.json(said, status, headers)


def item(net: object, day: date = FIRST, gross: object = None, discount: object = 0, **fields: Any) -> Any:
    """A line of usage, as practitioners saw it: a moment for a date, and no repository where there is none."""
    return {
        "date": f"{day}T01:12:28Z",
        "product": "actions",
        "sku": "Actions Linux",
        "quantity": 3,
        "unitType": "Minutes",
        "pricePerUnit": Decimal("0.006"),
        "grossAmount": net if gross is None else gross,
        "discountAmount": discount,
        "netAmount": net,
        "organizationName": "my-org",
        "repositoryName": "my-repo",
        **fields,
    }


def credit(net: object, model: str = "Claude Sonnet 5", **fields: Any) -> Any:
    """A line of the AI credits' report."""
    return {
        "product": "Copilot",
        "sku": "Copilot AI Credits",
        "model": model,
        "unitType": "ai-units",
        "pricePerUnit": Decimal("0.01"),
        "grossQuantity": 100,
        "grossAmount": net,
        "discountQuantity": 0,
        "discountAmount": 0,
        "netQuantity": 100,
        "netAmount": net,
        **fields,
    }


COPILOT: Mapping[str, Any] = {
    "product": "copilot",
    "sku": "Copilot AI Credits",
    "unitType": "AICredits",
    "repositoryName": "",
}


@dataclass
class Books:
    """What the played GitHub knows: lines by cost centre ("" is none), credits by day, cost centres."""

    lines: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    credits: Mapping[date, Sequence[Any]] = field(default_factory=dict)
    centers: Sequence[Any] = ()

    def open(self, server: ScriptedServer) -> None:
        for place in ("organizations/my-org", "enterprises/my-org", "users/my-org"):
            server.route("GET", f"/{place}/settings/billing/usage", self._guarded(self._usage))
            server.route("GET", f"/{place}/settings/billing/ai_credit/usage", self._guarded(self._credits))
        centers = self._guarded(lambda _: Reply.json({"costCenters": self.centers}))
        server.route("GET", "/enterprises/my-org/settings/billing/cost-centers", centers)

    def _guarded(self, handler: Callable[[Request], Reply]) -> Handler:
        def answer(request: Request) -> Reply:
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return failure(401, "Bad credentials")
            if "user-agent" not in request.headers or request.headers.get("x-github-api-version") != "2026-03-10":
                return failure(403, "Request forbidden by administrative rules.")
            return handler(request)

        return answer

    def _usage(self, request: Request) -> Reply:
        asked = tuple(request.first(name) for name in ("year", "month", "day"))
        assert None not in asked[:2], "without a month GitHub sums up the days"
        lines = self.lines.get(request.first("cost_center_id") or "", ())
        return Reply.json({"usageItems": [line for line in lines if _matches(line["date"], asked)]})

    def _credits(self, request: Request) -> Reply:
        day = date(*(int(request.first(name) or 0) for name in ("year", "month", "day")))
        period = {"year": day.year, "month": day.month, "day": day.day}
        answer = {"timePeriod": period, "organization": "my-org", "usageItems": self.credits.get(day, ())}
        return Reply.json(answer)


def _matches(text: str, asked: Sequence[str | None]) -> bool:
    found = date.fromisoformat(text[:10])
    parts = (found.year, found.month, found.day)
    return all(want is None or int(want) == have for want, have in zip(asked, parts, strict=True))
