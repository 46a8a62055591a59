"""The API as an ASGI application, put together from its settings, the ledger's reader and what connectors say."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api import explorer, export, metrics
from api.access import Access, Bearers, Everyone
from api.apiserver import ApiServer, login
from api.entrance import Identified, Logged
from api.graphql.context import Context
from api.graphql.errors import Code
from api.graphql.http import GraphQLEndpoint, Refusal, refused
from api.health import healthz, readyz
from api.keys import Keys
from api.kubernetes import Cluster
from api.oidc import Verifier
from api.schema import make_schema
from api.security import Guard
from api.settings import ApiSettings, ConnectorInfo
from ledger.database import ReaderDB


def create_app(settings: ApiSettings, db: ReaderDB, connectors: Sequence[ConnectorInfo] = ()) -> Starlette:
    """The API over `db`. Serve it with api.server."""
    endpoint = GraphQLEndpoint(make_schema(), settings)

    async def graphql(request: Request) -> Response:
        state = request.state
        if not state.principal.may("read"):
            return refused(Refusal(403, "This takes the scope read.", Code.FORBIDDEN))
        context = Context(db, state.principal, settings.clock(), state.request_id, connectors)
        return await endpoint.answer(request, context)

    routes: list[BaseRoute] = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/graphql", graphql, methods=["POST"]),
        *export.routes(settings, db),
        metrics.route(settings, db),
    ]
    if not settings.authentication:
        routes += explorer.routes()
    app = Starlette(routes=routes, middleware=_middleware(settings, db))
    app.state.settings = settings
    app.state.db = db
    return app


def _middleware(settings: ApiSettings, db: ReaderDB) -> list[Middleware]:
    """From the outside in. Browsers ask whether a page of another origin may call before they show who asks."""
    foreign = Middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
        expose_headers=["Content-Disposition", "Retry-After", "X-Request-ID"],
        max_age=600,
    )
    return [
        Middleware(Logged),
        Middleware(Guard, settings),
        *([foreign] if settings.allowed_origins else []),
        Middleware(Identified, _access(settings, db)),
    ]


def _access(settings: ApiSettings, db: ReaderDB) -> Access:
    if not settings.authentication:
        return Everyone()
    verifier = None
    if settings.oidc is not None:
        keys = Keys(settings.oidc.issuer, settings.oidc.jwks_url, settings.clock)
        verifier = Verifier(settings.oidc, keys, settings.clock)
    cluster = None
    if settings.kubernetes is not None:
        cluster = Cluster(ApiServer(login(settings.kubernetes)), db, settings.clock)
    return Bearers(settings, db, verifier, cluster)
