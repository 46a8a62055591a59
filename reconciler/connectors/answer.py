"""A vendor's answer: its body unpacked within bounds, and its JSON read without losing a digit."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

import httpx

from ledger.money import MAX_DIGITS
from reconciler.connectors.meter import Meter
from reconciler.errors import Bug, ReconcilerError

PIECE: Final = 64 * 1024
"""Most bytes unpacked at a time, so that a compressed bomb is noticed before it has unfolded."""
BEGINNING: Final = 64 * 1024
"""Most bytes read of an answer of which only the beginning matters: an error, or a word of thanks."""
LONGEST_NUMBER: Final = 400
"""Characters a number may have; amounts have two dozen."""


class Garbled(Bug):
    """The body is not what its headers say (cut short, perhaps): worth another try before it is called a bug."""


@dataclass(frozen=True, slots=True)
class Document:
    """A successful answer read whole: its JSON, as `parse` reads it, and its headers by their lower-case names."""

    content: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """What was said to something that was sent: of the body as much as was asked for. Names are lower-case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace").strip()

    def json(self) -> Any:
        """The body as `parse` reads it; None where it is no JSON."""
        try:
            return parse(self.body)
        except Bug:
            return None


class Answer:
    """A successful answer whose body is read piece by piece. `headers` has lower-case names.

    A body that travels compressed (`Content-Encoding: gzip`) is unpacked; a file that is itself a gzip file
    is handed out as it is. `status` is 304 when the conditions of the request's headers say "not modified".
    """

    def __init__(self, response: httpx.Response, parts: AsyncIterator[bytes]) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers)
        self._parts = parts

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, in order. Raises RetryLater when it breaks off, Bug when it is longer than allowed."""
        return self._parts


async def bounded(response: httpx.Response, limit: int, meter: Meter) -> AsyncIterator[bytes]:
    """The unpacked body in pieces, at most `limit` bytes in all: more raises Bug.

    Raises httpx.TransportError when the body breaks off.
    """
    total = 0
    unpack = _unpacker(response.headers.get("content-encoding", ""))
    async for raw in response.aiter_raw():
        meter.received(len(raw))
        for part in unpack(raw):
            total += len(part)
            if total > limit:
                raise Bug(f"the answer is longer than the {limit:,} bytes that are allowed")
            yield part
    for _ in unpack(b""):
        raise httpx.RemoteProtocolError("the compressed body breaks off")


async def beginning(response: httpx.Response, meter: Meter) -> bytes:
    """As much of the body as arrives well, up to BEGINNING: for answers whose status says enough. Closes it."""
    body = b""
    try:
        async for part in bounded(response, BEGINNING, meter):
            body += part
    except (httpx.HTTPError, Bug):
        return body
    finally:
        await response.aclose()
    return body


async def timed(
    parts: AsyncIterator[bytes], seconds: float, failed: Callable[[Exception], ReconcilerError]
) -> AsyncIterator[bytes]:
    """`parts`, given up after `seconds` of waiting for the network; faults become what `failed` makes of them."""
    clock = asyncio.get_running_loop().time
    left = seconds
    while True:
        began = clock()
        part: bytes | ReconcilerError | None
        try:
            async with asyncio.timeout(left):
                part = await anext(parts, None)
        except (httpx.TransportError, TimeoutError, ReconcilerError) as error:
            part = failed(error)
        if isinstance(part, ReconcilerError):
            raise part
        if part is None:
            return
        left -= clock() - began
        yield part


def parse(body: bytes) -> Any:
    """JSON with fractions as Decimal and whole numbers as int.

    Raises Garbled when it is not JSON, Bug for NaN, Infinity and numbers no bill contains.
    """
    try:
        return json.loads(body, parse_float=_fraction, parse_int=_whole, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"the answer is not JSON: {type(error).__name__} in {len(body):,} bytes") from None


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether the content type says JSON: `application/json`, `text/json` or any `+json`."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _fraction(text: str) -> Decimal:
    if len(text) > LONGEST_NUMBER:
        raise Bug(f"a number of {len(text):,} characters in the answer")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Bug(f"a number no one can bill in the answer: {text[:40]}") from None


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS and len(text.lstrip("-")) > MAX_DIGITS:
        raise Bug(f"a whole number of {len(text):,} digits in the answer")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise Bug(f"{text} in the answer, where a number was due")


def _unpacker(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return lambda raw: iter((raw,) if raw else ())
    if encoding in ("gzip", "x-gzip", "deflate"):
        return _Inflate()
    raise Bug(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")


class _Inflate:
    """Unpacks gzip and zlib a piece at a time. Called with nothing, at the end, it yields once if data is missing."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._started = False

    def __call__(self, raw: bytes) -> Iterator[bytes]:
        if not raw:
            yield from (b"",) if self._started and not self._inflate.eof else ()
        while raw:
            if self._inflate.eof:  # gzip allows several members, one after the other
                self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
            self._started = True
            yield from self._pieces(raw)
            raw = self._inflate.unused_data.lstrip(b"\0")  # and padding after the last

    def _pieces(self, raw: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = self._inflate.decompress(raw, PIECE)
            except zlib.error as error:
                raise httpx.RemoteProtocolError(f"the compressed body is damaged ({error})") from None
            raw = self._inflate.unconsumed_tail
            if piece:
                yield piece
            if self._inflate.eof or (not raw and len(piece) < PIECE):
                return
