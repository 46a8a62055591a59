"""Budgets, alerts and channels in a cluster: by the real kubectl, to a real Alertmanager."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.team import Team
from tests.e2e.waiting import until
from tests.integration.channels.alertmanager_process import NEEDED, PROGRAM
from tests.loopback import PLAIN

pytestmark = NEEDED

CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


class Alertmanager:
    """A real one, asked for what fires."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        (folder / "alertmanager.yml").write_text(CONFIG)
        flags = {
            "config.file": folder / "alertmanager.yml",
            "storage.path": folder / "data",
            "web.listen-address": f"127.0.0.1:{port}",
            "cluster.listen-address": "",
        }
        command = [PROGRAM, *(f"--{name}={value}" for name, value in flags.items())]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False, verify=PLAIN).is_success
        except httpx.HTTPError:
            return False

    def firing(self, namespace: str) -> list[dict[str, Any]]:
        """What fires now of a namespace."""
        found = httpx.get(f"{self.url}/api/v2/alerts", trust_env=False, verify=PLAIN).raise_for_status().json()
        return [each for each in found if each["labels"]["namespace"] == namespace]


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = Alertmanager(tmp_path_factory.mktemp("alertmanager"), port)
    until(running.ready)
    yield running
    running.process.terminate()
    running.process.wait()


def resource(team: Team, kind: str, name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": team.namespace}
    return {"apiVersion": "costhook.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def declare(team: Team, alertmanager: Alertmanager) -> None:
    """A budget of one dollar a month, three levels of it, and where to tell it."""
    levels = [{"percent": 70, "severity": "info"}, {"percent": 90}, {"percent": 100, "severity": "critical"}]
    team.plane.apply(resource(team, "Channel", "oncall", type="alertmanager", alertmanager={"url": alertmanager.url}))
    team.plane.apply(resource(team, "Budget", "ai", amount="1.00", currency="USD"))
    team.plane.apply(
        resource(
            team, "Alert", "over", budgetRef={"name": "ai"}, on="Spend", levels=levels, channels=[{"name": "oncall"}]
        )
    )


def test_a_breach_reaches_alertmanager(team: Team, alertmanager: Alertmanager) -> None:
    """Within five seconds of the sync that caused it, once, the gravest level, with the promised labels."""
    declare(team, alertmanager)
    team.give_key()
    team.apply_provider()
    team.wait_ready()
    synced = time.monotonic()
    until(lambda: alertmanager.firing(team.namespace))
    took = time.monotonic() - synced

    [fired] = alertmanager.firing(team.namespace)
    assert took <= 5
    assert (
        fired["labels"].items()
        >= {
            "alertname": "over",
            "namespace": team.namespace,
            "severity": "critical",
            "budget": "ai",
        }.items()
    )
    assert "spent" in fired["annotations"]["summary"]
    team.wait("jsonpath={.status.state}=Firing", "over", "alert")
    table = team.kubectl("get", "calert").splitlines()
    assert table[1].split()[:4] == ["over", "Spend", "ai", "Firing"]
    budget = json.loads(team.kubectl("get", "cbudget", "ai", "-o", "json"))["status"]
    assert float(budget["spent"]) >= 1.25
    assert "True" in team.kubectl("get", "cbudget")


def test_a_correction_ends_it(team: Team, alertmanager: Alertmanager) -> None:
    """When the vendor takes the cost back, Alertmanager hears that it is over; the Alert says that it was retracted."""
    declare(team, alertmanager)
    team.give_key()
    team.apply_provider()
    until(lambda: alertmanager.firing(team.namespace))

    team.books.amount = "0.01"
    team.sync_now()

    until(lambda: not alertmanager.firing(team.namespace))
    team.wait("jsonpath={.status.state}=Retracted", "over", "alert")


def test_the_bare_word_on_is_understood(team: Team, alertmanager: Alertmanager) -> None:
    """`on: Spend` without quotes works by kubectl, whose YAML takes the word for true."""
    declare(team, alertmanager)
    manifest = f"""
apiVersion: costhook.io/v1alpha1
kind: Alert
metadata: {{name: bare, namespace: {team.namespace}}}
spec:
  budgetRef: {{name: ai}}
  on: Spend
  levels: [{{percent: 90}}]
"""
    team.kubectl("apply", "-f", "-", text=manifest)

    team.wait("condition=Ready", "bare", "alert")


def test_a_test_message_by_annotation(team: Team, alertmanager: Alertmanager) -> None:
    """`kubectl annotate cchan oncall costhook.io/test-at=...` sends one, and the status says that it went out."""
    declare(team, alertmanager)
    team.wait("condition=Ready", "oncall", "channel")

    team.kubectl("annotate", "cchan", "oncall", "costhook.io/test-at=now")

    until(lambda: [each["labels"]["alertname"] for each in alertmanager.firing(team.namespace)] == ["test"])
    team.wait("jsonpath={.status.delivered}=1", "oncall", "channel")
