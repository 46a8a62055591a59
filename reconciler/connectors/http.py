"""The one HTTP client of all connectors: bounded, metered, patient within reason, and silent about secrets."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import count
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import httpx

from reconciler.connectors.answer import Answer, Garbled, bounded, is_json, parse, timed
from reconciler.connectors.backoff import delay, retry_after
from reconciler.connectors.egress import EgressPolicy, EgressRefused
from reconciler.connectors.meter import CallBook, MemoryBook, Meter, utc_now
from reconciler.connectors.paging import next_cursor, pages
from reconciler.connectors.redaction import Redactor
from reconciler.connectors.refusal import Refused, judge
from reconciler.connectors.transport import CheckedTransport, Resolve, Untrusted, resolve
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater

__all__ = [
    "Answer",
    "CallBook",
    "EgressPolicy",
    "EgressRefused",
    "HttpLimits",
    "Json",
    "MemoryBook",
    "Meter",
    "Params",
    "Refused",
    "VendorClient",
    "next_cursor",
    "pages",
]

Json = Any
Value = str | int | bool | None
Params = Mapping[str, Value | Sequence[Value]] | Sequence[tuple[str, Value]] | None
"""A query: names with a value or several. None values are left out; names with brackets are sent as they are."""

T = TypeVar("T")

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
EVERYWHERE: Final = frozenset({"accept"})
"""Headers that may follow a redirect to another origin; any other might be a credential."""
ERROR_BODY: Final = 64 * 1024

for _name in ("httpx", "httpcore"):  # they log URLs and headers, in which credentials travel
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of a client. Times are seconds, sizes bytes after unpacking."""

    connect: float = 10.0
    read: float = 60.0
    """Longest silence while an answer is awaited or read."""
    total: float = 300.0
    """Longest time for one attempt at a JSON answer, redirects included."""
    stream_total: float = 3600.0
    """Longest time spent waiting for the bytes of one stream."""
    body: int = 64 * 1024**2
    stream_body: int = 64 * 1024**3
    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 60.0
    """Longest wait between attempts; a vendor that asks for more is asked again at a later run."""
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    value: T


@dataclass(frozen=True)
class _Call:
    method: str
    url: httpx.URL
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(repr=False)
    retry: bool

    @property
    def target(self) -> str:
        return f"{self.method} {self.url.scheme}://{self.url.netloc.decode('ascii')}{self.url.path}"


