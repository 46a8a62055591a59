"""A played Azure: Entra and the Query API of Cost Management at one address, as their documentation has them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from ledger.money import EXACT
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

TENANT: Final = "99999999-8888-7777-6666-555555555555"
CLIENT: Final = "11111111-aaaa-bbbb-cccc-222222222222"
SECRET: Final = "Abc8Q~client-secret-0123456789"
SUBSCRIPTION: Final = "12345678-1234-1234-1234-123456789abc"
SCOPE: Final = f"/subscriptions/{SUBSCRIPTION}"
QUERY: Final = "/providers/Microsoft.CostManagement/query"


class Item(NamedTuple):
    """A line of Azure's books, in one view of the bill or in both."""

    day: date
    actual: Decimal | None
    amortised: Decimal | None
    service: str = "Virtual Machines"
    group: str = "web"
    region: str = "EU West"
    subscription: str = SUBSCRIPTION
    kind: str = "Usage"
    currency: str = "EUR"
    meter: str = "D2s v5"

    def value(self, dimension: str) -> str:
        names = {
            "ServiceName": "service",
            "ResourceGroupName": "group",
            "ResourceLocation": "region",
            "SubscriptionId": "subscription",
            "ChargeType": "kind",
            "Meter": "meter",
        }
        return str(getattr(self, names[dimension]))

    def cost(self, view: str) -> Decimal | None:
        return self.actual if view == "ActualCost" else self.amortised


def use(day: date, amount: str, service: str = "Virtual Machines", **fields: Any) -> Item:
    """What costs the same in both views."""
    return Item(day, Decimal(amount), Decimal(amount), service, **fields)


@dataclass
class Vendor:
    """Azure's books, and how many rows a page has."""

    items: Sequence[Item] = ()
    most: int = 1000
    scope: str = SCOPE
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Questions, once for each page."""
    logins: list[dict[str, str]] = field(default_factory=list)
    refused: list[Reply] = field(default_factory=list)
    """Answers of the Query API, in order, before it answers at all."""
    renewed: Sequence[Item] | None = None
    """What the books say from the second question on."""
    following: str = "https://management.azure.com"
    """Where the next page is said to be."""

    def open(self, server: ScriptedServer) -> None:
        server.route("POST", f"/{TENANT}/oauth2/v2.0/token", self._token)
        server.route("POST", f"{self.scope}{QUERY}", self._answer)

    def _token(self, request: Request) -> Reply:
        self.logins.append(dict(parse_qsl(request.body.decode())))
        wanted = self.logins[-1]
        if wanted.get("client_id") != CLIENT or wanted.get("client_secret", SECRET) != SECRET:
            return entra("AADSTS7000215: Invalid client secret provided.")
        given = f"eyJ-token-{len(self.logins)}"
        return Reply.json({"token_type": "Bearer", "expires_in": 3599, "access_token": given})

    def _answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer eyJ-token-{len(self.logins)}":
            return refusal("InvalidAuthenticationToken", "The access token is invalid.", 401)
        if request.headers.get("clienttype") != "costhook" or request.first("api-version") != "2025-03-01":
            return refusal("BadRequest", "no client type or version")
        if not request.body:
            return refusal("BadRequest", "Invalid query definition, Dataset is invalid or not supplied")
        question = json.loads(request.body)
        self.asked.append(question)
        if self.refused:
            return self.refused.pop(0)
        rows = self._rows(question)
        if self.renewed is not None:
            self.items, self.renewed = self.renewed, None
        return self._page(rows, question, int(request.first("$skiptoken") or 0)) if rows else Reply(204)

    def _page(self, rows: Sequence[Sequence[Any]], question: Mapping[str, Any], start: int) -> Reply:
        end = start + self.most
        path = f"{self.following}{self.scope}{QUERY}"
        more = f"{path}?api-version=2025-03-01&$skiptoken={end}" if end < len(rows) else None
        names = ["Cost", "UsageDate", *(each["name"] for each in question["dataset"]["grouping"]), "Currency"]
        kinds = ["Number", "Number", "String", "String", "String"]
        columns = [{"name": name, "type": kind} for name, kind in zip(names, kinds, strict=True)]
        table = {"nextLink": more, "columns": columns, "rows": rows[start:end]}
        return Reply.json({"id": "x", "type": "Microsoft.CostManagement/query", "properties": table})

    def _rows(self, question: Mapping[str, Any]) -> list[list[Any]]:
        period, dataset = question["timePeriod"], question["dataset"]
        where = dataset.get("filter", {}).get("dimensions")
        sums: dict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
        for item in self.items:
            cost = item.cost(question["type"])
            is_meant = where is None or item.value(where["name"]) in where["values"]
            if cost is not None and is_meant and period["from"][:10] <= item.day.isoformat() <= period["to"][:10]:
                keys = (item.value(each["name"]) for each in dataset["grouping"])
                sums[(int(f"{item.day:%Y%m%d}"), *keys, item.currency)].append(cost)
        return [[reduce(EXACT.add, costs), *key] for key, costs in sums.items()]


def refusal(code: str, message: str, status: int = 400) -> Reply:
    """A refusal as Resource Manager words it."""
    return Reply.json({"error": {"code": code, "message": message}}, status)


def entra(description: str, status: int = 401) -> Reply:
    """A refusal as Entra words it."""
    return Reply.json({"error": "invalid_client", "error_description": description, "error_codes": [1]}, status)
