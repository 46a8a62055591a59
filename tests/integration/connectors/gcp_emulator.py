"""bqemulator, an emulator of BigQuery, as a program of its own on this machine (`make emulators` installs it)."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.integration.connectors.gcp_exports import Row

ROOT: Final = Path(__file__).parents[3] / ".venv" / "bigquery"
PROGRAM: Final = ROOT / "bin" / "bqemulator"
PROJECT: Final = "acme-billing"
DATASET: Final = "billing"

needed: Final = pytest.mark.skipif(
    not PROGRAM.exists() and "COSTHOOK_REQUIRE_PROGRAMS" not in os.environ,
    reason="the emulator of BigQuery is missing: make emulators",
)


@contextmanager
def running() -> Iterator[str]:
    """The emulator's address, without a slash at its end; it stops at the end of the `with`."""
    # It looks for an extension of its database below the home folder, where the installation has put it.
    environ = {**os.environ, "HOME": str(ROOT / "home"), "NO_PROXY": "*"}
    command = [str(PROGRAM), "start", "--rest-port", "0", "--grpc-port", "0", "--log-format", "json"]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as server:
        try:
            assert server.stdout is not None
            said = []
            for told in server.stdout:
                said.append(told)
                if found := re.search(r'"port": (\d+), "event": "rest.listen"', told):
                    break
            else:
                raise RuntimeError(f"the emulator of BigQuery does not start: {''.join(said)}")
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            server.kill()


class Warehouse:
    """Tables in the emulator, filled as Google fills them: rows are added, and never changed."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/bigquery/v2/projects/{PROJECT}", trust_env=False, timeout=30)
        self._made = 0
        where = {"projectId": PROJECT, "datasetId": DATASET}
        self._ask("/datasets", {"datasetReference": where, "location": "EU"})

    def close(self) -> None:
        self._http.close()

    def make(self, columns: Sequence[dict[str, Any]]) -> str:
        """A new table, partitioned by the day of loading as those of exports; its name."""
        self._made += 1
        name = f"export_{self._made}"
        where = {"projectId": PROJECT, "datasetId": DATASET, "tableId": name}
        shape = {"schema": {"fields": list(columns)}, "timePartitioning": {"type": "DAY"}}
        self._ask(f"/datasets/{DATASET}/tables", {"tableReference": where, **shape})
        return f"{PROJECT}.{DATASET}.{name}"

    def add(self, table: str, *rows: Row) -> None:
        told = {"rows": [{"json": dict(row)} for row in rows]}
        answer = self._ask(f"/datasets/{DATASET}/tables/{table.rpartition('.')[2]}/insertAll", told)
        assert answer["insertErrors"] == []

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.post(path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found
