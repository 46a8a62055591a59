"""A real Prometheus that scrapes Costhook's processes, as the chart's ServiceMonitors would have it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from tests.e2e.waiting import until
from tests.loopback import PLAIN

PROGRAM: Final = "prometheus"
NAMESPACE: Final = "money"
"""Where the release is, by the labels of its pods."""
NEEDED: Final = pytest.mark.skipif(
    shutil.which(PROGRAM) is None and "COSTHOOK_REQUIRE_PROGRAMS" not in os.environ,
    reason="Prometheus is missing: apt-get install prometheus",
)


@dataclass(frozen=True)
class Prometheus:
    """Use `scraping` to have one."""

    url: str

    def ask(self, path: str, **parameters: Any) -> Any:
        """The data of an answer of its API."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, trust_env=False, timeout=20, verify=PLAIN)
        body = answer.json()
        assert body["status"] == "success", f"{parameters}: {body}"
        return body["data"]

    def ready(self) -> bool:
        """Whether it answers, and every target has been scraped."""
        try:
            if not httpx.get(f"{self.url}/-/ready", trust_env=False, verify=PLAIN).is_success:
                return False
            found = self.ask("targets")["activeTargets"]
        except httpx.HTTPError:
            return False
        return bool(found) and {target["health"] for target in found} == {"up"}


@contextmanager
def scraping(folder: Path, api: str, token: str, reconciler: str, rules: Mapping[str, Any]) -> Iterator[Prometheus]:
    """A Prometheus with these rules that scrapes both processes every second, each with the labels of its pod."""
    folder.mkdir()
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_config(api, token, reconciler)))
    address = f"127.0.0.1:{_free_port()}"
    flags = {"config.file": folder / "prometheus.yml", "storage.tsdb.path": folder / "data"}
    command = [PROGRAM, *(f"--{name}={value}" for name, value in flags.items()), f"--web.listen-address={address}"]
    log = folder / "log"
    with log.open("ab") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            running = Prometheus(f"http://{address}")
            until(running.ready, log.read_text)
            yield running
        finally:
            process.terminate()


def _config(api: str, token: str, reconciler: str) -> dict[str, Any]:
    authorization = {"authorization": {"credentials": token}, "honor_labels": True}
    jobs = [_job("api", api) | authorization, _job("reconciler", reconciler)]
    often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return {"global": often, "rule_files": ["rules.yml"], "scrape_configs": jobs}


def _job(component: str, url: str) -> dict[str, Any]:
    name = f"costhook-{component}"
    labels = {"namespace": NAMESPACE, "service": name, "pod": f"{name}-0", "container": component}
    return {
        "job_name": name,
        "static_configs": [{"targets": [url.removeprefix("http://")], "labels": labels}],
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
