"""A played Twilio: every category on every day, in a tree that names do not tell, in pages that name the next."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from ledger.window import DAY
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

SID: Final = "AC" + "0123456789abcdef" * 2
SUB: Final = "AC" + "fedcba9876543210" * 2
KEY_SID: Final = "SK" + "0011223344556677" * 2
SECRET: Final = "s3cr3t-of-an-api-key-0123456789"
TOKEN: Final = "0123456789abcdef0123456789abcdef"
ACCOUNTS: Final = "/2010-04-01/Accounts"

TREE: Final = {
    "calls-inbound-local": ("calls-inbound", "calls"),
    "calls-inbound-mobile": ("calls-inbound", "calls"),
    "calls-outbound": ("calls",),
    "calls-recordings": ("recordings",),
    "trunking-recordings": ("recordings",),
    "sms-outbound": ("sms",),
    "sms-messages-carrierfees": (),
    "carrier-lookups": ("lookups",),
    "alpha": (),
    "beta": (),
}
"""Categories and those that contain them, as others saw it; recordings of calls are no part of `calls`."""


@dataclass(frozen=True)
class Used:
    """What a category cost on a day."""

    day: date
    price: Decimal
    category: str = "sms-outbound"
    account: str = SID


def record(day: date, category: str, price: object, **fields: Any) -> dict[str, Any]:
    """A usage record, as the reference has it."""
    return {
        "account_sid": SID,
        "api_version": "2010-04-01",
        "as_of": f"{day + DAY}T10:05:02+00:00",
        "category": category,
        "count": "0",
        "count_unit": "messages",
        "description": f"About {category}",
        "end_date": day.isoformat(),
        "price": price,
        "price_unit": "usd",
        "start_date": day.isoformat(),
        "subresource_uris": {},
        "uri": f"{ACCOUNTS}/{SID}/Usage/Records",
        "usage": "0",
        "usage_unit": "segments",
        **fields,
    }


def refusal(status: int, code: int, message: str) -> Reply:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Reply.json({"code": code, "message": message, "more_info": more, "status": status}, status)


@dataclass
class Vendor:
    """An account's usage. `most` is the longest page; `extra` are records that no tree foresees."""

    used: Sequence[Used] = ()
    extra: Sequence[Mapping[str, Any]] = ()
    unit: str = "usd"
    numbers: bool = False
    most: int = 1000
    total: bool = True
    names: Mapping[str, str] = field(default_factory=lambda: {SID: "Example Ltd", SUB: "Shop"})
    asked: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", f"{ACCOUNTS}.json", lambda request: self._known(request) or self._accounts(request))
        for sid, name in self.names.items():
            server.route("GET", f"{ACCOUNTS}/{sid}.json", self._account(sid, name))
            server.route("GET", f"{ACCOUNTS}/{sid}/Usage/Records/Daily.json", self._daily(sid))

    def _known(self, request: Request) -> Reply | None:
        self.asked.append(request)
        pairs = (f"{KEY_SID}:{SECRET}", f"{SID}:{TOKEN}")
        if request.headers.get("authorization") not in {f"Basic {b64encode(pair.encode()).decode()}" for pair in pairs}:
            return refusal(401, 20003, "Authenticate")
        return None

    def _account(self, sid: str, name: str) -> Any:
        return lambda request: self._known(request) or Reply.json({"sid": sid, "friendly_name": name})

    def _accounts(self, request: Request) -> Reply:
        rows = [{"sid": sid, "friendly_name": name, "status": "active"} for sid, name in self.names.items()]
        return self._listed(request, "accounts", rows)

    def _daily(self, sid: str) -> Any:
        return lambda request: (
            self._known(request) or self._listed(request, "usage_records", self._records(request, sid))
        )

    def _records(self, request: Request, sid: str) -> list[Any]:
        first, last = (date.fromisoformat(request.first(name) or "") for name in ("StartDate", "EndDate"))
        whole = request.first("IncludeSubaccounts") != "false"
        rows: list[Any] = []
        for number in range((last - first).days + 1):
            day = first + number * DAY
            known = [each for each in self.used if each.day == day and (each.account == sid or (whole and sid == SID))]
            rows += self._of_day(day, known, sid)
            rows += [each for each in self.extra if each["start_date"] == day.isoformat()]
        only = request.first("Category")
        return [row for row in rows if only in (None, row["category"])]

    def _of_day(self, day: date, known: Sequence[Used], sid: str) -> list[Any]:
        prices: dict[str, Decimal] = {name: Decimal(0) for name in TREE}
        prices |= {parent: Decimal(0) for parents in TREE.values() for parent in parents}
        total = defaultdict(Decimal, prices)
        for each in known:
            for name in (each.category, *TREE[each.category], "totalprice"):
                total[name] += each.price
        told = {"account_sid": sid, "price_unit": self.unit}
        rows = [record(day, name, self._price(price), **told) for name, price in total.items() if name != "totalprice"]
        if self.total:
            fields = {**told, "count": None, "count_unit": "", "usage_unit": self.unit}
            usage = {"usage": self._price(total["totalprice"])}
            rows.append(record(day, "totalprice", self._price(total["totalprice"]), **fields, **usage))
        return rows

    def _price(self, price: Decimal) -> object:
        return price if self.numbers else f"{price:f}"

    def _listed(self, request: Request, name: str, rows: Sequence[Any]) -> Reply:
        """A page: PageToken alone says which; Page is the client's own affair."""
        size = min(int(request.first("PageSize") or 50), self.most)
        token = request.first("PageToken")
        if token is not None and not token.removeprefix("PA").isdecimal():
            return refusal(400, 21481, "Invalid PageToken")
        here = int(token.removeprefix("PA")) if token else 0
        query = "&".join(f"{key}={value}" for key, value in request.query if key not in ("PageToken", "Page"))
        more = here + size < len(rows)
        following = f"{request.path}?{query}&Page=1&PageToken=PA{here + size}" if more else None
        told = {"page": 0, "page_size": size, "start": here, "uri": request.target, "previous_page_uri": None}
        return Reply.json({name: rows[here : here + size], "next_page_uri": following, **told})
