"""One attempt at an answer: within the egress policy, metered, redirects followed, faults put into words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Generic, TypeVar

import httpx

from reconciler.connectors.answer import beginning
from reconciler.connectors.backoff import limit_reset, retry_after
from reconciler.connectors.call import REDIRECTS, Call
from reconciler.connectors.digest import Digest
from reconciler.connectors.egress import EgressPolicy
from reconciler.connectors.limits import HttpLimits
from reconciler.connectors.meter import Meter
from reconciler.connectors.redaction import Redactor
from reconciler.connectors.refusal import judge
from reconciler.connectors.transport import CheckedTransport, Untrusted
from reconciler.connectors.witness import Masking
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater

T = TypeVar("T")

for _name in ("httpx", "httpcore"):  # they log URLs and headers, in which credentials travel
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What an attempt that went well came to."""

    value: T


class Exchange:
    """Sends calls, one attempt each. Faults are returned, so that no traceback shows what lies below them."""

    def __init__(
        self,
        transport: CheckedTransport,
        policy: EgressPolicy,
        meter: Meter,
        limits: HttpLimits,
        redactor: Redactor,
        witness: Masking,
    ) -> None:
        self.meter = meter
        self._policy = policy
        self._limits = limits
        self._redactor = redactor
        self._witness = witness
        self.digest: Digest | None = None
        self._client = httpx.AsyncClient(
            transport=transport,
            headers={"User-Agent": "costhook", "Accept": "application/json", "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(limits.read, connect=limits.connect),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def attempt(
        self, call: Call, use: Callable[[httpx.Response], Awaitable[T]], now: datetime
    ) -> Done[T] | ReconcilerError:
        """What `use` makes of a successful answer, or the fault; `use` closes the response it is given."""
        try:
            async with asyncio.timeout(self._limits.total):
                return Done(await use(await self._follow(call, now)))
        except (ReconcilerError, TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            return self.fault(call, error)

    def fault(self, call: Call, error: Exception) -> ReconcilerError:
        """The error to raise for what was caught: fit to be shown, and on its own."""
        if not isinstance(error, ReconcilerError):
            return self._in_words(call, error)
        text = str(error)
        if isinstance(error, Bug) and call.target not in text:
            text = f"{call.target}: {text}"
        error.args = (self._redactor.clean(text),)
        error.__context__ = None
        return error.with_traceback(None)

    def _in_words(self, call: Call, error: Exception) -> ReconcilerError:
        target, said = self._redactor.clean(call.target), self._redactor.clean(str(error))
        if isinstance(error, Untrusted):
            return NeedsPerson(
                f"{target}: its certificate is not trusted ({said}); if a company's own authority signs it, add"
                " that authority to the system's certificates or name it in SSL_CERT_FILE",
                reason="CertificateNotTrusted",
            )
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            return RetryLater(f"{target}: no answer in time")
        return RetryLater(f"{target}: {said or type(error).__name__}")

    async def _follow(self, call: Call, now: datetime) -> httpx.Response:
        """The first answer that is no redirect, if it is a success; raises what it amounts to if not."""
        for _ in range(self._limits.redirects + 1):
            response = await self._send(call)
            if response.status_code not in REDIRECTS or "location" not in response.headers:
                return await self._approved(call, response, now)
            await response.aclose()
            call = call.redirected(response)
        raise NeedsPerson(
            f"more than {self._limits.redirects} redirects, the last of them to {call.target}", reason="RedirectRefused"
        )

    async def _send(self, call: Call) -> httpx.Response:
        self._policy.check_url(call.url)
        request = self._client.build_request(call.method, call.url, headers=call.headers, content=call.content)

        async def send(request: httpx.Request) -> httpx.Response:
            await self.meter.before_call()
            self._witness.asked(call.method, str(call.url), call.headers, call.content or b"")
            return await self._client.send(request, stream=True)

        return await (self.digest.send(request, send) if self.digest else send(request))

    async def _approved(self, call: Call, response: httpx.Response, now: datetime) -> httpx.Response:
        if response.is_success or response.status_code == 304:
            return response
        body = await beginning(response, self.meter)
        self._witness.answered(response.status_code, response.headers, body)
        asked = retry_after(response.headers, now)
        if asked is None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            asked = limit_reset(response.headers, now)
        raise judge(call.target, response, body, asked, self._redactor)
