"""Budgets, alerts and channels from the command line: judged and told by `up --once`, shown, and tested by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command.conftest import Call, Process

MANIFESTS = """\
apiVersion: costhook.io/v1alpha1
kind: Provider
metadata: {name: files}
spec:
  type: focus
  history: 3650d
  focus: {files: ["bills/*.csv"]}
---
apiVersion: costhook.io/v1alpha1
kind: Budget
metadata: {name: ai}
spec: {amount: "100.00", currency: USD, period: Yearly}
---
apiVersion: costhook.io/v1alpha1
kind: Alert
metadata: {name: over}
spec:
  budgetRef: {name: ai}
  on: Spend
  levels: [{percent: 50, severity: info}, {percent: 90}, {percent: 100, severity: critical}]
  channels: [{name: hook}]
---
apiVersion: costhook.io/v1alpha1
kind: Channel
metadata: {name: hook}
spec: {type: webhook, secretRef: {name: hook}}
"""
HEAD = "BilledCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ServiceName,ProviderName,ChargeCategory\n"


class Hook(ThreadingHTTPServer):
    """A team's webhook, and what it was told; with a fault it takes nothing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Take)
        self.told: list[dict[str, Any]] = []
        self.fault = 0

    def said(self) -> list[tuple[str, str]]:
        return [(message["what"], message["level"]) for message in self.told]


class Take(BaseHTTPRequestHandler):
    """Takes one message."""

    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.server.fault:
            self.server.told.append(json.loads(body))
        self.send_response(self.server.fault or 204)
        self.end_headers()

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002  # the name of the library
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def alerting(folder: Path, hook: Hook) -> Path:
    """A folder whose budget of 100 USD a year is nearly spent today, and whose alert is told to the webhook."""
    manifests = folder / "manifests"
    (manifests / "bills").mkdir(parents=True)
    (manifests / "secrets" / "hook").mkdir(parents=True)
    (manifests / "all.yaml").write_text(MANIFESTS)
    (manifests / "secrets" / "hook" / "url").write_text(f"http://127.0.0.1:{hook.server_port}/hook")
    today = datetime.now(UTC).date()
    row = f"95.50,USD,{today}T00:00:00Z,{today + timedelta(days=1)}T00:00:00Z,Compute,Acme,Usage\n"
    (manifests / "bills" / "now.csv").write_text(HEAD + row)
    return manifests


@pytest.fixture
def local(call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs the command, which may tell webhooks of this machine."""
    monkeypatch.setenv("COSTHOOK_ALLOW_LOOPBACK", "true")
    return call


def test_once_judges_and_tells(
    local: Call, alerting: Path, folder: Path, url: str, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up --once` has told the gravest level before it ends, once however often it runs; the tables show it."""
    state = ("--state", folder / "state", "--database-url", url)
    for _ in range(2):
        done = local("up", alerting, "--once", *state)
        assert (done.code, done.err) == (0, "")
        assert hook.said() == [("firing", "90%")]

    [budget] = local("budgets", "--json", *state).json()
    assert (budget["name"], budget["amount"], budget["standing"]["spent"]) == ("ai", "100", "95.5")
    assert budget["standing"]["remaining"] == "4.5"
    cells = next(line.split() for line in local("budgets", *state).out.splitlines() if line.startswith("ai"))
    assert cells[2:6] == ["100.00", "95.50", "95.5%", "4.50"]

    [alert] = local("alerts", "--json", *state).json()
    assert (alert["name"], alert["state"], [level["level"] for level in alert["levels"]]) == (
        "over",
        "Firing",
        ["90%", "50%", "100%"],
    )
    assert alert["levels"][0]["figures"]["amount"] == "95.5"
    lines = [line.split() for line in local("alerts", *state).out.splitlines() if line.startswith("default/over")]
    assert [line[1:4] for line in lines] == [["90%", "warning", "Firing"], ["50%", "info", "Firing"]]
    assert {"95.50", "USD"} <= set(lines[0])
    assert local("alerts", "--firing", *state).code == 1
    nobody = local("alerts", "--firing", "--namespace", "other", *state)
    assert (nobody.code, "No alerts" in nobody.out) == (0, True)

    for columns in (60, 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        for command in ("budgets", "alerts"):
            out = local(command, *state).out
            assert "95.50" in out
            assert max(map(len, out.splitlines())) <= columns


def test_a_channel_is_tested_without_up(local: Call, alerting: Path, folder: Path, hook: Hook) -> None:
    """Where `up` does not run the command sends the message itself, and says what the receiver answered."""
    state = ("--state", folder / "state")
    assert local("up", alerting, "--once", *state).code == 0

    sent = local("channel", "test", "hook", *state)
    assert (sent.code, sent.err) == (0, "")
    assert sent.out.startswith("default/hook: the test message was delivered")
    assert hook.said()[-1] == ("test", "test")

    hook.fault = 503
    failed = local("channel", "test", "hook", "--namespace", "default", *state)
    assert failed.code == 1
    assert "not delivered" in failed.out
    assert "503" in failed.out
    unknown = local("channel", "test", "nobody", *state)
    assert (unknown.code, unknown.err) == (1, "costhook: there is no channel nobody; known: hook\n")


def test_a_channel_is_tested_where_up_runs(
    local: Call, start: Any, alerting: Path, folder: Path, url: str, hook: Hook
) -> None:
    """Where `up` runs it sends the message, at once, and the command waits for the receipt."""
    state = ("--state", folder / "state", "--database-url", url)
    process: Process = start("up", alerting, *state, "--listen", "127.0.0.1:0", COSTHOOK_ALLOW_LOOPBACK="true")
    process.wait_for("GraphiQL")

    sent = local("channel", "test", "hook", *state)
    assert sent.code == 0, sent.out
    assert ("test", "test") in hook.said()
    assert process.end()[0] == 0


def test_what_is_not_judged_is_named(local: Call, alerting: Path, folder: Path, url: str) -> None:
    """An alert whose budget is missing makes `up --once` fail, which says why; the tables do as well."""
    text = MANIFESTS.replace("budgetRef: {name: ai}", "budgetRef: {name: none}")
    (alerting / "all.yaml").write_text(text.replace("currency: USD", "currency: EUR"))
    state = ("--state", folder / "state", "--database-url", url)
    once = local("up", alerting, "--once", *state)

    assert once.code == 1
    assert "Alert default/over: BudgetNotFound: there is no Budget none" in once.out
    assert "(all.yaml:" in once.out
    assert "default/over: BudgetNotFound: there is no Budget none" in local("alerts", *state).out
    assert "95.5 USD of the scope are not in EUR" in local("budgets", *state).out
