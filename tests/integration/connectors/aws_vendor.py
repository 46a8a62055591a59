"""A played AWS: Cost Explorer and STS at one address, as their documentation has them.

moto plays both, too, but answers Cost Explorer with what it was given, whatever was asked; here the question decides.
"""

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

KEY_ID: Final = "AKIAIOSFODNN7EXAMPLE"
SECRET: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AMZ: Final = {"Content-Type": "application/x-amz-json-1.1"}
TEXT_XML: Final = {"Content-Type": "text/xml"}
CALLER: Final = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>arn:aws:iam::123456789012:user/reader</Arn><UserId>AIDA</UserId><Account>123456789012</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
GIVEN: Final = (
    '<{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{0}Result><Credentials>'
    "<AccessKeyId>ASIA{1}</AccessKeyId><SecretAccessKey>secret-{1}</SecretAccessKey>"
    "<SessionToken>session-token-{1}</SessionToken><Expiration>2026-03-20T13:00:00Z</Expiration>"
    "</Credentials></{0}Result></{0}Response>"
)


class Item(NamedTuple):
    """A line of AWS's books."""

    day: date
    billed: Decimal
    service: str = "Amazon Simple Storage Service"
    region: str = "eu-central-1"
    account: str = "123456789012"
    kind: str = "Usage"
    effective: Decimal | None = None
    currency: str = "USD"

    def value(self, dimension: str) -> str:
        names = {"SERVICE": "service", "REGION": "region", "LINKED_ACCOUNT": "account", "RECORD_TYPE": "kind"}
        return str(getattr(self, names[dimension]))


@dataclass
class Vendor:
    """AWS's books, the days that are estimated from, and how many days a page tells."""

    items: Sequence[Item] = ()
    estimated_from: date = date.max
    most: int = 100
    names: Mapping[str, str] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Cost Explorer's questions."""
    roles: list[dict[str, str]] = field(default_factory=list)
    """STS's."""
    refused: list[Reply] = field(default_factory=list)
    """Answers of Cost Explorer, in order, before it answers at all."""

    def open(self, server: ScriptedServer) -> None:
        server.route("POST", "/", self._answer)

    def _answer(self, request: Request) -> Reply:
        if request.headers.get("x-amz-target") == "AWSInsightsIndexService.GetCostAndUsage":
            return self._unknown(request) or self._costs(json.loads(request.body))
        return self._token(request, dict(parse_qsl(request.body.decode())))

    def _token(self, request: Request, wanted: dict[str, str]) -> Reply:
        self.roles.append(wanted)
        if wanted["Action"] == "GetCallerIdentity":
            return self._unknown(request) or Reply(body=CALLER.encode(), headers=TEXT_XML)
        return Reply(body=GIVEN.format(wanted["Action"], len(self.roles)).encode(), headers=TEXT_XML)

    def _unknown(self, request: Request) -> Reply | None:
        """What becomes of a request by nobody that AWS knows."""
        signature = request.headers.get("authorization", "")
        known = (f"AWS4-HMAC-SHA256 Credential={KEY_ID}/", "AWS4-HMAC-SHA256 Credential=ASIA")
        if signature.startswith(known) and "Signature=" in signature:
            return None
        return refusal("UnrecognizedClientException", "The security token included in the request is invalid.")

    def _costs(self, question: dict[str, Any]) -> Reply:
        self.asked.append(question)
        if self.refused:
            return self.refused.pop(0)
        period = question["TimePeriod"]
        asked = sorted({item.day for item in self.items if period["Start"] <= item.day.isoformat() < period["End"]})
        start = int(question.get("NextPageToken", 0))
        end = start + self.most
        more = {"NextPageToken": str(end)} if end < len(asked) else {}
        results = [self._result(day, question) for day in asked[start:end]]
        described = [{"Value": each, "Attributes": {"description": name}} for each, name in self.names.items()]
        answer = {"ResultsByTime": results, "DimensionValueAttributes": described, **more}
        return Reply(body=json.dumps(answer).encode(), headers=AMZ)

    def _result(self, day: date, question: Mapping[str, Any]) -> dict[str, Any]:
        sums: dict[tuple[str, ...], list[Item]] = defaultdict(list)
        for item in self.items:
            if item.day == day and _is_meant(item, question.get("Filter")):
                sums[tuple(item.value(group["Key"]) for group in question["GroupBy"])].append(item)
        groups = [{"Keys": keys, "Metrics": _metrics(items, question["Metrics"])} for keys, items in sums.items()]
        after = date.fromordinal(day.toordinal() + 1)
        period = {"Start": day.isoformat(), "End": after.isoformat()}
        return {"TimePeriod": period, "Total": {}, "Groups": groups, "Estimated": day >= self.estimated_from}


def _is_meant(item: Item, where: Mapping[str, Any] | None) -> bool:
    if where is None:
        return True
    if "And" in where:
        return all(_is_meant(item, each) for each in where["And"])
    return item.value(where["Dimensions"]["Key"]) in where["Dimensions"]["Values"]


def _metrics(items: Sequence[Item], names: Sequence[str]) -> dict[str, Any]:
    billed = reduce(EXACT.add, (item.billed for item in items))
    effective = reduce(EXACT.add, (item.billed if item.effective is None else item.effective for item in items))
    amounts = {name: effective if "Amortized" in name else billed for name in names}
    return {name: {"Amount": f"{amount:f}", "Unit": items[0].currency} for name, amount in amounts.items()}


def refusal(name: str, message: str, status: int = 400) -> Reply:
    """A refusal as Cost Explorer words it."""
    body = {"__type": f"com.amazonaws.ce#{name}", "Message": message}
    return Reply(status, json.dumps(body).encode(), AMZ)


def xml_refusal(name: str, message: str, status: int = 403) -> Reply:
    """A refusal as STS and S3 word it."""
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{name}</Code><Message>{message}</Message></Error>"
    return Reply(status, f"{body}</ErrorResponse>".encode(), TEXT_XML)