class VendorClient:
    """Asks one vendor. Every failure is RetryLater, NeedsPerson or Bug, with words free of secrets.

    `base_url` is what relative paths are appended to; credential headers (see `authorise`) go to its origin
    and nowhere else. `redact` are secrets to keep out of messages. `sleep`, `random` and `clock` are the
    world's, or a test's. `tls` replaces the trusted certificates, `resolve` the resolution of names.
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
    ) -> None:
        self.limits = limits or HttpLimits()
        self.meter = meter
        self._policy = policy
        self._redactor = Redactor(redact)
        self._base = self._url(base_url) if base_url else None
        self._headers = dict(headers or {})
        self._credentials: dict[str, str] = {}
        self._sleep, self._random, self._clock = sleep, random, clock
        self._client = httpx.AsyncClient(
            transport=CheckedTransport(policy, tls, resolve),
            headers={"User-Agent": "costhook", "Accept": "application/json", "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(self.limits.read, connect=self.limits.connect),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    def __repr__(self) -> str:
        return f"VendorClient({self._redactor.clean(str(self._base))})"

    def authorise(self, headers: Mapping[str, str]) -> None:
        """Send `headers`, which hold credentials, with every request to the base URL's origin, and redact them."""
        for value in headers.values():
            self.hide(value, *value.split())
        self._credentials.update(headers)

    def hide(self, *secrets: str) -> None:
        """Keep further secrets out of messages: tokens that a connector was given in exchange for its key."""
        for secret in secrets:
            self._redactor.hide(secret)

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

        `path` is appended to the base URL, or is a whole URL. `limit` bounds the body (bytes). Faults that may
        pass are retried within the run for GET and HEAD, and for other methods if `retry` is true.
        Raises Refused, NeedsPerson, RetryLater and Bug.
        """
        call = self._call(method, path, params, body, headers, retry)
        return await self._retrying(call, lambda response: self._read_json(response, limit or self.limits.body))

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
        call = self._call(method, url, params, None, {"Accept": "*/*", **(headers or {})}, None)
        response = await self._retrying(call, self._begun)
        parts = bounded(response, limit or self.limits.stream_body, self.meter)
        try:
            yield Answer(response, timed(parts, self.limits.stream_total, lambda error: self._fault(call, error)))
        finally:
            await response.aclose()

    def _call(
        self,
        method: str,
        path: str,
        params: Params,
        body: Json,
        headers: Mapping[str, str] | None,
        retry: bool | None,
    ) -> _Call:
        url = self._join(path)
        if params:
            url = url.copy_merge_params(httpx.QueryParams(_pairs(params)))
        sent = {**self._headers, **(headers or {})}
        if self._base is not None and _origin(url) == _origin(self._base):
            sent |= self._credentials
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            sent = {"Content-Type": "application/json", **sent}
        return _Call(method, url, sent, content, method in SAFE_METHODS if retry is None else retry)

    def _join(self, path: str) -> httpx.URL:
        if self._base is None or "://" in path.partition("?")[0]:
            return self._url(path)
        base = str(self._base.copy_with(query=None, fragment=None)).rstrip("/")
        return self._url(f"{base}/{path.lstrip('/')}")

    def _url(self, text: str) -> httpx.URL:
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, ValueError):
            url = None
        if url is None or not url.host:
            raise NeedsPerson(f"{self._redactor.clean(text)[:200]!r} is no https:// URL", reason="InvalidSettings")
        return url

    async def _retrying(self, call: _Call, use: Callable[[httpx.Response], Awaitable[T]]) -> T:
        for attempt in count(1):
            outcome = await self._attempt(call, use)
            if isinstance(outcome, _Done):
                return outcome.value
            wait = self._wait(call, outcome, attempt)
            if wait is None:
                raise outcome
            await self._sleep(wait)
        raise AssertionError

    async def _attempt(self, call: _Call, use: Callable[[httpx.Response], Awaitable[T]]) -> _Done[T] | ReconcilerError:
        """One attempt. Faults are returned, not raised, so that no traceback shows the exceptions below them."""
        try:
            async with asyncio.timeout(self.limits.total):
                return _Done(await use(await self._follow(call)))
        except (ReconcilerError, TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            return self._fault(call, error)

    def _wait(self, call: _Call, fault: ReconcilerError, attempt: int) -> float | None:
        """Seconds until the next attempt; None when there is to be none in this run."""
        asked = fault.after if isinstance(fault, RetryLater) else None
        limits = self.limits
        if not call.retry or not _passes(fault) or attempt >= limits.attempts:
            return None
        if asked is not None and asked.total_seconds() > limits.longest_wait:
            return None
        return delay(attempt, limits.first_wait, limits.longest_wait, self._random(), asked)

    async def _follow(self, call: _Call) -> httpx.Response:
        """The first answer that is no redirect, and is a success."""
        for _ in range(self.limits.redirects + 1):
            response = await self._send(call)
            if response.status_code not in REDIRECTS or "location" not in response.headers:
                return await self._approved(call, response)
            await response.aclose()
            call = self._redirected(call, response)
        raise NeedsPerson(
            f"more than {self.limits.redirects} redirects, the last to {call.target}", reason="RedirectRefused"
        )

    async def _send(self, call: _Call) -> httpx.Response:
        self._policy.check_url(call.url)
        await self.meter.before_call()
        request = self._client.build_request(call.method, call.url, headers=call.headers, content=call.content)
        return await self._client.send(request, stream=True)

    def _redirected(self, call: _Call, response: httpx.Response) -> _Call:
        url = call.url.join(response.headers["location"])
        if call.url.scheme == "https" and url.scheme != "https":
            raise NeedsPerson(f"{call.target} redirects away from https; refused", reason="RedirectRefused")
        same = _origin(url) == _origin(call.url)
        kept = call.method in SAFE_METHODS or (same and response.status_code in (307, 308))
        if not kept:
            raise NeedsPerson(
                f"{call.target} redirects a {call.method}; set baseURL to where it leads", reason="RedirectRefused"
            )
        headers = call.headers if same else {k: v for k, v in call.headers.items() if k.lower() in EVERYWHERE}
        return _Call(call.method, url, headers, call.content, call.retry)

    async def _approved(self, call: _Call, response: httpx.Response) -> httpx.Response:
        status = response.status_code
        if 200 <= status < 300 or status == 304:
            return response
        body = await self._error_body(response)
        asked = retry_after(response.headers, self._clock())
        raise judge(call.target, status, response.headers, body, asked, self._redactor)

    async def _error_body(self, response: httpx.Response) -> bytes:
        body = b""
        try:
            async for part in bounded(response, ERROR_BODY, self.meter):
                body += part
        except (httpx.HTTPError, Bug):
            pass  # the status says enough
        finally:
            await response.aclose()
        return body

    async def _begun(self, response: httpx.Response) -> httpx.Response:
        return response

    async def _read_json(self, response: httpx.Response, limit: int) -> Any:
        try:
            body = b"".join([part async for part in bounded(response, limit, self.meter)])
        finally:
            await response.aclose()
        if response.status_code == 204 or response.request.method == "HEAD":
            return None
        if not is_json(response.headers):
            kind = response.headers.get("content-type", "nothing")
            raise Bug(f"the answer is not JSON but {kind[:80]!r}")
        return parse(body)

    def _fault(self, call: _Call, error: Exception) -> ReconcilerError:
        """The error to raise for what was caught, with the target named and every secret gone."""
        clean = self._redactor.clean
        if isinstance(error, ReconcilerError):
            if call.target not in str(error):
                error.args = (f"{call.target}: {error}",)
            error.args = (clean(str(error)),)
            error.__context__ = None
            return error
        target = clean(call.target)
        if isinstance(error, Untrusted):
            return NeedsPerson(
                f"{target}: its certificate is not trusted ({clean(str(error))}); if a company's own authority"
                " signs it, add that authority to the system's certificates or set SSL_CERT_FILE",
                reason="CertificateNotTrusted",
            )
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            return RetryLater(f"{target}: no answer in time")
        return RetryLater(f"{target}: {clean(str(error)) or type(error).__name__}")


def _passes(fault: ReconcilerError) -> bool:
    """Whether another attempt in this run may mend it."""
    return isinstance(fault, Garbled) or (isinstance(fault, RetryLater) and fault.reason != "CallBudgetSpent")


def _pairs(params: Params) -> list[tuple[str, Any]]:
    pairs = params.items() if isinstance(params, Mapping) else params or ()
    return [
        (name, value)
        for name, given in pairs
        for value in (given if isinstance(given, Sequence) and not isinstance(given, str) else [given])
        if value is not None
    ]


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host.lower().removesuffix("."), port
