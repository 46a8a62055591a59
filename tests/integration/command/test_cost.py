"""`costhook cost`: figures entered, edited, taken back and listed by command, and counted by the next sync."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command.conftest import MANUAL, Answer, Call, open_folder

GROQ = """\
apiVersion: costhook.io/v1alpha1
kind: Provider
metadata: {name: groq}
spec:
  type: manual
  manual: {vendor: groq}
"""


@pytest.fixture(scope="module")
def synced() -> Iterator[Path]:
    """A state in which a Provider that takes entries is known."""
    with open_folder() as folder:
        manifests = folder / "manifests"
        manifests.mkdir()
        (manifests / "groq.yaml").write_text(GROQ)
        (manifests / "subs.yaml").write_text(MANUAL)
        command = [sys.executable, "-m", "costhook", "up", str(manifests), "--once", "--state", str(folder / "state")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "AwaitingEntry" in done.stdout
        yield folder


@pytest.fixture
def cost(call: Call, synced: Path) -> Call:
    def run(*arguments: object) -> Answer:
        return call("cost", *arguments, "--state", synced / "state")

    return run


def test_a_figure_is_entered_edited_and_deleted(cost: Call, call: Call, synced: Path) -> None:
    """Each command says what became of it; the list has who and when; a sync counts what is there."""
    added = cost("add", "groq", "--month", "2026-10", "--amount", "12.340000000000000000001", "--note", "no. 7")
    assert (added.code, added.err) == (0, "")
    assert added.out.startswith("groq 2026-10: 12.340000000000000000001 USD is entered; it counts once")

    again = cost("add", "groq", "--month", "2026-10", "--amount", "1")
    assert again.code == 2
    assert "entered already: 12.340000000000000000001 USD" in again.err

    assert cost("add", "groq", "--month", "2026-10", "--amount", "2", "--service", "Batch").code == 0
    edited = cost("edit", "groq", "--month", "2026-10", "--currency", "eur", "--note", "")
    assert "12.340000000000000000001 EUR is changed" in edited.out

    listed = {row["service"]: row for row in cost("list", "groq", "--json").json()}
    assert listed[None]["amount"] == "12.340000000000000000001"
    assert (listed[None]["currency"], listed[None]["note"]) == ("EUR", None)
    assert listed[None]["changedBy"] == listed["Batch"]["enteredBy"]
    assert "Batch" in cost("list").out

    assert call("sync", "groq", "--state", synced / "state").code == 0
    [figures] = [
        row["figures"]
        for row in call("providers", "--json", "--state", synced / "state").json()
        if row["name"] == "groq"
    ]
    assert {each["currency"]: each["total"] for each in figures} == {"EUR": "12.340000000000000000001", "USD": "2"}

    for service in ((), ("--service", "Batch")):
        assert "is deleted" in cost("delete", "groq", "--month", "2026-10", *service).out
    assert "Nothing is entered" in cost("list").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("add", "nobody", "--month", "2026-10", "--amount", "1"), 1, "no Provider nobody of type manual"),
        (("add", "subscriptions", "--month", "2026-10", "--amount", "1"), 1, "known: default/groq"),
        (("add", "groq", "--month", "2026-10", "--amount", "1", "--namespace", "x"), 1, "in namespace x"),
        (("add", "groq", "--month", "2026-10", "--amount", "1,50"), 2, "write digits with a point"),
        (("add", "groq", "--month", "2026-10", "--amount", "1", "--currency", "dollars"), 2, "three letters"),
        (("add", "groq", "--month", "2999-01", "--amount", "1"), 2, "has not begun"),
        (("add", "groq", "--month", "October", "--amount", "1"), 2, "write a month as 2026-10"),
        (("edit", "groq", "--month", "2026-10"), 2, "say what to change"),
        (("edit", "groq", "--month", "2020-01", "--amount", "1"), 1, "nothing is entered for groq 2020-01"),
        (("delete", "groq", "--month", "2020-01"), 1, "nothing is entered for groq 2020-01"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...], code: int, words: str, cost: Call) -> None:
    """What cannot be entered is told in a line, and nothing changes."""
    answer = cost(*arguments)

    assert answer.code == code
    assert words in " ".join(answer.err.replace("│", " ").split())
