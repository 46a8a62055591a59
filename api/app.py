"""The API as an ASGI application, put together from its settings, the ledger's reader and what connectors say."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import Route

from api.health import healthz, readyz
from api.settings import ApiSettings, ConnectorInfo
from ledger.database import ReaderDB


def create_app(settings: ApiSettings, db: ReaderDB, connectors: Sequence[ConnectorInfo] = ()) -> Starlette:
    """The API over `db`. Serve it with api.server."""
    app = Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz)])
    app.state.settings = settings
    app.state.db = db
    app.state.connectors = tuple(connectors)
    return app
