"""Mistral's Admin API as a scripted vendor: a month's usage by category, with its price list, and workspaces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from ledger.window import midnight, next_month
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "mistral-admin-0123456789"
NOW: Final = datetime(2026, 3, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Used:
    """A row of usage, as the played Mistral keeps it."""

    day: date
    value: Decimal | int
    model: str = "mistral-large-latest::mistral-large-2512"
    group: str = "input"
    workspace: str | None = None
    category: str = "completion"
    fields: dict[str, Any] = field(default_factory=dict)

    def row(self) -> Any:
        return {
            "usage_type": "usage",
            "event_type": "api_tokens",
            "billing_metric": self.model.rpartition("::")[2],
            "billing_display_name": self.model.partition("::")[0],
            "billing_group": self.group,
            "timestamp": self.day.isoformat(),
            "value": self.value,
            "value_paid": self.value,
            **self.fields,
        }


def price(amount: object, metric: str = "mistral-large-2512", group: str = "input", **fields: Any) -> Any:
    """An entry of the price list."""
    return {
        "event_type": "api_tokens",
        "billing_metric": metric,
        "billing_group": group,
        "api_zone": "global",
        "service_tier": "standard",
        "price": amount,
        **fields,
    }


def failure(status: int, message: str) -> Reply:
    body = {"object": "error", "message": message, "type": "invalid_request_error", "param": None, "code": None}
    return Reply.json(body, status)


@dataclass
class Books:
    """What the played Mistral knows."""

    used: Sequence[Used] = ()
    prices: Sequence[Any] | None = (price("0.0000005"), price("1.5E-6", group="output"))
    workspaces: Sequence[str] = ()
    currency: str | None = "EUR"
    storage: dict[str, int] = field(default_factory=dict)
    per_page: int = 25
    overrides: dict[str, Any] = field(default_factory=dict)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", "/v1/admin/usage", self._usage)
        server.route("GET", "/v1/admin/workspaces", self._workspaces)

    def _usage(self, request: Request) -> Reply:
        if request.headers.get("x-api-key") != KEY:
            return Reply.json({"detail": "Unauthorized"}, 401)
        month = midnight(date(int(request.first("year") or 0), int(request.first("month") or 0), 1))
        workspace = request.first("workspace_id")
        told = [each for each in self.used if month <= midnight(each.day) < next_month(month)]
        told = [each for each in told if workspace in (None, each.workspace)]
        answer = {
            **{name: _models(told, name) for name in ("completion", "chat", "ocr", "audio", "audio_characters")},
            "connectors": _models(told, "connectors"),
            "libraries_api": {name: _models(told, name) for name in ("pages", "tokens", "audio_seconds")},
            "fine_tuning": {
                "training": _models(told, "training")["models"],
                "storage": {} if workspace else self.storage,
            },
            "vibe_usage": Decimal("0.0"),
            "vibe_code": {name: _models(told, f"vibe_{name}") for name in VIBE},
            "date": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
            "previous_month": None,
            "next_month": None,
            "start_date": f"{month:%Y-%m-%dT%H:%M:%SZ}",
            "end_date": f"{next_month(month):%Y-%m-%dT%H:%M:%SZ}",
            "currency": self.currency,
            "currency_symbol": None,
            "prices": self.prices,
            **self.overrides,
        }
        return Reply.json(answer)

    def _workspaces(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return failure(401, "Unauthorized")
        page, size = int(request.first("page") or 1), min(self.per_page, int(request.first("page_size") or 25))
        shown = self.workspaces[(page - 1) * size : page * size]
        items = [{"uuid": uuid, "name": f"Team {uuid}", "is_default": False} for uuid in shown]
        total = len(self.workspaces)
        return Reply.json({"object": "list", "total": total, "items": items, "page": page, "page_size": size})


VIBE: Final = ("completion", "ocr", "connectors", "audio", "audio_characters")


def _models(used: Sequence[Used], category: str) -> Any:
    models: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for each in used:
        if each.category == category:
            models[each.model][each.group].append(each.row())
    return {"models": models}
