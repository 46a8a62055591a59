"""BigQuery, asked by its REST interface: what a table is, and queries, page after page.

Facts: the discovery document of BigQuery v2, jobs.query and jobs.getQueryResults.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from reconciler.connectors.gcp.cells import Row, rows
from reconciler.connectors.gcp.endpoints import endpoint
from reconciler.connectors.gcp.identity import Identity
from reconciler.connectors.gcp.refusal import NO_ROOM
from reconciler.connectors.gcp.report import Column, Job, Result, Table
from reconciler.connectors.gcp.settings import GcpSettings
from reconciler.connectors.gcp.statements import Statement
from reconciler.connectors.http import VendorClient, pages
from reconciler.connectors.reading import read
from reconciler.errors import Bug, NeedsPerson, RetryLater

VENDOR: Final = "BigQuery"
GIB: Final = 1024**3
LEAST: Final = 10 * 1024**2
"""Bytes that BigQuery bills for a query at the least, and so the least limit that makes sense."""
PAGE_ROWS: Final = 10_000
PATIENCE: Final = 45_000
"""Milliseconds that one call waits for a query to end; less than the client waits for an answer."""
MOST_CALLS: Final = 60
"""Calls that wait for one query."""
LABELS: Final = {"app": "costhook"}
FORMAT: Final = {"useInt64Timestamp": True}


@dataclass
class Scanned:
    """What the queries of a sync read, and how much more they may."""

    per_query: int
    per_sync: int
    billed: int = 0
    queries: int = 0

    @property
    def limit(self) -> int:
        """Bytes that the next query may read. Raises NeedsPerson (ScanLimit) when there is nothing left."""
        left = self.per_sync - self.billed
        if left < LEAST:
            raise NeedsPerson(NO_ROOM.format(read=self.billed / GIB), reason="ScanLimit")
        return min(self.per_query, left)

    def add(self, result: Result) -> None:
        self.queries += 1
        self.billed += int(result.billed or 0)


class BigQuery:
    """Asks for one table; nothing is believed before the last page has come."""

    def __init__(self, settings: GcpSettings, identity: Identity, http: VendorClient) -> None:
        self._identity, self._http = identity, http
        owner, self._dataset, self._table = settings.table.rsplit(".", 2)
        self._owner, self._project = owner, settings.project or owner
        self._location = settings.location
        self._url = f"{endpoint('bigquery', settings)}/bigquery/v2/projects"
        self.scanned = Scanned(settings.gib_per_query * GIB, settings.gib_per_sync * GIB)

    async def table(self) -> Table:
        """What the table is; free. Its location is where queries run from now on, unless settings name another."""
        path = f"{quote(self._owner)}/datasets/{quote(self._dataset)}/tables/{quote(self._table)}"
        found = read(Table, await self._ask("GET", path), VENDOR)
        self._location = self._location or found.location
        return found

    async def estimate(self, statement: Statement) -> Decimal | None:
        """Bytes that the statement would read, which costs nothing to ask; None where BigQuery does not tell."""
        question = {**self._question(statement), "dryRun": True}
        return read(Result, await self._ask("POST", self._queries, question), VENDOR).processed

    async def ask(self, statement: Statement) -> AsyncIterator[Sequence[Row]]:
        """The rows of the answer, a page after the other."""
        question = {**self._question(statement), "maximumBytesBilled": str(self.scanned.limit)}
        result = await self._done(read(Result, await self._ask("POST", self._queries, question), VENDOR))
        self.scanned.add(result)
        columns = _columns(result)

        async def fetch(token: str | None) -> tuple[Result, str | None]:
            page = result if token is None else await self._page(result, {"pageToken": token})
            if not page.complete:
                raise Bug(f"{VENDOR} answered with a part of a result that it calls incomplete")
            return page, page.following or None

        async for page in pages(fetch):
            yield list(rows(columns, page.rows))

    async def _done(self, result: Result) -> Result:
        """The first page of the result, waited for. Raises RetryLater when it takes too long."""
        for _ in range(MOST_CALLS):
            if result.complete:
                return result
            result = await self._page(result, {})
        raise RetryLater(f"{VENDOR} has worked on a query for too long; it is asked again later")

    async def _page(self, result: Result, more: Mapping[str, str]) -> Result:
        job, name = _job(result)
        wanted = {"location": job.location, "timeoutMs": PATIENCE, "maxResults": PAGE_ROWS, **more}
        wanted["formatOptions.useInt64Timestamp"] = "true"
        return read(Result, await self._ask("GET", f"{quote(job.project)}/queries/{quote(name)}", wanted), VENDOR)

    @property
    def _queries(self) -> str:
        return f"{quote(self._project)}/queries"

    def _question(self, statement: Statement) -> dict[str, Any]:
        """The body of jobs.query. The id makes a question that is asked again the same question."""
        parameters = [
            {"name": name, "parameterType": {"type": each.type}, "parameterValue": {"value": each.value}}
            for name, each in statement.parameters.items()
        ]
        wanted: dict[str, Any] = {
            "query": statement.sql,
            "useLegacySql": False,
            "parameterMode": "NAMED",
            "queryParameters": parameters,
            "timeoutMs": PATIENCE,
            "maxResults": PAGE_ROWS,
            "requestId": str(uuid.uuid4()),
            "labels": LABELS,
            "formatOptions": FORMAT,
        }
        return wanted | ({"location": self._location} if self._location else {})

    async def _ask(self, method: str, path: str, what: Mapping[str, Any] | None = None) -> Any:
        sent: dict[str, Any] = {"params": what} if method == "GET" else {"body": what}

        async def ask(token: str) -> Any:
            headers = {"Authorization": f"Bearer {token}"}
            return await self._http.json(method, f"{self._url}/{path}", headers=headers, retry=True, **sent)

        return await self._identity.trying(ask)


def _columns(result: Result) -> Sequence[Column]:
    if result.columns is None:
        raise Bug(f"{VENDOR}'s answer does not name its columns, so none of it was counted")
    return result.columns.fields


def _job(result: Result) -> tuple[Job, str]:
    """The job and its id."""
    if result.job is None or result.job.id is None:
        raise Bug(f"{VENDOR}'s answer does not name its job, so none of it was counted")
    return result.job, result.job.id
