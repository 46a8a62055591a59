"""The benchmarks in a small form: that they still run and say what they should. Their figures are for `make bench`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.parse import vendors
from tests.bench.reads import QUESTIONS

LINE = re.compile(r"(\w+) ratio=-?[0-9.]+ goal=[0-9.]+ (ok|short)")
FIGURES = {
    *("first_peak_mib", "unchanged_peak_mib", "restated_peak_mib", "file_peak_mib"),
    *("first_ingest", "unchanged", "restated_1_percent", "restated_one_day", "focus_parquet"),
    *("unchanged_rows_written", "unchanged_dead_tuples", "unchanged_wal_beyond_bookkeeping", "restated_rows_written"),
    *("export_csv", "export_jsonl", "export_first_byte_ms", "export_memory_growth", "metrics_p95_ms"),
    *(f"{question}_{figure}" for question in QUESTIONS for figure in ("p95_ms", "tenfold")),
    *("alerts_judged_seconds", "alerts_judged"),
    *("aws_export", "aws_export_peak_mib", "aws_export_unchanged_seconds"),
}
HOLDS = {"unchanged_rows_written", "unchanged_dead_tuples", "unchanged_wal_beyond_bookkeeping", "restated_rows_written"}
"""Figures that count what is written; these do not depend on the machine."""


@pytest.mark.timeout(300)
def test_every_benchmark_runs(tmp_path: Path) -> None:
    """Each prints its line and is in the JSON file; what counts writes, not seconds, reaches its goal here, too."""
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.bench", "--small", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    found = {match[1]: match[2] for match in map(LINE.fullmatch, done.stdout.splitlines()) if match}
    parsed = {f"parse_{each.connector.traits.type}" for each in vendors()}
    [slowest] = [name for name in found if name.startswith("slowest_")]
    assert found.keys() - {slowest} == FIGURES | parsed
    assert slowest.removeprefix("slowest_") in parsed
    assert {name: found[name] for name in HOLDS} == dict.fromkeys(HOLDS, "ok")
    assert {figure["name"] for figure in json.loads(file.read_text())["figures"]} == found.keys()
