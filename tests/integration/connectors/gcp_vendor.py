"""A played Google: BigQuery and the token services at one address, as their documentation has them.

It reads of a statement which columns are wanted, and which rows by which parameters; the emulator runs them for real.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth import jwt

from ledger.money import EXACT
from ledger.window import EPOCH
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from tests.integration.connectors.gcp_exports import DETAILED, FOCUS, STANDARD

TABLE: Final = "acme-billing.billing.gcp_billing_export_v1_010101_F0FFF0_61C528"
TABLE_PATH: Final = f"/bigquery/v2/projects/acme-billing/datasets/billing/tables/{TABLE.rpartition('.')[2]}"
QUERIES: Final = "/bigquery/v2/projects/acme-billing/queries"
EXPORTED: Final = datetime(2026, 3, 19, 18, 30, tzinfo=UTC)
TIMES: Final = frozenset({"hour", "seen"})
COLUMNS: Final = {"standard": STANDARD, "detailed": DETAILED, "focus": FOCUS}


@cache
def service_account() -> str:
    """The JSON key of a service account, made up once for a process."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it guards nothing
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "costs@acme-billing.iam.gserviceaccount.com",
            "private_key": pem,
            "private_key_id": "0123456789abcdef",
            "token_uri": "https://elsewhere.example/token",
        }
    )


class Item(NamedTuple):
    """A row of the export."""

    day: date
    cost: Decimal
    sku: str = "alpha"
    project: str = "one"
    currency: str = "USD"
    exported: datetime = EXPORTED
    invoice: str = "202603"


