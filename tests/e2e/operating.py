"""The reconciler as a process over a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.e2e.process import Process, until_ready
from tests.e2e.waiting import until

SETTINGS: Final = {
    "COSTHOOK_ALLOW_LOOPBACK": "true",
    "COSTHOOK_LOG_LEVEL": "info",
    "COSTHOOK_LOG_FORMAT": "json",
    "COSTHOOK_WORKERS": "8",
}


@contextmanager
def operating(
    kubeconfig: Path,
    database_url: str,
    log: Path,
    *,
    more: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """`costhook operate`, ready, while the block runs; it must end cleanly unless it was killed."""
    arguments = ("operate", "--kubeconfig", str(kubeconfig), "--probes", "127.0.0.1:0", *more)
    environment = {**SETTINGS, "COSTHOOK_DATABASE_URL": database_url, **(settings or {})}
    with Process(*arguments, log=log, environment=environment) as process:
        until_ready(probes(process), process)
        yield process


def probes(process: Process) -> str:
    """The base URL of its probes."""
    found: list[str] = []

    def told() -> bool:
        lines = [json.loads(line) for line in process.said().splitlines() if line.startswith("{")]
        found.extend(line["probes"] for line in lines if line.get("event") == "reconciling")
        return bool(found)

    until(told, lambda: f"it does not say where it answers probes: {process.said()}")
    return found[-1]
