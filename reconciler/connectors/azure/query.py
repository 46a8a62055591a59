"""The Query API of Cost Management, asked: costs by day and two dimensions, page after page.

Facts: learn.microsoft.com/rest/api/cost-management/query/usage. `nextLink` is POSTed with the very same body; without
following it the first page would pass for the whole answer (github.com/Azure/azure-rest-api-specs/issues/12276).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from ledger.money import InvalidAmount, currency
from ledger.window import Span
from reconciler.connectors.answer import parse
from reconciler.connectors.azure.endpoints import endpoint
from reconciler.connectors.azure.identity import Identity
from reconciler.connectors.azure.refusal import of_manager
from reconciler.connectors.azure.report import Line, Page
from reconciler.connectors.azure.settings import AzureSettings
from reconciler.connectors.http import Refused, Taken, VendorClient, pages
from reconciler.connectors.reading import read
from reconciler.errors import Bug, RetryLater

View = Literal["ActualCost", "AmortizedCost"]
"""Two views of one bill: purchases as they are billed, or spread over what they cover. Never to be added."""

VENDOR: Final = "Cost Management"
MANAGEMENT: Final = "https://management.azure.com/"
FIRST: Final = "api-version=2025-03-01&$top=5000"
"""The query of the first page; 5000 rows are the most that a page has."""
HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json", "ClientType": "costhook"}
"""Calls are counted by ClientType: without one, all who send none share one allowance."""
NOTHING: Final = 204
LIMIT: Final = 64 * 1024**2


class Row(NamedTuple):
    """What a pair of values of the two dimensions came to on a day."""

    day: date
    keys: tuple[str, str]
    cost: Decimal
    currency: str


class Query:
    """Asks questions about one scope; nothing is believed before the last page has come."""

    def __init__(self, settings: AzureSettings, identity: Identity, http: VendorClient) -> None:
        self._identity, self._http = identity, http
        scope = quote((settings.scope or "").strip("/"), safe="/:")
        self._url = f"{endpoint('management', settings)}/{scope}/providers/Microsoft.CostManagement/query"

    async def rows(
        self, view: View, span: Span, by: tuple[str, str], where: tuple[str, Sequence[str]] | None = None
    ) -> list[Row]:
        """The days of `span` by two dimensions, of what has one of the values that `where` names for a dimension.

        Raises RetryLater where pages overlap: Azure promises no order of rows across them.
        """
        found: list[Row] = []
        async for page in self._pages(_question(view, span, by, where)):
            found += [_row(read(Line, line, VENDOR), span) for line in page.lines(by)]
        if len({(row.day, row.keys, row.currency) for row in found}) < len(found):
            raise RetryLater(f"{VENDOR}'s figures changed while they were read; they are read again.")
        return found

    def _pages(self, question: Mapping[str, Any]) -> AsyncIterator[Page]:
        body = json.dumps(question).encode()

        async def fetch(cursor: str | None) -> tuple[Page, str | None]:
            page = await self._ask(cursor or FIRST, body)
            return page, urlsplit(page.table.following or "").query or None

        return pages(fetch)

    async def _ask(self, query: str, body: bytes) -> Page:
        """One page. Of a next page's address its query counts alone, so that no token goes anywhere else."""

        async def ask(shown: Mapping[str, str]) -> Taken:
            return await self._http.post(f"{self._url}?{query}", body, {**HEADERS, **shown}, limit=LIMIT, retry=True)

        try:
            taken = await self._identity.trying(MANAGEMENT, ask)
        except Refused as refused:
            raise of_manager(refused) from None
        if taken.status == NOTHING:
            return read(Page, {"properties": {"columns": [], "rows": []}}, VENDOR)
        return read(Page, parse(taken.body), VENDOR)


def _question(view: View, span: Span, by: tuple[str, str], where: tuple[str, Sequence[str]] | None) -> dict[str, Any]:
    """The body of a query; the period's end is its last second."""
    dataset: dict[str, Any] = {
        "granularity": "Daily",
        "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}},
        "grouping": [{"type": "Dimension", "name": name} for name in by],
    }
    if where is not None:
        dataset["filter"] = {"dimensions": {"name": where[0], "operator": "In", "values": list(where[1])}}
    period = {"from": _moment(span.start), "to": _moment(span.end - timedelta(seconds=1))}
    return {"type": view, "timeframe": "Custom", "timePeriod": period, "dataset": dataset}


def _moment(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _row(line: Line, span: Span) -> Row:
    try:
        unit = currency(line.currency)
    except InvalidAmount as error:
        raise Bug(f"{VENDOR}'s answer for {line.day} cannot be counted, so none of it was: {error}") from None
    if not span.start.date() <= line.day <= (span.end - timedelta(seconds=1)).date():
        raise Bug(f"{VENDOR} answered for {line.day}, which was not asked for; none of it was counted.")
    return Row(line.day, (line.first, line.second), line.cost, unit)
