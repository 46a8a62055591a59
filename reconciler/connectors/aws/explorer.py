"""Cost Explorer, asked: GetCostAndUsage by day and two dimensions, page after page.

Each page costs 0.01 USD. Facts: docs.aws.amazon.com/aws-cost-management/latest/APIReference.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

from ledger.money import InvalidAmount, currency
from ledger.window import Span
from reconciler.connectors.answer import parse
from reconciler.connectors.aws.endpoints import endpoint, explorer_region
from reconciler.connectors.aws.identity import Identity
from reconciler.connectors.aws.report import Group, Page
from reconciler.connectors.aws.settings import AwsSettings
from reconciler.connectors.aws.signing import Keys, signed
from reconciler.connectors.http import Taken, VendorClient, pages
from reconciler.connectors.reading import read
from reconciler.errors import Bug

VENDOR: Final = "Cost Explorer"
HEADERS: Final = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "AWSInsightsIndexService.GetCostAndUsage",
}
LIMIT: Final = 64 * 1024**2


class Row(NamedTuple):
    """What one pair of values came to on a day: as billed, and with commitments spread over their time."""

    day: date
    keys: tuple[str, str]
    billed: Decimal
    effective: Decimal
    currency: str


@dataclass
class Figures:
    """The answer to one question: its rows, the days that AWS calls estimated, and the names of accounts."""

    rows: list[Row] = field(default_factory=list)
    estimated: set[date] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)


class Explorer:
    """Asks questions of Cost Explorer; nothing is believed before the last page has come."""

    def __init__(self, settings: AwsSettings, identity: Identity, http: VendorClient) -> None:
        self._identity, self._http = identity, http
        self._url = f"{endpoint('ce', settings)}/"
        self._scope = ("ce", explorer_region(settings))
        net = "Net" if settings.cost_explorer.net else ""
        self._billed, self._effective = f"{net}UnblendedCost", f"{net}AmortizedCost"

    async def figures(self, span: Span, by: tuple[str, str], where: Mapping[str, Sequence[str]]) -> Figures:
        """The days of `span` by two dimensions, of what has one of the values `where` names for each dimension."""
        found = Figures()
        seen: set[tuple[date, tuple[str, str]]] = set()
        async for page in self._pages(_question(span, by, where, (self._billed, self._effective))):
            found.names |= {each.value: each.attributes.get("description", "") for each in page.described}
            for result in page.results:
                if result.estimated:
                    found.estimated.add(result.period.start)
                for group in result.groups:
                    _note((result.period.start, group.keys), seen)
                    found.rows.append(self._row(result.period.start, group))
        return found

    def _row(self, day: date, group: Group) -> Row:
        try:
            billed, effective = group.metrics[self._billed], group.metrics[self._effective]
            unit = currency(billed.unit)
        except (KeyError, InvalidAmount) as error:
            raise Bug(f"{VENDOR}'s answer for {day} cannot be counted, so none of it was: {error}") from None
        if effective.unit != billed.unit:
            raise Bug(f"{VENDOR} answered for {day} in {billed.unit} and in {effective.unit} at once.")
        return Row(day, group.keys, billed.amount, effective.amount, unit)

    def _pages(self, question: Mapping[str, Any]) -> AsyncIterator[Page]:
        async def fetch(token: str | None) -> tuple[Page, str | None]:
            page = await self._ask({**question, "NextPageToken": token} if token else question)
            return page, page.following or None

        return pages(fetch)

    async def _ask(self, question: Mapping[str, Any]) -> Page:
        body = json.dumps(question).encode()

        async def ask(keys: Keys) -> Taken:
            headers = signed(keys, self._scope, "POST", self._url, HEADERS, body)
            return await self._http.post(self._url, body, headers, limit=LIMIT, retry=True)

        return read(Page, parse((await self._identity.trying(ask)).body), VENDOR)


def _question(
    span: Span, by: tuple[str, str], where: Mapping[str, Sequence[str]], metrics: Sequence[str]
) -> dict[str, Any]:
    """The body of GetCostAndUsage; all of its pages are asked for by the very same."""
    wanted: dict[str, Any] = {
        "TimePeriod": {"Start": span.start.date().isoformat(), "End": span.end.date().isoformat()},
        "Granularity": "DAILY",
        "Metrics": list(metrics),
        "GroupBy": [{"Type": "DIMENSION", "Key": key} for key in by],
    }
    filters = [{"Dimensions": {"Key": key, "Values": list(values)}} for key, values in where.items()]
    if filters:
        wanted["Filter"] = filters[0] if len(filters) == 1 else {"And": filters}
    return wanted


def _note(key: tuple[date, tuple[str, str]], seen: set[tuple[date, tuple[str, str]]]) -> None:
    """Add `key` to those seen. Raises Bug when it comes a second time: the pages overlap."""
    if key in seen:
        raise Bug(f"{VENDOR} answered with {' and '.join(key[1])} twice on {key[0]}.", reason="CursorLoop")
    seen.add(key)
