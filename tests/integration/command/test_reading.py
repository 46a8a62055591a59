"""Commands that need no running state, and the rarer questions: what is checked, listed, refused and pointed out."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.connectors.registry import connectors
from tests.integration.command.conftest import BILL, FOCUS, MANUAL, SUSPENDED, Call

SEPTEMBER = ("--from", "2024-09", "--to", "2024-10")


def test_check_is_content(call: Call, manifests: Path) -> None:
    """Good manifests are said to be good, and need no state."""
    answer = call("check", manifests)

    assert (answer.code, answer.out, answer.err) == (0, f"{manifests}: no problems\n", "")
    assert call("check", manifests, "--json").json() == []


def test_check_says_what_is_wrong_where(call: Call, manifests: Path) -> None:
    """Each problem is a line with file, line and field, and the exit code is 1."""
    (manifests / "manual.yaml").write_text(MANUAL.replace("currency: EUR", "curency: EUR"))
    (manifests / "vendor.yaml").write_text(SUSPENDED.replace("suspend: true", "suspend: false"))

    answer = call("check", manifests)

    assert answer.code == 1
    lines = answer.out.splitlines()
    assert any(line.startswith("manual.yaml:5 spec.curency: ") for line in lines)
    assert any(line.startswith("vendor.yaml:7 spec.secretRef: ") for line in lines)
    places = {problem["place"] for problem in call("check", manifests, "--json").json()}
    assert {"manual.yaml:5", "vendor.yaml:7"} <= places


def test_connectors_are_listed(call: Call) -> None:
    """Every installed connector is listed with what it gives and its guide."""
    answer = call("connectors")
    listed = {each["type"]: each for each in call("connectors", "--json").json()["connectors"]}

    assert answer.code == 0
    assert list(listed) == list(connectors())
    for type_, connector in connectors().items():
        assert connector.traits.guide in answer.out
        assert listed[type_]["gives"] == connector.traits.gives


def test_settings_tell_where_they_came_from(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value is shown with its source; what is no setting is pointed out; no password shows."""
    monkeypatch.setenv("COSTHOOK_WORKERS", "7")
    monkeypatch.setenv("COSTHOOK_WORKRES", "8")

    answer = call("settings", "--listen", "127.0.0.1:99", "--database-url", "postgresql://me:correct-horse@db/costs")
    shown = {
        line.split()[0]: line.split()[1:3] for line in answer.out.splitlines() if line and not line.startswith(" ")
    }

    assert shown["workers"] == ["7", "COSTHOOK_WORKERS"]
    assert shown["listen"] == ["127.0.0.1:99", "--listen"]
    assert shown["database-url"] == ["postgresql://me:********@db/costs", "--database-url"]
    assert "COSTHOOK_WORKRES is no setting; did you mean COSTHOOK_WORKERS?" in answer.out
    assert "correct-horse" not in answer.out
    listed = {each["name"]: each for each in call("settings", "--json").json()}
    assert (listed["workers"]["value"], listed["workers"]["origin"]) == ("7", "COSTHOOK_WORKERS")


def test_a_setting_that_makes_no_sense_is_wrong_usage(call: Call) -> None:
    """A flag that cannot be used ends with 2, like any other wrong usage."""
    answer = call("settings", "--listen", "nowhere")

    assert (answer.code, answer.err) == (
        2,
        "costhook: --listen: write HOST:PORT, such as 127.0.0.1:2678 or [::1]:2678\n",
    )


TAGGED = """\
BilledCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ServiceName,ProviderName,ChargeCategory,Tags
0.10,USD,2024-09-01T00:00:00Z,2024-09-02T00:00:00Z,Storage,Acme,Usage,"{""team"": ""web""}"
1234.5678901,USD,2024-09-02T00:00:00Z,2024-09-03T00:00:00Z,Compute,Acme,Usage,
"""
TWO = f"{FOCUS}---\n{FOCUS}".replace("{name: files}", "{name: files, labels: {kind: bill}}", 1).replace(
    "{name: files}", "{name: files, namespace: team-b}"
)


def test_the_rarer_questions(call: Call, manifests: Path, folder: Path) -> None:
    """Costs by tag and label, what `top` leaves out, providers of one name in two namespaces, and what is not whole."""
    state = ("--state", folder / "state")
    (manifests / "bills" / "september.csv").write_text(TAGGED)
    (manifests / "files.yaml").write_text(TWO)
    (manifests / "vendor.yaml").write_text(SUSPENDED.replace("suspend: true", "suspend: false"))
    synced = call("up", manifests, "--once", *state)
    assert synced.code == 1  # the vendor has no Secret
    assert "team-b/files" in synced.out

    report = call("costs", *SEPTEMBER, "--group-by", "tag:team", "--group-by", "label:kind", *state)
    assert [line.split()[:3] for line in report.out.splitlines()[:4]] == [
        ["tag:team", "label:kind", "amount"],
        ["-", "bill", "1,234.57"],
        ["-", "-", "1,234.57"],
        ["web", "bill", "0.10"],
    ]
    assert "Not whole yet on any day: vendor." in report.out

    one = call("costs", *SEPTEMBER, "--group-by", "service", "--granularity", "month", "--top", 1, *state).out
    assert [line.split()[0] for line in one.splitlines()[:4]] == ["service", "Compute", "(others)", "(total)"]
    assert one.splitlines()[0].split() == ["service", "2024-09", "total"]
    year = call("costs", "--from", "2024-01", "--to", "2026-01", "--granularity", "year", *state).out
    assert year.splitlines()[0].split() == ["2024", "2025", "total"]

    which = call("sync", "files", *state)
    assert (which.code, "say which with --namespace: default, team-b" in which.err) == (1, True)
    assert call("sync", "files", "--namespace", "team-b", *state).code == 0
    for wrong in (("--to", "2024-10"), ("--from", "2024-10", "--to", "2024-09")):
        assert call("sync", "files", *wrong, *state).code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["costs", "--group-by", "vendor"], "there is no dimension 'vendor'; group by namespace, provider, "),
        (["costs", "--group-by", "tag:"], "there is no dimension 'tag:'"),
        (["costs", "--from", "2024-10", "--to", "2024-09"], "the period ends before it has a day"),
        (["export", "charges", "--from", "2024-10", "--to", "2024-09"], "the period ends before it has a day"),
        (["costs", "--top", "0"], "top is between 1 and"),
    ],
)
def test_questions_that_make_no_sense(call: Call, url: str, arguments: list[str], said: str) -> None:
    """A question that cannot be answered is wrong usage, and the text says what to ask instead."""
    answer = call(*arguments, "--database-url", url)

    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_charges_without_a_price_are_pointed_out(call: Call, manifests: Path, folder: Path) -> None:
    """What has no known price is in no sum, and every table says so."""
    (manifests / "bills" / "september.csv").write_text(BILL.replace("0.10,USD", ",USD"))
    synced = call("up", manifests, "--once", "--state", folder / "state")

    assert "files: 1 charge has no known price and is in no sum" in synced.out
    assert "1 charge has no known price and is in no sum." in call("costs", *SEPTEMBER, "--state", folder / "state").out
