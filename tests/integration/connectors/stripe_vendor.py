"""A played Stripe: a balance whose transactions are listed newest first, in pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ledger.window import midnight
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY = "rk_live_0123456789"
FIRST = date(2026, 3, 2)
PATH = "/v1/balance_transactions"


def detail(amount: int, kind: str = "stripe_fee", currency: str = "usd", text: str | None = None) -> dict[str, Any]:
    return {"amount": amount, "application": None, "currency": currency, "description": text, "type": kind}


def row(kind: str, amount: int, *details: Mapping[str, Any], day: date = FIRST, **fields: Any) -> dict[str, Any]:
    """A transaction as Stripe lists it, whose fee is the sum of its details."""
    fee = fields.get("fee", sum(each["amount"] for each in details))
    return {
        "object": "balance_transaction",
        "amount": amount,
        "fee": fee,
        "net": amount - fee,
        "currency": "usd",
        "created": int(midnight(day).timestamp()),
        "available_on": int(midnight(day).timestamp()) + 86400,
        "status": "pending",
        "type": kind,
        "reporting_category": kind,
        "source": None,
        "description": None,
        "exchange_rate": None,
        "balance_type": "payments",
        "fee_details": list(details),
        **fields,
    }


@dataclass
class Vendor:
    """An account's balance, oldest first, and the longest page it gives."""

    rows: Sequence[Mapping[str, Any]] = ()
    most: int = 100
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", PATH, self.answer)

    def answer(self, request: Request) -> Reply:
        self.asked.append(request)
        if request.headers.get("authorization") != f"Bearer {KEY}" or not request.headers.get("stripe-version"):
            return refusal(401, "Invalid API Key provided: rk_live_****6789")
        since, until = (int(request.first(f"created[{end}]") or bound) for end, bound in (("gte", 0), ("lt", 1 << 40)))
        named = [{"id": f"txn_{place}", **each} for place, each in enumerate(self.rows)]
        known = sorted((each for each in named if since <= each["created"] < until), key=_age)
        ids = [each["id"] for each in known]
        after = request.first("starting_after")
        start = ids.index(after) + 1 if after else 0
        limit = min(int(request.first("limit") or 10), self.most)
        page = known[start : start + limit]
        return Reply.json({"object": "list", "url": PATH, "has_more": start + limit < len(known), "data": page})


def _age(each: Mapping[str, Any]) -> int:
    return -int(each["created"])


def refusal(status: int, message: str, code: str | None = None) -> Reply:
    error = {"message": message, "type": "invalid_request_error"} | ({"code": code} if code else {})
    return Reply.json({"error": error}, status)
