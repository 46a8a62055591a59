"""A played Datadog: closed months, and estimates of open ones that grow from day to day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from ledger.window import DAY
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

API_KEY: Final = "0123456789abcdef0123456789abcdef"
APPLICATION_KEY: Final = "fedcba9876543210fedcba9876543210fedcba98"
ESTIMATED: Final = "/api/v2/usage/estimated_cost"
HISTORICAL: Final = "/api/v2/usage/historical_cost"
VALIDATE: Final = "/api/v1/validate"


@dataclass(frozen=True)
class Spent:
    """What an organisation spent on a product on a day."""

    day: date
    cost: Decimal
    product: str = "infra_host"
    charge_type: str = "on_demand"
    org: str = "one"


def refusal(status: int, message: str) -> Reply:
    return Reply.json({"errors": [message]}, status)


def charge(product: str, charge_type: str | None, cost: object) -> dict[str, Any]:
    return {"product_name": product, "charge_type": charge_type, "cost": cost, "last_aggregation_function": "sum"}


def row(day: date, charges: Sequence[Any] | None, kind: str = "cost_by_org", **attributes: Any) -> dict[str, Any]:
    """A row of a report, as the reference has it."""
    told = {
        "org_name": "One Ltd",
        "public_id": "one",
        "region": "us",
        "account_name": "Acme",
        "account_public_id": "acc_1",
        "date": f"{day}T00:00:00Z",
        "charges": charges,
        **attributes,
    }
    return {"type": kind, "id": f"{day}-{told['public_id']}", "attributes": told}


@dataclass
class Vendor:
    """What an account spent. `closed` months are history; `inclusive` says whether ends that are asked for are told."""

    spent: Sequence[Spent] = ()
    closed: frozenset[str] = frozenset()
    today: date = date(2026, 3, 20)
    inclusive: bool = True
    totals: bool = True
    silent: frozenset[date] = frozenset()
    rows: Sequence[Any] | None = None
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", VALIDATE, self._validate)
        server.route("GET", ESTIMATED, lambda request: self._known(request) or self._estimated(request))
        server.route("GET", HISTORICAL, lambda request: self._known(request) or self._historical(request))

    def _validate(self, request: Request) -> Reply:
        self.asked.append(request)
        if request.headers.get("dd-api-key") != API_KEY:
            return refusal(403, "Forbidden")
        return Reply.json({"valid": True})

    def _known(self, request: Request) -> Reply | None:
        self.asked.append(request)
        if request.headers.get("dd-api-key") != API_KEY or request.headers.get("dd-application-key") != APPLICATION_KEY:
            return refusal(403, "Forbidden")
        return None

    def _estimated(self, request: Request) -> Reply:
        """The month by organisation, or each day from start to end; two months back at most."""
        if (month := request.first("start_month")) is not None:
            known = [each for each in self.spent if f"{each.day:%Y-%m}" == month]
            return self._report([self._summed(date.fromisoformat(f"{month}-01"), known, "")] if known else [])
        start, end = (date.fromisoformat(request.first(name) or "") for name in ("start_date", "end_date"))
        if end > self.today or start < (self.today.replace(day=1) - DAY).replace(day=1):
            return refusal(400, "start_date cannot go beyond two months in the past")
        days = [start + number * DAY for number in range((end - start).days + self.inclusive)]
        return self._report([each for day in days if day not in self.silent for each in self._told(day)])

    def _told(self, day: date) -> Iterable[Any]:
        """What every organisation of the month came to by the end of `day`."""
        first = day.replace(day=1)
        orgs = sorted({each.org for each in self.spent})
        for org in orgs:
            known = [each for each in self.spent if each.org == org and first <= each.day <= day]
            if known:
                yield self._summed(day, known, org)

    def _historical(self, request: Request) -> Reply:
        start, end = request.first("start_month") or "", request.first("end_month") or ""
        if request.first("view") != "sub-org":
            return refusal(400, "the test asks by organisation")
        months = [month for month in sorted(self.closed) if start <= month and (month < end or self._last(month, end))]
        rows = []
        for month in months:
            first = date.fromisoformat(f"{month}-01")
            for org in sorted({each.org for each in self.spent}):
                known = [each for each in self.spent if each.org == org and f"{each.day:%Y-%m}" == month]
                if known:
                    rows.append(self._summed(first, known, org))
        return self._report(rows)

    def _last(self, month: str, end: str) -> bool:
        return self.inclusive and month == end

    def _summed(self, day: date, known: Sequence[Spent], org: str) -> Any:
        sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for each in known:
            sums[each.product, each.charge_type] += each.cost
        charges = [charge(product, kind, cost) for (product, kind), cost in sums.items()]
        if self.totals:
            products: dict[str, Decimal] = defaultdict(Decimal)
            for (product, _), cost in sums.items():
                products[product] += cost
            charges += [charge(product, "total", cost) for product, cost in products.items()]
        named: Mapping[str, Any] = {"org_name": f"{org.title()} Ltd", "public_id": org} if org else {}
        return row(day, charges, total_cost=sum(sums.values(), Decimal(0)), **named)

    def _report(self, rows: Sequence[Any]) -> Reply:
        return Reply.json({"data": rows if self.rows is None else self.rows})
