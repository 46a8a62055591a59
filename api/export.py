"""Files over HTTP: charges and daily costs as CSV, JSON lines and Parquet, and the manifest that says what is in them.

Memory stays flat, and a client that stops reading is let go: it holds neither a connection to the database nor
memory for longer than STALLED seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.export_question import asked, refusal
from api.graphql.errors import Code
from api.graphql.http import Refusal, refused
from api.settings import ApiSettings
from ledger import audit
from ledger.database import ReaderDB
from ledger.errors import LedgerError
from ledger.reads.export import FORMATS, Export, Format, export
from ledger.reads.manifests import ExportQuestion, What, describe

AT_ONCE: Final = 2
"""Files written at the same time; they take connections that questions need."""
STALLED: Final = 30.0
MANIFEST_SECONDS: Final = 60.0

_TYPES: Final[dict[Format, str]] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/jsonl; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


def routes(settings: ApiSettings, db: ReaderDB) -> list[Route]:
    """/export/charges.csv and its siblings, and their manifests."""
    desk = _Desk(settings, db)
    found = []
    for what in get_args(What):
        found += [Route(f"/export/{what}.{format_}", desk.file(what, format_)) for format_ in FORMATS]
        found.append(Route(f"/export/{what}/manifest", desk.manifest(what)))
    return found


class _Desk:
    """Takes the orders for files."""

    def __init__(self, settings: ApiSettings, db: ReaderDB) -> None:
        self.settings, self.db = settings, db
        self.room = asyncio.Semaphore(AT_ONCE)

    def file(self, what: What, format_: Format) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                question = asked(request.state.principal, request.query_params, what)
                if self.room.locked():
                    raise Refusal(429, f"{AT_ONCE} files are being written; try again soon.", Code.UNAVAILABLE)
                await self._note(request, question, format_)
                return _Download(self, request, question, format_)
            except Refusal as told:
                return refused(told)

        return answer

    def manifest(self, what: What) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                question = asked(request.state.principal, request.query_params, what)
                namespaces = request.state.principal.namespaces
                async with self.db.snapshot(namespaces, seconds=MANIFEST_SECONDS) as connection:
                    found = await describe(connection, question, self.settings.clock())
            except (Refusal, LedgerError) as error:
                return refused(refusal(error))
            return Response(found.text(), media_type="application/json", headers={"Cache-Control": "no-store"})

        return answer

    async def _note(self, request: Request, question: ExportQuestion, format_: Format) -> None:
        principal = request.state.principal
        period = question.period
        detail = {
            "format": format_,
            "from": period.first.isoformat(),
            "to": period.after_last.isoformat(),
            "filter": question.filter.document(),
            "asOf": question.as_of and question.as_of.isoformat(),
        }
        entry = audit.Entry(
            at=self.settings.clock(),
            actor=principal.name,
            actor_kind=principal.kind,
            action="export",
            subject=question.what,
            detail=detail,
            request_id=request.state.request_id,
        )
        try:
            async with self.db.transaction(principal.namespaces) as connection:
                await audit.write(connection, entry)
        except LedgerError as error:
            raise refusal(error) from None


class _Download(Response):
    """Sends a file while it is written."""

    def __init__(self, desk: _Desk, request: Request, question: ExportQuestion, format_: Format) -> None:
        period = question.period
        name = f"costhook-{question.what}-{period.first}-{period.after_last}.{format_}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        super().__init__(headers=headers, media_type=_TYPES[format_])
        del self.headers["content-length"]
        self._desk, self._request, self._question, self._format = desk, request, question, format_

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        desk, namespaces = self._desk, self._request.state.principal.namespaces
        async with AsyncExitStack() as held:
            await held.enter_async_context(desk.room)
            try:
                made = await held.enter_async_context(
                    export(desk.db, namespaces, self._question, self._format, desk.settings.clock())
                )
            except LedgerError as error:
                await refused(refusal(error))(scope, receive, send)
                return
            gone = asyncio.create_task(_gone(receive))
            held.callback(gone.cancel)
            await self._send(made, gone, send)

    async def _send(self, made: Export, gone: asyncio.Task[None], send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for chunk in made.chunks:
            if gone.done():
                return
            async with asyncio.timeout(STALLED):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
