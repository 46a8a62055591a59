"""The one HTTP client of all connectors: bounded, metered, patient within reason, and silent about secrets.

What connectors may use of it is named in `__all__`; its parts live in the modules beside this one.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from reconciler.connectors.answer import (
    Answer,
    Document,
    Garbled,
    Taken,
    beginning,
    bounded,
    is_json,
    parse,
    timed,
)
from reconciler.connectors.backoff import delay
from reconciler.connectors.call import (
    SAFE_METHODS,
    Call,
    Form,
    Params,
    below,
    encoded,
    origin,
    sendable,
    shown,
    web_address,
    with_query,
)
from reconciler.connectors.digest import Digest
from reconciler.connectors.egress import EgressPolicy, EgressRefused
from reconciler.connectors.exchange import Done, Exchange
from reconciler.connectors.limits import HttpLimits
from reconciler.connectors.meter import CallBook, MemoryBook, Meter, utc_now
from reconciler.connectors.paging import next_cursor, pages
from reconciler.connectors.redaction import Redactor
from reconciler.connectors.refusal import Refused
from reconciler.connectors.transport import CheckedTransport, Resolve, resolve
from reconciler.connectors.witness import Masking, Witness
from reconciler.errors import Bug, ReconcilerError, RetryLater

__all__ = [
    "Answer",
    "CallBook",
    "Document",
    "EgressPolicy",
    "EgressRefused",
    "Form",
    "HttpLimits",
    "Json",
    "MemoryBook",
    "Meter",
    "Params",
    "Refused",
    "Taken",
    "VendorClient",
    "Witness",
    "next_cursor",
    "pages",
]

Json = Any

T = TypeVar("T")


class VendorClient:
    """Asks one vendor. Every failure is RetryLater, NeedsPerson or Bug, with words free of secrets.

    Relative paths are appended to `base_url`; credential headers (see `authorise`) go to its origin and
    nowhere else. `redact` are secrets to keep out of messages; `witness` sees the talk without them. `sleep`,
    `random` and `clock` are the world's, or a test's; `tls` replaces the trusted certificates, `resolve` the
    resolution of names.
    """

    def __init__(
        self,
        *,
        base_url: str | None,
        policy: EgressPolicy,
        meter: Meter,
        redact: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        limits: HttpLimits | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
        clock: Callable[[], datetime] = utc_now,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
        witness: Witness | None = None,
    ) -> None:
        self.limits = limits or HttpLimits()
        self.meter = meter
        self._redactor = Redactor(redact)
        self._base = web_address(base_url) if base_url else None
        self._headers = dict(headers or {})
        self._credentials: dict[str, str] = {}
        self._sleep, self._random, self._clock = sleep, random, clock
        transport = CheckedTransport(policy, tls, resolve)
        self._witness = Masking(witness, self._redactor)
        self._exchange = Exchange(transport, policy, meter, self.limits, self._redactor, self._witness)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exchange.close()

    def __repr__(self) -> str:
        return f"VendorClient({self._redactor.clean(shown(self._base)) if self._base else ''})"

    def authorise(self, headers: Mapping[str, str]) -> None:
        """Send `headers`, which hold credentials, with every request to the base URL's origin, and redact them.

        White space around a value is dropped. Raises NeedsPerson (InvalidSecret) if HTTP cannot carry a value.
        """
        for value in headers.values():
            self.hide(value, *value.split())
        self._credentials.update(sendable(headers))

    def digest(self, user: str, password: str) -> None:
        """Answer the challenges of the base URL's origin by HTTP digest authentication, and redact the password."""
        self.hide(password)
        if self._base is not None:
            self._exchange.digest = Digest(self._base, user, password)

    def hide(self, *secrets: str) -> None:
        """Keep further secrets out of messages: tokens that a connector was given in exchange for its key."""
        for secret in secrets:
            self._redactor.hide(secret)

    def clean(self, text: str) -> str:
        """`text` with `***` in place of every secret that this client knows."""
        return self._redactor.clean(text)

    async def json(
        self,
        method: str,
        path: str,
        *,
        params: Params = None,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
        limit: int | None = None,
        retry: bool | None = None,
    ) -> Any:
        """The answer's JSON: fractions as Decimal, whole numbers as int; None for an answer without content.

        `path` is appended to the base URL, or is a whole URL. `body` is sent as JSON, a Form as a web form. `limit`
        bounds the answer's body (bytes). Faults that may pass are retried within the run for GET and HEAD, and for
        other methods if `retry` is true.
        Raises Refused, NeedsPerson, RetryLater and Bug.
        """
        document = await self.document(
            method, path, params=params, body=body, headers=headers, limit=limit, retry=retry
        )
        return document.content

    async def document(
        self,
        method: str,
        path: str,
        *,
        params: Params = None,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
        limit: int | None = None,
        retry: bool | None = None,
    ) -> Document:
        """As `json`, with the answer's headers: for vendors that name the next page there."""
        call = self._call(method, path, params, body=body, headers=headers, retry=retry)
        return await self._retrying(call, lambda response: self._read(response, limit or self.limits.body))

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, limit: int | None = None, retry: bool = False
    ) -> Taken:
        """What a receiver says, in whatever form, once it has taken these very bytes; raises as `json` does.

        Of its body there is the beginning or, with a `limit` of bytes, all. Sent once, unless `retry` says that twice
        does no harm.
        """
        sent = sendable({**self._headers, "Accept": "*/*", **headers})
        call = Call("POST", below(self._base, url), sent, content, retry)
        return await self._retrying(call, lambda response: self._taken(response, limit))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        params: Params = None,
        headers: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Answer]:
        """An answer whose body is read piece by piece, for files; closed at the end of the `async with`.

        Faults are retried until the answer begins; once bytes flow, a fault raises RetryLater. A 304 is an
        answer too. Raises as `json` does.
        """
        call = self._call(method, url, params, headers={"Accept": "*/*", **(headers or {})})
        response = await self._retrying(call, _begun)
        parts = bounded(response, limit or self.limits.stream_body, self.meter)
        try:
            yield Answer(response, timed(parts, self.limits.stream_total, lambda e: self._exchange.fault(call, e)))
        finally:
            await response.aclose()

    def _call(
        self,
        method: str,
        path: str,
        params: Params,
        *,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
        retry: bool | None = None,
    ) -> Call:
        url = with_query(below(self._base, path), params)
        content, kind = encoded(body)
        sent = {**kind, **self._headers, **(headers or {})}
        if self._base is not None and origin(url) == origin(self._base):
            sent |= self._credentials
        return Call(method, url, sendable(sent), content, method in SAFE_METHODS if retry is None else retry)

    async def _retrying(self, call: Call, use: Callable[[httpx.Response], Awaitable[T]]) -> T:
        for attempt in count(1):
            outcome = await self._exchange.attempt(call, use, self._clock())
            if isinstance(outcome, Done):
                return outcome.value
            wait = self._wait(call, outcome, attempt)
            if wait is None:
                raise outcome
            await self._sleep(wait)
        raise AssertionError  # for mypy: counting does not end

    def _wait(self, call: Call, fault: ReconcilerError, attempt: int) -> float | None:
        """Seconds until the next attempt; None when there is to be none in this run."""
        limits = self.limits
        if not call.retry or attempt >= limits.attempts or not isinstance(fault, RetryLater | Garbled):
            return None
        asked = fault.after if isinstance(fault, RetryLater) else None
        if asked is not None and asked.total_seconds() > limits.longest_wait:
            return None
        return delay(attempt, limits.first_wait, limits.longest_wait, self._random(), asked)

    async def _read(self, response: httpx.Response, limit: int) -> Document:
        try:
            body = b"".join([part async for part in bounded(response, limit, self.meter)])
        finally:
            await response.aclose()
        self._witness.answered(response.status_code, response.headers, body)
        if response.status_code == 204 or response.request.method == "HEAD":
            return Document(None, dict(response.headers))
        if not is_json(response.headers):
            raise Bug(f"the answer is not JSON but {response.headers.get('content-type', 'untyped')[:80]}")
        return Document(parse(body), dict(response.headers))

    async def _taken(self, response: httpx.Response, limit: int | None) -> Taken:
        try:
            body = (
                await beginning(response, self.meter)
                if limit is None
                else b"".join([part async for part in bounded(response, limit, self.meter)])
            )
        finally:
            await response.aclose()
        self._witness.answered(response.status_code, response.headers, body)
        return Taken(response.status_code, dict(response.headers), body)


async def _begun(response: httpx.Response) -> httpx.Response:
    return response
