"""A played Cloudflare: subscriptions, and usage that is told by billing cycles, as it was seen to be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "0123456789abcdefghijABCDEFGHIJ0123456789"
ACCOUNT: Final = "023e105f4ecef8ad9ca31a8372d0c353"
ROOT: Final = f"/client/v4/accounts/{ACCOUNT}"
DAY: Final = timedelta(days=1)


def row(day: date, cost: object, service: str = "Workers Standard", **fields: Any) -> dict[str, Any]:
    """A day's usage of a service."""
    costs = dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), cost)
    period = {"ChargePeriodStart": f"{day}T00:00:00Z", "ChargePeriodEnd": f"{day + DAY}T00:00:00Z"}
    told = {"BillingAccountId": ACCOUNT, "BillingCurrency": "USD", "ServiceName": service, "ChargeCategory": "Usage"}
    none = {"BillingAccountName": None, "ChargeClass": None, "ZoneId": None, "ZoneName": None, "SubscriptionId": None}
    return {**costs, **period, **told, **none, "PricingQuantity": 150000, "PricingUnit": "Count", **fields}


def anchored(day: int = 5, identity: str = "SUB1", **fields: Any) -> dict[str, Any]:
    """A metered subscription, billed from that day of each month on."""
    moment = f"2025-01-{day:02}T09:30:00Z"
    return {"id": identity, "billing_cycle_anchor_timestamp": moment, "start_timestamp": moment, **fields}


def plan(price: object = None, **fields: Any) -> dict[str, Any]:
    """A subscription with a fixed fee."""
    period = {"current_period_start": "2026-03-04T00:00:00Z", "current_period_end": "2026-04-04T00:00:00Z"}
    rate = {"id": "workers_paid", "public_name": "Workers Paid", "scope": "account", "currency": "USD"}
    told = {"id": "PLAN1", "state": "Paid", "currency": "USD", "frequency": "monthly", "price": price}
    return {**told, **period, "rate_plan": rate, **fields}


@dataclass
class Vendor:
    """An account. `beside` says whether days before the cycle asked for are answered, too; `path` where usage is."""

    rows: Sequence[Mapping[str, Any]] = ()
    plans: Sequence[Mapping[str, Any]] = ()
    metered: Sequence[Mapping[str, Any]] = field(default_factory=lambda: [anchored()])
    covered: bool = True
    beside: bool = False
    path: str = "/billable-usage"
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        info = "/billable-usage/info" if self.path == "/billable-usage" else "/paygo-usage-info"
        server.route("GET", f"{ROOT}/subscriptions", lambda request: self._told(request, self.plans))
        server.route("GET", f"{ROOT}{info}", lambda request: self._told(request, self._coverage()))
        server.route("GET", f"{ROOT}{self.path}", lambda request: self._told(request, self._usage(request)))
        server.route("GET", "/client/v4/*", lambda request: self._told(request, None))

    def _coverage(self) -> Mapping[str, Any]:
        return {"covered": self.covered, "subscriptions": self.metered}

    def _usage(self, request: Request) -> Sequence[Mapping[str, Any]]:
        """The rows of the range, if it holds every cycle's first day exactly once; none otherwise."""
        first, last = (date.fromisoformat(request.first(name) or "") for name in ("from", "to"))
        days = [first + number * DAY for number in range((last - first).days + 1)]
        anchors = {int(each["billing_cycle_anchor_timestamp"][8:10]) for each in self.metered} or {1}
        if any(_anchor_days(days, anchor) > 1 for anchor in anchors) or not any(
            _anchor_days(days, anchor) for anchor in anchors
        ):
            return []
        since = first - 31 * DAY if self.beside else first
        return [each for each in self.rows if since <= date.fromisoformat(each["ChargePeriodStart"][:10]) <= last]

    def _told(self, request: Request, result: object) -> Reply:
        self.asked.append(request)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return refusal(401, 1000, "Invalid API Token")
        if result is None:
            return refusal(404, 7003, "Could not route to the path")
        limits = {"Ratelimit": '"default";r=1199;t=300', "Ratelimit-Policy": '"default";q=1200;w=300'}
        return Reply.json({"success": True, "errors": None, "messages": None, "result": result}, headers=limits)


def _anchor_days(days: Sequence[date], anchor: int) -> int:
    """How many of `days` begin a cycle: the anchor day, or the last day of a month that has no such day."""
    return sum(day.day == anchor or (day.day < anchor and (day + DAY).day == 1) for day in days)


def refusal(status: int, code: int, message: str) -> Reply:
    errors = [{"code": code, "message": message}]
    return Reply.json({"success": False, "errors": errors, "messages": [], "result": None}, status)
