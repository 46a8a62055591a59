"""The vendors of the worked examples, as their documentation has them: Runpod, Confluent Cloud and Akamai (Linode)."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

SECRETS = {
    "runpod": {"apiKey": "rpa_0123456789ABCDEF"},
    "confluent": {"key": "CLOUDKEY01234567", "secret": "cloud-secret-0123456789"},
    "linode": {"token": "0123456789abcdef0123"},
}


def runpod(server: ScriptedServer, records: Sequence[Any]) -> None:
    """GET /v2/billing/pods (docs.runpod.io/api-reference-v2/billing): RFC 3339 times, the end exclusive."""

    def pods(request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {SECRETS['runpod']['apiKey']}":
            return Reply.json({"title": "Unauthorized", "status": 401, "detail": "invalid API key"}, 401)
        since, until = request.first("startTime") or "", request.first("endTime") or ""
        if request.first("bucketSize") != "day":
            return Reply.json({"title": "Bad Request", "status": 400, "detail": "bucketSize"}, 400)
        told = [record for record in records if since <= record["startTime"] < until]
        return Reply.json({"records": told, "metadata": {"bucketSize": "day", "recordCount": len(told)}})

    server.route("GET", "/v2/billing/pods", pods)


def confluent(server: ScriptedServer, costs: Sequence[Any], per_page: int = 2) -> None:
    """GET /billing/v1/costs (Confluent Cloud APIs, billing/v1): the next page's whole URL stands in metadata.next."""
    both = ":".join(SECRETS["confluent"].values())

    def page(request: Request) -> Reply:
        if request.headers.get("authorization") != f"Basic {b64encode(both.encode()).decode()}":
            return Reply.json({"errors": [{"status": "401", "detail": "invalid API key"}]}, 401)
        token = request.first("page_token")
        since, until, place = (token or f"{request.first('start_date')}|{request.first('end_date')}|0").split("|")
        told = [cost for cost in costs if since <= cost["start_date"] < until]
        here, after = int(place), int(place) + per_page
        following = f"{server.url}/billing/v1/costs?page_token={since}|{until}|{after}" if after < len(told) else None
        meta = {} if following is None else {"next": following}
        return Reply.json({"api_version": "billing/v1", "kind": "CostList", "metadata": meta, "data": told[here:after]})

    server.route("GET", "/billing/v1/costs", page)


def linode(server: ScriptedServer, invoices: Sequence[Any], per_page: int = 1) -> None:
    """GET /v4/account/invoices (techdocs.akamai.com/linode-api): pages by number, filters as JSON in X-Filter."""

    def page(request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {SECRETS['linode']['token']}":
            return Reply.json({"errors": [{"reason": "Invalid Token"}]}, 401)
        since, until = json.loads(request.headers["x-filter"])["+and"]
        told = [each for each in invoices if since["date"]["+gte"] <= each["date"] < until["date"]["+lt"]]
        number = int(request.first("page") or 1)
        pages = max(1, -(-len(told) // per_page))
        if number > pages:
            return Reply.json({"errors": [{"reason": "Not found"}]}, 404)
        here = told[(number - 1) * per_page : number * per_page]
        return Reply.json({"data": here, "page": number, "pages": pages, "results": len(told)})

    server.route("GET", "/v4/account/invoices", page)
