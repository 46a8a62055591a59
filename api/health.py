"""Whether the process lives, and whether it can answer."""

from __future__ import annotations

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.settings import ApiSettings
from ledger.database import ReaderDB
from ledger.errors import LedgerError
from ledger.reads.health import schema_step

log = structlog.get_logger("api")


async def healthz(_request: Request) -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """The database can be reached and its schema is the one this program knows; 503 until then."""
    settings: ApiSettings = request.app.state.settings
    db: ReaderDB = request.app.state.db
    try:
        async with db.transaction(()) as connection:
            step = await schema_step(connection)
    except LedgerError as error:
        log.warning("not ready", error=str(error))
        return _not_ready("the database cannot be reached")
    if step != settings.schema_step:
        return _not_ready("the database's schema is not the one this program needs; run `costhook migrate`")
    return JSONResponse({"status": "ok"})


def _not_ready(why: str) -> JSONResponse:
    return JSONResponse({"status": "unavailable", "reason": why}, status_code=503, headers={"Retry-After": "5"})
