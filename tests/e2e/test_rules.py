"""The chart's PrometheusRule: what Prometheus' own tools and the pages that it leads to say of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.e2e.controlplane import ASSETS
from tests.e2e.release import CHART

RUNBOOKS: Final = "https://example.com/runbooks.md"
PAGE: Final = CHART.parents[1] / "docs" / "runbooks.md"
TESTS: Final = Path(__file__).with_name("rules.test.yaml")
PROMTOOL: Final = pytest.mark.skipif(
    shutil.which("promtool") is None and "COSTHOOK_REQUIRE_PROGRAMS" not in os.environ,
    reason="promtool is missing: apt-get install prometheus",
)
pytestmark = pytest.mark.usefixtures("assets")


def rendered(**values: Any) -> dict[str, Any]:
    """The spec of the rule of a release `costhook` in the namespace `money`."""
    rule = {"enabled": True, "runbookURL": RUNBOOKS, **values}
    given = yaml.safe_dump({"database": {"existingSecret": "x"}, "monitoring": {"prometheusRule": rule}})
    helm = str(Path(os.environ[ASSETS]) / "helm")
    command = [
        helm,
        "template",
        "costhook",
        str(CHART),
        "-n",
        "money",
        "-s",
        "templates/prometheusrule.yaml",
        "-f",
        "-",
    ]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spec: dict[str, Any] = yaml.safe_load(done.stdout)["spec"]
    return spec


def rules(**values: Any) -> dict[str, dict[str, Any]]:
    """The rules by the names of their alerts."""
    [group] = rendered(**values)["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


@PROMTOOL
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """`promtool test rules` finds every alert firing when it should, and only then."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rendered()))
    shutil.copy(TESTS, tmp_path)

    done = subprocess.run(
        ["promtool", "test", "rules", TESTS.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_goes_untested() -> None:
    """Every alert of the chart is expected to fire in one of the tests."""
    tests = yaml.safe_load(TESTS.read_text())["tests"]
    fires = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}

    assert fires == set(rules())


def test_every_alert_has_a_runbook() -> None:
    """The page of runbooks has a section for each alert, under the name that its annotation leads to, and no others."""
    sections = {line[3:].strip() for line in PAGE.read_text().splitlines() if line.startswith("## ")}
    named = {rule["annotations"]["runbook_url"] for rule in rules().values()}

    assert sections == set(rules())
    assert named == {f"{RUNBOOKS}#{name.lower()}" for name in sections}
    assert not any("runbook_url" in rule["annotations"] for rule in rules(runbookURL="").values())


@pytest.mark.parametrize(
    ("value", "alert", "found"),
    [
        ("syncHours", "CosthookNoSuccessfulSync", "> 3600 * 7 "),
        ("staleHours", "CosthookCompleteThroughStale", "> 3600 * 7 "),
        ("callBudgetPercent", "CosthookCallBudgetNearlySpent", ">= 7 / 100"),
        ("deadLetters", "CosthookDeadLetters", "> 7"),
    ],
)
def test_thresholds_can_be_tuned(value: str, alert: str, found: str) -> None:
    """Each threshold is a value of the chart, which changes its own alert and no other."""
    before, after = rules(), rules(**{value: 7})

    assert found in after[alert]["expr"]
    assert {name for name in before if before[name] != after[name]} == {alert}


def test_alerts_can_be_left_out_and_labelled() -> None:
    """Alerts that are not wanted are not there, the others have the labels that route them, and wait as told."""
    made = rules(without=["CosthookWatchSilent"], alertLabels={"team": "platform"}, downMinutes=3)

    assert set(rules()) - set(made) == {"CosthookWatchSilent"}
    assert {rule["labels"]["team"] for rule in made.values()} == {"platform"}
    assert {rule["labels"]["severity"] for rule in made.values()} == {"info", "warning", "critical"}
    assert not any("source" in rule["labels"] for rule in made.values())  # which would route them to who pays
    assert [made[name]["for"] for name in ("CosthookReconcilerDown", "CosthookAPIDown")] == ["3m", "3m"]
