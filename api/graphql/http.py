"""GraphQL over HTTP, as the specification of 2025 has it: POST with JSON in, JSON out.

Whatever is sent, the answer is GraphQL's: `application/graphql-response+json` where the client takes it, with 4xx for
requests that could not be run, or `application/json`, where invalid documents get 200 as clients of old expect.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import strawberry
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult

from api.graphql.context import Context
from api.graphql.errors import Code, PublicError, present
from api.settings import ApiSettings

MODERN: Final = "application/graphql-response+json"
LEGACY: Final = "application/json"
MAX_NESTING: Final = 50
"""Objects and lists inside one another in a body."""

_STATUS: Final[Mapping[str, int]] = {
    Code.UNAVAILABLE.value: 503,
    Code.INTERNAL.value: 500,
    Code.UNAUTHENTICATED.value: 401,
    Code.FORBIDDEN.value: 403,
}


class Refusal(Exception):
    """The request is no GraphQL request that can be run."""

    def __init__(self, status: int, message: str, code: Code = Code.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class GraphQLEndpoint:
    """Answers POST requests by running their documents."""

    def __init__(self, schema: strawberry.Schema, settings: ApiSettings) -> None:
        self._schema, self._settings = schema, settings

    async def answer(self, request: Request, context: Context) -> Response:
        """The answer to one request."""
        media = LEGACY
        try:
            media = accepted(request.headers)
            _check_content(request.headers)
            asked = _parameters(await self._body(request))
            return await self._run(asked, context, media)
        except Refusal as refusal:
            return refused(refusal, media)

    async def _run(self, asked: Mapping[str, Any], context: Context, media: str) -> Response:
        try:
            async with asyncio.timeout(self._settings.query_seconds):
                result = await self._schema.execute(
                    asked["query"],
                    variable_values=asked["variables"],
                    operation_name=asked["operationName"],
                    context_value=context,
                )
        except TimeoutError:
            raise Refusal(400, "This took too long; ask for less.", Code.TOO_SLOW) from None
        except CannotGetOperationTypeError:
            raise Refusal(400, "The document has no operation of that name.") from None
        return _answer(result, media)

    async def _body(self, request: Request) -> bytes:
        limit, seconds = self._settings.body_bytes, self._settings.body_seconds
        if int(request.headers.get("content-length") or 0) > limit:
            raise Refusal(413, f"A request has at most {limit} bytes.")
        body = bytearray()
        try:
            async with asyncio.timeout(seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise Refusal(413, f"A request has at most {limit} bytes.")
        except TimeoutError:
            raise Refusal(408, f"The request did not arrive within {seconds:g} seconds.") from None
        except ClientDisconnect:
            raise Refusal(400, "The request was cut off.") from None
        return bytes(body)


def accepted(headers: Headers) -> str:
    """The media type to answer in. Raises Refusal when the client takes neither."""
    wanted = _accept(headers.get("accept", "*/*"))
    best = max((MODERN, LEGACY), key=lambda media: (wanted.get(media, -1.0), media == LEGACY))
    if wanted.get(best, -1.0) > 0:
        return best
    if max(wanted.get("*/*", -1.0), wanted.get("application/*", -1.0)) > 0:
        return LEGACY
    raise Refusal(406, f"The answer is {MODERN} or {LEGACY}; accept one of them.")


def _accept(header: str) -> dict[str, float]:
    """Quality by media type."""
    qualities: dict[str, float] = {}
    for part in header.split(",")[:50]:
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            qualities[media] = float(quality)
        except ValueError:
            qualities[media] = 0.0
    return qualities


def _check_content(headers: Headers) -> None:
    kind, *parameters = (piece.strip().lower() for piece in headers.get("content-type", "").split(";"))
    charset = next((p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    if kind != LEGACY or charset not in ("utf-8", "utf8"):
        raise Refusal(415, "Send the request as application/json in UTF-8.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "Send the request without Content-Encoding.")


def _parameters(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body.decode())
        _check_nesting(asked)
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not JSON.") from None
    if not isinstance(asked, dict):
        raise Refusal(400, "The body is no JSON object with a query; requests are not batched.")
    if not isinstance(asked.get("query"), str) or not asked["query"]:
        raise Refusal(400, "query has to be a text with a GraphQL document.")
    for name, kind in (("operationName", str), ("variables", dict), ("extensions", dict)):
        if asked.setdefault(name, None) is not None and not isinstance(asked[name], kind):
            raise Refusal(400, f"{name} has to be {'a text' if kind is str else 'an object'} or null.")
    return asked


def _check_nesting(value: Any) -> None:
    """Raise ValueError for values nested deeper than any question needs."""
    level = [value]
    for _ in range(MAX_NESTING):
        level = [inner for held in level for inner in _inside(held)]
        if not level:
            return
    raise ValueError("nested too deeply")


def _inside(value: Any) -> list[Any]:
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [inner for inner in held if isinstance(inner, dict | list)]


def refused(refusal: Refusal, media: str = LEGACY) -> Response:
    """The answer to a request that is not run."""
    error = present(PublicError(refusal.code, str(refusal)))
    return _response({"errors": [error]}, refusal.status, media)


def _answer(result: ExecutionResult, media: str) -> Response:
    errors = [present(error) for error in result.errors or ()]
    body: dict[str, Any] = {}
    if errors:
        body["errors"] = errors
    began = result.data is not None or any(error.path for error in result.errors or ())
    if began:
        body["data"] = result.data
    status = 200
    if result.data is None:
        status = _status(errors, media, began=began)
    return _response(body, status, media)


def _status(errors: list[Any], media: str, *, began: bool) -> int:
    codes = [error["extensions"]["code"] for error in errors]
    for code in codes:
        if code in _STATUS:
            return _STATUS[code]
    invalid = not began and all(code == Code.BAD_REQUEST.value for code in codes)
    return 200 if invalid and media == LEGACY else 400


def _response(body: Mapping[str, Any], status: int, media: str) -> Response:
    text = json.dumps(body, separators=(",", ":"))
    headers = {"Cache-Control": "no-store"}
    if status in (429, 503):
        headers["Retry-After"] = "5"
    return Response(text, status, headers, media_type=f"{media}; charset=utf-8")
