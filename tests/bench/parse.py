"""From a vendor's answer to charges: the rate of each connector, compared with reading the same bytes as JSON.

The answers are those of the connector's own scripted vendor, recorded once. A round takes everything that a sync does
between the wire and the ledger: reading JSON, checking it, making charges.
"""

from __future__ import annotations

import gc
import pkgutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from inspect import isclass
from pathlib import Path
from typing import Any, Final

from ledger.window import DAY, Span
from reconciler.connectors.base import Connector, Context, Credentials
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient
from reconciler.connectors.scripted import ScriptedServer
from reconciler.errors import ReconcilerError
from reconciler.kinds.provider import built_in
from tests.bench.figure import Figure, Times
from tests.bench.tape import Player, Recorder, Tape

GOAL: Final = 0.3
LINES: Final = 2_000
"""Lines of a vendor's books, at most."""
PER_PAGE: Final = 1_000
SHARES: Final = (1, 10, 100)
"""Parts of the lines that are tried: a vendor that has them on a page each refuses so many requests."""
AT_LEAST: Final = 500_000
MOST: Final = 20
"""Bytes that are read in one clocked block: short answers are read several times, if not too often."""
TESTS: Final = Path(__file__).parents[1] / "integration" / "connectors"
"""Where the connectors' tests, and in them the scripted vendors, are."""


@dataclass(frozen=True)
class Subject:
    """A connector, and the tape of what its vendor answers to a sync of ten days."""

    hooks: ConnectorConformance
    tape: Tape
    base_url: str

    @property
    def name(self) -> str:
        return self.hooks.connector.traits.type

    def options(self) -> Mapping[str, Any]:
        return _options(self.hooks, self.base_url)

    def load(self) -> None:
        """Read all answers as JSON, and no more."""
        for held in self.tape.values():
            held.loaded()

    async def read(self, http: VendorClient) -> int:
        """Read all answers as charges; how many there are."""
        return await _read(self.hooks, self.base_url, http)


async def figures(rows: int, rounds: int, at_least: int = AT_LEAST) -> AsyncIterator[Figure]:
    """A figure for each connector that asks a server, and one more for the slowest of them, which it names.

    `at_least`: bytes that are read in one clocked block.

    Files have figures of their own, and type manual reads nothing.
    """
    found: list[Figure] = []
    for hooks in vendors():
        figure = await _measured(await recorded(hooks, min(rows, LINES)), rounds, at_least)
        found.append(figure)
        yield figure
    slowest = min(found, key=lambda figure: figure.ratio)
    yield Figure(name=f"slowest_{slowest.name}", ratio=slowest.ratio, goal=GOAL)


def vendors() -> Iterator[ConnectorConformance]:
    """What plays the vendor of each built-in connector in its tests: the first in each module of tests."""
    for module in sorted(each.name for each in pkgutil.iter_modules([str(TESTS)]) if each.name.startswith("test_")):
        loaded = import_module(f"tests.integration.connectors.{module}")
        found = [each for each in vars(loaded).values() if _plays(each, loaded.__name__)]
        if found:
            yield found[0]()


async def recorded(hooks: ConnectorConformance, count: int) -> Subject:
    """The tape of a sync of `count` lines, read from the vendor's scripted server."""
    hooks.per_page = PER_PAGE
    refused: ReconcilerError | None = None
    for share in SHARES:
        try:
            return await _recorded(hooks, list(_lines(hooks, max(1, count // share))))
        except ReconcilerError as error:
            refused = error
    raise AssertionError(f"{hooks.connector.traits.type} cannot be recorded") from refused


async def _recorded(hooks: ConnectorConformance, lines: Sequence[Line]) -> Subject:
    tape: Tape = {}
    async with ScriptedServer() as server:
        hooks.vendor(server, lines)
        async with Recorder(tape, **_options(hooks, server.url)) as http:
            await _read(hooks, server.url, http)
        return Subject(hooks, tape, server.url)


async def _measured(subject: Subject, rounds: int, at_least: int) -> Figure:
    times, charges = Times(), 0
    size = sum(len(held.body) for held in subject.tape.values())
    again = range(min(MOST, 1 + at_least // max(1, size)))
    async with Player(subject.tape, **subject.options()) as http:
        await subject.read(http)
        gc.collect()
        gc.freeze()
        try:
            for _ in range(rounds):
                with times.clocked("json"):
                    for _ in again:
                        subject.load()
                with times.clocked("parsed"):
                    for _ in again:
                        charges = await subject.read(http)
        finally:
            gc.unfreeze()
    rate = round(charges * len(again) / times.median("parsed"))
    detail = {"bytes": size, "charges": charges, "charges a second": rate, **times.detail("json", "parsed")}
    return Figure(name=f"parse_{subject.name}", ratio=times.ratio("json", "parsed"), goal=GOAL, detail=detail)


async def _read(hooks: ConnectorConformance, base_url: str, http: VendorClient) -> int:
    period = Span.of_days(hooks.first_day, hooks.first_day + 10 * DAY)
    context = Context(http, Credentials(hooks.credentials), hooks.now)
    connector: Connector[Any] = hooks.connector(hooks.settings(base_url), context)
    windows = await connector.windows([period], Span(period.start, hooks.now))
    return sum([len(batch) for window in windows async for batch in connector.charges(window)])


def _options(hooks: ConnectorConformance, base_url: str) -> Mapping[str, Any]:
    settings = hooks.settings(base_url)
    return {
        "base_url": getattr(settings, "base_url", None),
        "policy": EgressPolicy(allow_loopback=True),
        "meter": Meter(clock=lambda: hooks.now),
        "redact": tuple(hooks.credentials.values()),
        "clock": lambda: hooks.now,
    }


def _lines(hooks: ConnectorConformance, count: int) -> Iterator[Line]:
    """Lines over the ten days of the suite, in its own words."""
    for number in range(count):
        item, project = ("alpha", "beta", "gamma")[number % 3], ("one", "two")[number % 2]
        yield hooks.a_line(number * 10 // count, 1_000 + 7 * number, item, project)


def _plays(found: object, module: str) -> bool:
    """Whether it is a vendor that the module's tests play, for a connector that is part of Costhook."""
    return (
        isclass(found)
        and issubclass(found, ConnectorConformance)
        and found.__module__ == module
        and found.__name__.startswith("Test")
        and found.connector.traits.type in built_in()
    )
