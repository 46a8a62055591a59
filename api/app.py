"""The API as an ASGI application, put together from its settings, the ledger's reader and what connectors say."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api import explorer
from api.graphql.context import Context
from api.graphql.http import GraphQLEndpoint
from api.health import healthz, readyz
from api.principal import LOCAL
from api.schema import make_schema
from api.security import Guard
from api.settings import ApiSettings, ConnectorInfo
from ledger.database import ReaderDB


def create_app(settings: ApiSettings, db: ReaderDB, connectors: Sequence[ConnectorInfo] = ()) -> Starlette:
    """The API over `db`. Serve it with api.server."""
    endpoint = GraphQLEndpoint(make_schema(), settings)

    async def graphql(request: Request) -> Response:
        context = Context(db, LOCAL, settings.clock(), "", connectors)
        return await endpoint.answer(request, context)

    routes: list[BaseRoute] = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/graphql", graphql, methods=["POST"]),
    ]
    if not settings.authentication:
        routes += explorer.routes()
    app = Starlette(routes=routes, middleware=[Middleware(Guard, settings)])
    app.state.settings = settings
    app.state.db = db
    return app
