"""A page to ask the API from: an editor, the answer, and the schema to look things up in. It loads nothing foreign."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from api.graphql.http import Refusal, refused

_FOLDER: Final = Path(__file__).parent
_KINDS: Final = {".css": "text/css", ".html": "text/html", ".js": "text/javascript"}


def routes() -> list[Route]:
    """The page at GET /graphql, and the way there."""
    return [
        Route("/", _start, methods=["GET"]),
        Route("/graphql", _page, methods=["GET"]),
        Route("/graphql/explorer.css", _file("explorer.css"), methods=["GET"]),
        Route("/graphql/explorer.js", _file("explorer.js"), methods=["GET"]),
        Route("/graphql/schema.js", _file("schema.js"), methods=["GET"]),
    ]


async def _start(_request: Request) -> Response:
    return RedirectResponse("/graphql")


async def _page(request: Request) -> Response:
    """The page, for browsers; programs are told that questions are posted."""
    if "text/html" not in request.headers.get("accept", ""):
        answer = refused(Refusal(405, "Send questions by POST."))
        answer.headers["Allow"] = "POST"
        return answer
    return await _file("page.html")(request)


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    content, kind = (_FOLDER / name).read_bytes(), _KINDS[Path(name).suffix]

    async def answer(_request: Request) -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return answer
