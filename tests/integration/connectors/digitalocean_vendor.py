"""A played DigitalOcean: invoices with items and summaries, daily insights, and pages as each of them is paged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "dop_v1_0123456789abcdef"
UUID: Final = "0123456789abcdef0123456789abcdef01234567"
URN: Final = f"do:team:{UUID}"
INVOICES: Final = "/v2/customers/my/invoices"


def item(amount: object, product: str | None = "Droplets", **fields: Any) -> dict[str, Any]:
    """A line of an invoice, for all of March."""
    times = {"start_time": "2026-03-01T00:00:00Z", "end_time": "2026-04-01T00:00:00Z"}
    return {"product": product, "amount": amount, "duration": "744", "duration_unit": "Hours", **times, **fields}


def point(day: date, amount: object, **fields: Any) -> dict[str, Any]:
    """What a day added to an item's estimate."""
    told = {
        "region": "nyc3",
        "sku": "1-KS-K8SWN-00109",
        "description": "3 nodes - 4 GB",
        "group_description": "my-doks",
    }
    return {"usage_team_urn": URN, "start_date": day.isoformat(), "total_amount": amount, **told, **fields}


def summary(amount: object, **parts: object) -> dict[str, Any]:
    told = {name: {"name": name.replace("_", " ").capitalize(), "amount": part} for name, part in parts.items()}
    return {"amount": amount, "billing_period": "2026-03", "product_charges": {"amount": "1"}, **told}


@dataclass(frozen=True)
class Made:
    """An invoice that has been made."""

    period: str
    items: Sequence[Mapping[str, Any]] = ()
    summary: Mapping[str, Any] = field(default_factory=lambda: summary("0"))


@dataclass
class Vendor:
    """A team's bills. `inclusive` says whether the last day asked for is answered, too: that is not documented."""

    made: Sequence[Made] = ()
    points: Sequence[Mapping[str, Any]] = ()
    most: int = 200
    inclusive: bool = True
    account: Reply | None = None
    since: date = date(2025, 12, 1)
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", "/v2/customers/my/balance", lambda request: self._known(request) or _balance())
        server.route("GET", "/v2/account", lambda request: self._known(request) or self.account or owner())
        server.route("GET", INVOICES, self._invoices)
        server.route("GET", f"{INVOICES}/*", self._invoice)
        server.route("GET", "/v2/billing/*", self._insights)

    def _known(self, request: Request) -> Reply | None:
        self.asked.append(request)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return refusal(401, "unauthorized", "Unable to authenticate you.")
        return None

    def _invoices(self, request: Request) -> Reply:
        rows = [
            {"invoice_uuid": f"uuid-{place}", "invoice_id": str(place), "amount": "1", "invoice_period": each.period}
            for place, each in enumerate(self.made)
        ]
        preview = {"invoice_uuid": "preview", "amount": "1", "invoice_period": "2026-04", "updated_at": "now"}
        return self._known(request) or self._listed(request, "invoices", rows, invoice_preview=preview)

    def _invoice(self, request: Request) -> Reply:
        uuid, _, more = request.path.removeprefix(f"{INVOICES}/").partition("/")
        made = self.made[int(uuid.removeprefix("uuid-"))]
        if more == "summary":
            return self._known(request) or Reply.json({"invoice_uuid": uuid, **made.summary})
        return self._known(request) or self._listed(request, "invoice_items", made.items)

    def _listed(self, request: Request, name: str, rows: Sequence[Any], **more: Any) -> Reply:
        page, size = int(request.first("page") or 1), min(int(request.first("per_page") or 20), self.most)
        link = f"https://api.digitalocean.com{request.path}?page={page + 1}&per_page={size}"
        links = {"pages": {"next": link, "last": link}} if page * size < len(rows) else {}
        shown = rows[(page - 1) * size : page * size]
        return Reply.json({name: shown, "links": links, "meta": {"total": len(rows)}, **more})

    def _insights(self, request: Request) -> Reply:
        *_, urn, _, since, until = request.path.split("/")
        first, last = date.fromisoformat(since), date.fromisoformat(until)
        if (refused := self._known(request)) is not None:
            return refused
        if urn != URN or last < self.since:
            return refusal(404, "not_found", "The resource you requested could not be found.")
        if not 0 <= (last - first).days <= 31:
            return refusal(400, "bad_request", "end_date must be within 31 days of start_date")
        rows = [each for each in self.points if self._within(date.fromisoformat(each["start_date"]), first, last)]
        page, size = int(request.first("page") or 1), min(int(request.first("per_page") or 20), self.most)
        counts = {"total_items": len(rows), "total_pages": -(-len(rows) // size), "current_page": page}
        return Reply.json({"data_points": rows[(page - 1) * size : page * size], **counts})

    def _within(self, day: date, first: date, last: date) -> bool:
        return first <= day <= last if self.inclusive else first <= day < last


def owner(**fields: Any) -> Reply:
    return Reply.json({"account": {"email": "a@b.example", "team": {"uuid": UUID, "name": "Acme"}, **fields}})


def refusal(status: int, name: str, message: str) -> Reply:
    return Reply.json({"id": name, "message": message}, status)


def _balance() -> Reply:
    amounts = {
        "month_to_date_balance": "23.44",
        "account_balance": "12.23",
        "month_to_date_usage": str(Decimal("11.21")),
    }
    return Reply.json({**amounts, "generated_at": "2026-03-20T06:31:50Z"})
