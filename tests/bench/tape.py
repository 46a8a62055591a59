"""What a vendor answered, recorded from its scripted server, and played again without a network."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import httpx

from reconciler.connectors.answer import Answer, Document, Taken, bounded, parse
from reconciler.connectors.call import Call
from reconciler.connectors.http import VendorClient
from reconciler.errors import ReconcilerError

PIECE: Final = 64 * 1024
ONCE: Final = re.compile(rb'"requestId": *"[^"]*"')
"""What is another each time the same is asked."""

Key = tuple[str, str, bytes]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One answer: its body and headers, or the fault that it was. `lines`: each line of it is a JSON value."""

    body: bytes
    headers: Mapping[str, str]
    lines: bool = False
    fault: ReconcilerError | None = None

    def loaded(self) -> None:
        """What the standard library takes to read it, numbers as Decimal."""
        for text in self.body.splitlines() if self.lines else (self.body,) if self.body else ():
            json.loads(text, parse_float=Decimal)


Tape = dict[Key, Recorded]


class Recorder(VendorClient):
    """Asks as any client does, and keeps on `tape` what is answered."""

    def __init__(self, tape: Tape, **options: Any) -> None:
        super().__init__(**options)
        self.tape = tape

    async def document(self, method: str, path: str, **asked: Any) -> Document:
        try:
            return await super().document(method, path, **asked)
        except ReconcilerError as error:
            self.tape[_key(_call(self, method, path, asked))] = Recorded(b"", {}, fault=error)
            raise

    async def post(self, url: str, content: bytes, headers: Mapping[str, str], **asked: Any) -> Taken:
        taken = await super().post(url, content, headers, **asked)
        self.tape["POST", url, content] = Recorded(taken.body, taken.headers)
        return taken

    async def _read(self, response: httpx.Response, limit: int) -> Document:
        body = b"".join([part async for part in bounded(response, limit, self.meter)])
        await response.aclose()
        request = response.request
        key = request.method, str(request.url), ONCE.sub(b"", request.content)
        self.tape[key] = Recorded(body, dict(response.headers))
        return _document(body, dict(response.headers))

    @asynccontextmanager
    async def stream(self, method: str, url: str, **asked: Any) -> AsyncIterator[Answer]:
        async with super().stream(method, url, **asked) as answer:
            body = b"".join([part async for part in answer.chunks()])
        held = Recorded(body, answer.headers, lines=True)
        self.tape[_key(_call(self, method, url, asked))] = held
        yield _answer(held)


class Player(VendorClient):
    """Answers from a tape, as fast as memory gives it."""

    def __init__(self, tape: Tape, **options: Any) -> None:
        super().__init__(**options)
        self.tape = tape

    async def document(self, method: str, path: str, **asked: Any) -> Document:
        held = self.tape[_key(_call(self, method, path, asked))]
        if held.fault is not None:
            raise held.fault
        return _document(held.body, held.headers)

    async def post(self, url: str, content: bytes, headers: Mapping[str, str], **asked: Any) -> Taken:
        held = self.tape.get(("POST", url, content)) or self._only(url)
        return Taken(200, held.headers, held.body)

    def _only(self, url: str) -> Recorded:
        """The one answer from an address: a request for a token is signed with its time, and never the same twice."""
        (held,) = (held for (method, address, _), held in self.tape.items() if (method, address) == ("POST", url))
        return held

    @asynccontextmanager
    async def stream(self, method: str, url: str, **asked: Any) -> AsyncIterator[Answer]:
        yield _answer(self.tape[_key(_call(self, method, url, asked))])


def _call(client: VendorClient, method: str, path: str, asked: Mapping[str, Any]) -> Call:
    return client._call(method, path, asked.get("params"), body=asked.get("body"))


def _key(call: Call) -> Key:
    return call.method, str(call.url), ONCE.sub(b"", call.content or b"")


def _document(body: bytes, headers: Mapping[str, str]) -> Document:
    return Document(parse(body) if body else None, headers)


def _answer(held: Recorded) -> Answer:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in _pieces(held.body):
            yield piece

    return Answer(httpx.Response(200, headers=dict(held.headers)), pieces())


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + PIECE] for at in range(0, len(body), PIECE))
