"""`make bench`: every figure of docs/performance.md, measured here and now."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

from tests.bench import alerts, cloud, cluster, exports, files, ingest, memory, parse, reads, scrape
from tests.bench.figure import Figure, save
from tests.bench.ground import server

SMALL_ROWS: Final = 1_000
LINES_OF: Final = 100
"""Rows of a large bill for each line of a vendor's answer."""
CLOUDS: Final = 5
"""A cloud's bill has so many times the rows of a large bill."""


def main(arguments: Sequence[str] | None = None) -> list[Figure]:
    """Measure what the arguments ask for; prints a line for each figure as soon as it is known."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped, and its folder removed
    with server() as url, tempfile.TemporaryDirectory(prefix="costhook-bench-") as folder:
        found = asyncio.run(_measured(url, options, Path(folder)))
    save(options.json, found, {name: str(value) for name, value in vars(options).items()})
    return found


async def _measured(url: str, options: argparse.Namespace, folder: Path) -> list[Figure]:
    benches: dict[str, Callable[[], AsyncIterator[Figure]]] = {
        "memory": lambda: memory.figures(url, options.rows, folder),
        "ingest": lambda: ingest.figures(url, options.rows, options.rounds),
        "files": lambda: files.figures(url, options.rows, options.rounds, folder),
        "cloud": lambda: cloud.figures(url, options.rows * (1 if options.small else CLOUDS), folder),
        "parse": lambda: parse.figures(
            options.rows // LINES_OF, options.rounds, 0 if options.small else parse.AT_LEAST
        ),
        "exports": lambda: exports.figures(url, options.rows, options.rounds),
        "scrape": lambda: scrape.figures(url, options.providers, options.asked),
        "alerts": lambda: alerts.figures(url, options.rows, options.alerts, options.rounds),
        "reads": lambda: reads.figures(url, options.rows, options.asked),
    }
    if not options.small:  # a control plane and half a minute of quiet are nothing small
        benches["cluster"] = lambda: cluster.figures(url, options.providers)
    found = []
    for name, bench in benches.items():
        if not options.only or name in options.only:
            async for figure in bench():
                found.append(figure)
                sys.stdout.write(f"{figure.line}\n")
                sys.stdout.flush()
    return found


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description="Measure speed and memory.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="charges of a bill (1000000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured; medians count (3)")
    parser.add_argument("--asked", type=int, default=200, help="how often each question is put (200)")
    parser.add_argument("--providers", type=int, default=1_000, help="providers that are scraped (1000)")
    parser.add_argument("--alerts", type=int, default=1_000, help="alerts that one sync touches (1000)")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go (bench.json)")
    parser.add_argument("--small", action="store_true", help="few rows, once: does everything still run?")
    parser.add_argument("--only", nargs="*", default=(), help="names of benches to run")
    options = parser.parse_args(arguments)
    if options.small:
        options.rows, options.rounds, options.asked, options.providers = SMALL_ROWS, 1, 5, 10
        options.alerts = 20
    return options


if __name__ == "__main__":
    main()
