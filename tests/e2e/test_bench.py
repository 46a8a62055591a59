"""The benchmark of the reconciler in a small form: that it still runs. Its figures are for `make bench`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

LINE = re.compile(r"(\w+) ratio=([0-9.]+) goal=[0-9.]+ (ok|short)")
FIGURES = {
    "providers_ready",
    "idle_cpu_percent",
    "idle_calls_a_minute",
    "apply_to_graphql_seconds",
    "sync_to_alert_seconds",
    "reconciler_megabytes",
}
HOLDS = {"idle_calls_a_minute", "reconciler_megabytes"}
"""Figures that do not depend on how busy the machine is."""


@pytest.mark.timeout(300)
def test_every_figure_of_the_reconciler_is_measured(assets: None) -> None:
    """With five Providers and two quiet seconds, each prints its line; what counts calls and bytes reaches its goal."""
    command = [sys.executable, "-m", "tests.bench.cluster", "5", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    found = {match[1]: match[3] for match in map(LINE.fullmatch, done.stdout.splitlines()) if match}
    assert found.keys() == FIGURES
    assert {found[name] for name in HOLDS} == {"ok"}
