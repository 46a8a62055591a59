"""ElevenLabs' workspace analytics as a scripted vendor: tables of cost or credits, grouped as asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from ledger.window import EPOCH, midnight
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "sk_elevenlabs-0123456789"
NOW: Final = datetime(2026, 3, 20, 12, tzinfo=UTC)
COST: Final = "/v1/workspace/analytics/usage"
CREDITS: Final = "/v1/workspace/analytics/query/usage-by-product-over-time"
LABELS: Final = {"user_id": "user_label", "reporting_workspace_id": "reporting_workspace_label"}
AT_MOST_ONE: Final = {
    "user_id",
    "hashed_xi_api_key",
    "region",
    "reporting_workspace_id",
    "billing_group_id",
    "product_type",
    "surface",
    "actor",
}


@dataclass(frozen=True)
class Used:
    """What was used on a day: its cost, or its credits."""

    day: date
    amount: Decimal
    groups: dict[str, str | None] = field(default_factory=lambda: {"product_type": "tts", "model": "eleven_v3"})
    count: int = 4200


def failure(status: int, message: str, code: str) -> Reply:
    detail = {"type": "error", "code": code, "message": message, "status": code, "request_id": "r", "param": None}
    return Reply.json({"detail": detail}, status)


@dataclass
class Workspace:
    """What the played workspace used. It is billed by cost or in credits; `unit` is that of its column of amounts."""

    used: Sequence[Used] = ()
    by_cost: bool = True
    unit: str | None = "usd"
    labels: dict[str, str] = field(default_factory=dict)
    milliseconds: bool = False
    including_end: bool = False
    overrides: dict[str, Any] = field(default_factory=dict)

    def open(self, server: ScriptedServer) -> None:
        server.route("POST", COST, lambda request: self._answer(request, by_cost=True))
        server.route("POST", CREDITS, lambda request: self._answer(request, by_cost=False))

    def _answer(self, request: Request, *, by_cost: bool) -> Reply:
        if request.headers.get("xi-api-key") != KEY:
            return failure(401, "Invalid API key", "invalid_api_key")
        body = request.json()
        groups = list(body["group_by"])
        if body.get("interval_seconds", 60) != 86400 or (by_cost and len(AT_MOST_ONE & set(groups)) > 1):
            return Reply.json(
                {"detail": [{"loc": ["body", "group_by"], "msg": "Too many groups", "type": "value"}]}, 422
            )
        if by_cost != self.by_cost:
            return failure(400, "This workspace is billed otherwise", "invalid_billing")
        start, end = (EPOCH + timedelta(milliseconds=body[name]) for name in ("start_time", "end_time"))
        told = [each for each in self.used if start <= midnight(each.day) < end]
        told += [each for each in self.used if self.including_end and midnight(each.day) == end]
        return Reply.json({**self._table(told, groups, by_cost=by_cost), **self.overrides})

    def _table(self, used: Sequence[Used], groups: Sequence[str], *, by_cost: bool) -> Any:
        labelled = [name for name in groups if name in LABELS]
        amounts = ["total_cost", "total_charge_count"] if by_cost else ["usage"]
        units = [self.unit, None] if by_cost else ["credits"]
        return {
            "columns": ["bucket_start", *groups, *amounts, *(LABELS[name] for name in labelled)],
            "column_types": [
                "DateTime",
                *("String" for _ in groups),
                *("Float", "Int")[: len(amounts)],
                *("String" for _ in labelled),
            ],
            "column_units": [None, *(None for _ in groups), *units, *(None for _ in labelled)],
            "rows": [
                [
                    self._time(each.day),
                    *(each.groups.get(name) for name in groups),
                    *(each.amount, each.count)[: len(amounts)],
                    *(self.labels.get(each.groups.get(name) or "") for name in labelled),
                ]
                for each in used
            ],
        }

    def _time(self, day: date) -> Any:
        start = midnight(day)
        return (start - EPOCH) // timedelta(milliseconds=1) if self.milliseconds else f"{start:%Y-%m-%dT%H:%M:%S}+00:00"
