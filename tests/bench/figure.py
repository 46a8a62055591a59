"""What a benchmark finds out: figures with their goals, printed one a line and kept as JSON."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import cpu_count
from pathlib import Path
from time import perf_counter, process_time
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. `ratio` is to reach `goal`, or to stay below it where the goal is a limit (`at_most`)."""

    name: str
    ratio: float
    goal: float
    at_most: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_reached(self) -> bool:
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal

    @property
    def line(self) -> str:
        return f"{self.name} ratio={_short(self.ratio)} goal={_short(self.goal)} {'ok' if self.is_reached else 'short'}"


class Times:
    """Seconds that each of several things took, by name, as often as they were done.

    `cpu` is what they cost in processor time, this process's and that of the server that `server_cpu` tells: on a
    busy machine a better witness than the clock.
    """

    def __init__(self, server_cpu: Callable[[], float] = lambda: 0.0) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.cpu: dict[str, list[tuple[float, float]]] = {}
        self._server_cpu = server_cpu

    def clocked(self, name: str) -> Clocked:
        """A block whose seconds are noted under the name."""
        return Clocked(self._server_cpu, lambda seconds, cpu: self.note(name, seconds, cpu))

    def note(self, name: str, seconds: float, cpu: tuple[float, float]) -> None:
        """What something took by another's clock; `cpu` are processor seconds of client and server."""
        self.seconds.setdefault(name, []).append(seconds)
        self.cpu.setdefault(name, []).append(cpu)

    def join(self, name: str) -> None:
        """Count all that was noted under the name so far as one run, which was clocked part by part."""
        clients, servers = zip(*self.cpu[name], strict=True)
        self.seconds[name], self.cpu[name] = [sum(self.seconds[name])], [(sum(clients), sum(servers))]

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, baseline: str, name: str) -> float:
        """How many times as fast as the baseline it was."""
        return self.median(baseline) / self.median(name)

    def detail(self, *names: str) -> dict[str, Any]:
        """The single runs, for the JSON file."""
        return {
            name: {
                "seconds": [round(seconds, 4) for seconds in self.seconds[name]],
                "cpu of client and server": [[round(part, 3) for part in parts] for parts in self.cpu[name]],
            }
            for name in names
        }


class Clocked:
    """A block of code and how long it takes."""

    def __init__(self, server_cpu: Callable[[], float], note: Callable[[float, tuple[float, float]], None]) -> None:
        self._server_cpu, self._note = server_cpu, note

    def __enter__(self) -> None:
        self._begun = perf_counter(), process_time(), self._server_cpu()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            wall, client, server = self._begun
            took = perf_counter() - wall
            self._note(took, (process_time() - client, self._server_cpu() - server))


def percentile(values: Sequence[float], part: float) -> float:
    """The value that `part` (0 to 1) of the values stay at or below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def save(path: Path, figures: Iterable[Figure], options: Mapping[str, Any]) -> None:
    """All figures with their single runs, and what they were measured on."""
    machine = {"cores": cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    document = {
        "machine": machine,
        "options": options,
        "figures": [{**asdict(figure), "ok": figure.is_reached} for figure in figures],
    }
    path.write_text(json.dumps(document, indent=1, default=str) + "\n")


def _short(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