@dataclass
class Vendor:
    """Google's books. Rows are only ever added, as in the real ones.

    `per_page` is how many rows a page of changes has; one of costs has four times as many.
    """

    items: list[Item] = field(default_factory=list)
    per_page: int = 10_000
    export: str = "standard"
    table: dict[str, Any] = field(default_factory=dict)
    """What tables.get tells beside, or in the place of, the usual."""
    unfinished: int = 0
    """How many times a query is not complete when it is asked for."""
    billed: int = 10 * 1024**2
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The questions to jobs.query."""
    claims: list[dict[str, Any]] = field(default_factory=list)
    """What was claimed to get tokens."""
    taken_on: list[Request] = field(default_factory=list)
    refused: list[Reply] = field(default_factory=list)
    """Answers of jobs.query, in order, before it answers at all."""
    ended: set[str] = field(default_factory=set)
    """Tokens that are not good any more."""
    _results: dict[str, tuple[list[str], list[list[Any]]]] = field(default_factory=dict)

    def open(self, server: ScriptedServer) -> None:
        server.route("POST", "/token", self._token)
        server.route("POST", "/v1/projects/-/serviceAccounts/*", self._impersonation)
        server.route("GET", TABLE_PATH, self._known(self._described))
        server.route("POST", QUERIES, self._known(self._query))
        server.route("GET", f"{QUERIES}/*", self._known(self._page))

    def restate(self, items: Sequence[Item]) -> None:
        """Have the books say `items`: what they said is negated, a day after it was exported last."""
        later = max((item.exported for item in self.items), default=EXPORTED) + timedelta(hours=1)
        negated = [item._replace(cost=-item.cost, exported=later) for item in self.items]
        self.items = [*self.items, *negated, *(item._replace(exported=later) for item in items)]

    def _token(self, request: Request) -> Reply:
        form = dict(each.partition("=")[::2] for each in request.body.decode().split("&"))
        self.claims.append(dict(jwt.decode(form["assertion"], verify=False)))
        return Reply.json({"access_token": f"token-of-google-{len(self.claims)}", "expires_in": 3599})

    def _impersonation(self, request: Request) -> Reply:
        self.taken_on.append(request)
        return Reply.json({"accessToken": f"token-taken-on-{len(self.taken_on)}", "expireTime": "2026-03-20T13:00:00Z"})

    def _known(self, answer: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
        def checked(request: Request) -> Reply:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if token.startswith(("token-of-google-", "token-taken-on-")) and token not in self.ended:
                return answer(request)
            return refusal("authError", "Request had invalid authentication credentials.", 401)

        return checked

    def _described(self, request: Request) -> Reply:
        told = {
            "schema": {"fields": COLUMNS[self.export]},
            "type": "TABLE",
            "location": "EU",
            "numRows": str(len(self.items)),
            "timePartitioning": {"type": "DAY"},
        }
        return Reply.json({name: each for name, each in {**told, **self.table}.items() if each is not None})

    def _query(self, request: Request) -> Reply:
        question = request.json()
        self.asked.append(question)
        if question.get("dryRun"):
            dry = {"jobComplete": True, "totalBytesProcessed": str(self.billed), "jobReference": {"projectId": "a"}}
            return Reply.json(dry)
        if self.refused:
            return self.refused.pop(0)
        name = question["requestId"]
        self._results[name] = self._run(question)
        if self.unfinished:
            self.unfinished -= 1
            return Reply.json({"jobComplete": False, "jobReference": _job(name)})
        return Reply.json(self._part(name, 0))

    def _page(self, request: Request) -> Reply:
        name = request.path.rpartition("/")[2]
        assert request.first("location") == "EU"
        assert request.first("formatOptions.useInt64Timestamp") == "true"
        if self.unfinished:
            self.unfinished -= 1
            return Reply.json({"jobComplete": False, "jobReference": _job(name)})
        return Reply.json(self._part(name, int(request.first("pageToken") or 0)))

    def _part(self, name: str, first: int) -> dict[str, Any]:
        columns, rows = self._results[name]
        after = first + self.per_page * (1 if "found" in columns else 4)
        fields = [{"name": each, "type": "TIMESTAMP" if each in TIMES else "STRING"} for each in columns]
        return {
            "jobComplete": True,
            "jobReference": _job(name),
            "schema": {"fields": fields},
            "rows": [{"f": [{"v": value} for value in row]} for row in rows[first:after]],
            "totalRows": str(len(rows)),
            "totalBytesBilled": str(self.billed),
            **({"pageToken": str(after)} if after < len(rows) else {}),
        }

    def _run(self, question: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
        given = {each["name"]: each["parameterValue"]["value"] for each in question["queryParameters"]}
        columns = re.findall(r" AS (\w+)(?=,| FROM)", question["query"])
        told = self._changes(given) if "found" in columns else self._costs(given)
        return columns, [[row.get(column) for column in columns] for row in told]

    def _changes(self, given: Mapping[str, str]) -> list[dict[str, Any]]:
        since, from_day = (datetime.fromisoformat(given[name]) for name in ("since", "from_day"))
        found: dict[tuple[date, datetime], list[datetime]] = defaultdict(list)
        for item in self.items:
            if item.exported >= since and item.day >= from_day.date():
                found[item.day, item.exported.replace(minute=0, second=0, microsecond=0)].append(item.exported)
        return [
            {"day": str(day), "hour": _micros(hour), "seen": _micros(max(seen)), "found": str(len(seen))}
            for (day, hour), seen in found.items()
        ]

    def _costs(self, given: Mapping[str, str]) -> list[dict[str, Any]]:
        start, until = (datetime.fromisoformat(given[name]).date() for name in ("start", "until"))
        sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
        for item in self.items:
            if start <= item.day < until:
                key = (item.day, item.sku, item.project, item.currency, item.invoice)
                sums[key] = EXACT.add(sums[key], item.cost)
        return [
            {
                "day": str(day),
                "sku": sku,
                "service": "Compute Engine",
                "project_id": project,
                "currency": currency,
                "invoice_month": invoice,
                "cost_type": "regular",
                "is_credit": "false",
                "cost": f"{cost:f}",
            }
            for (day, sku, project, currency, invoice), cost in sums.items()
        ]

    @property
    def statements(self) -> Counter[str]:
        """How many queries were run, by what they are for."""
        return Counter(
            "changes" if " AS found" in each["query"] else "days" for each in self.asked if not each.get("dryRun")
        )


def _job(name: str) -> dict[str, str]:
    return {"projectId": "acme-billing", "jobId": name, "location": "EU"}


def _micros(moment: datetime) -> str:
    return str((moment - EPOCH) // timedelta(microseconds=1))


def refusal(reason: str, message: str, status: int = 403) -> Reply:
    """A refusal as BigQuery words it."""
    told = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    return Reply.json({"error": told}, status=status)
