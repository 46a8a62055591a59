"""`costhook up --once`, and the commands that read what it left, with nothing else running."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.integration.command.conftest import MANUAL, SUSPENDED, Answer, Call, open_folder, write_manifests

SEPTEMBER = ("--from", "2024-09", "--to", "2024-10")


@pytest.fixture(scope="module")
def synced() -> Iterator[Path]:
    """A folder with a state that was filled once, for all tests that only read it."""
    with open_folder() as folder:
        manifests = write_manifests(folder)
        command = [sys.executable, "-m", "costhook", "up", str(manifests), "--once", "--state", str(folder / "state")]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "120"}
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "GraphiQL" not in done.stdout
        yield folder


@pytest.fixture
def read(call: Call, synced: Path) -> Call:
    """Runs a command on the state that was filled."""

    def run(*arguments: object) -> Answer:
        return call(*arguments, "--state", synced / "state")

    return run


def test_providers_show_their_figures(read: Call) -> None:
    """The table has every provider, how it stands, its days, its total, and where the figures are from."""
    answer = read("providers")

    assert answer.code == 0
    (files,) = [line.split() for line in answer.out.splitlines() if line.startswith("files")]
    assert files[:4] == ["files", "focus", "True", "Succeeded"]
    assert files[-6:] == ["2024-09-02", "1,234.67", "0.00", "0.00", "USD", "file"]


def test_providers_as_json_are_exact(read: Call) -> None:
    """JSON has amounts to the last digit, as text, one object for each currency."""
    rows = {row["name"]: row for row in read("providers", "--json").json()}

    assert rows["files"]["figures"] == [
        {
            "currency": "USD",
            "firstDay": "2024-09-01",
            "lastDay": "2024-09-02",
            "total": "1234.6678901",
            "monthToDate": "0",
            "last30Days": "0",
            "origins": ["file"],
            "charges": 2,
            "unpriced": 0,
        }
    ]
    assert rows["files"]["completeThrough"] == "2024-09-02"
    assert (rows["vendor"]["ready"], rows["vendor"]["reason"], rows["vendor"]["figures"]) == ("False", "Suspended", [])
    assert rows["subscriptions"]["figures"][0]["currency"] == "EUR"


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 200])
def test_no_amount_is_ever_cut(read: Call, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """However wide the terminal is, every amount is there in one piece, and no line is longer than it."""
    monkeypatch.setenv("COLUMNS", str(columns))

    out = read("providers").out

    assert "1,234.67" in out
    assert max(map(len, out.splitlines())) <= columns


def test_costs_by_dimension(read: Call) -> None:
    """Groups are shown largest first, with their share; the total comes last."""
    lines = read("costs", *SEPTEMBER, "--group-by", "provider,service").out.splitlines()

    assert [line.split()[:4] for line in lines[1:4]] == [
        ["files", "Compute", "1,234.57", "USD"],
        ["files", "Storage", "0.10", "USD"],
        ["(total)", "1,234.67", "USD", "100.0%"],
    ]


def test_costs_by_day(read: Call) -> None:
    """With a granularity there is a column for each bucket where that fits."""
    lines = read("costs", "--from", "2024-09-01", "--to", "2024-09-04", "--granularity", "day").out.splitlines()

    assert lines[0].split() == ["2024-09-01", "2024-09-02", "2024-09-03", "total"]
    assert lines[1].split() == ["(total)", "0.10", "1,234.57", "0.00", "1,234.67", "USD"]


def test_costs_as_json_are_exact(read: Call) -> None:
    """JSON has the question as it was understood, and amounts to the last digit."""
    report = read("costs", *SEPTEMBER, "--group-by", "service", "--json").json()

    assert (report["from"], report["to"], report["metric"]) == ("2024-09-01", "2024-10-01", "BILLED_COST")
    assert [(each["key"], each["total"]) for each in report["series"]] == [
        ([{"by": "service", "value": "Compute"}], "1234.5678901"),
        ([{"by": "service", "value": "Storage"}], "0.1"),
    ]


def test_currencies_are_never_added(read: Call) -> None:
    """Each currency has a total of its own."""
    report = read("costs", "--from", "2024-01", "--to", "2026-02", "--json").json()

    assert {total["currency"]: total["total"] for total in report["totals"]} == {"EUR": "45", "USD": "1234.6678901"}


def test_what_was_believed_before_the_first_sync(read: Call) -> None:
    """As of a time before anything was read there is nothing, and the report says so."""
    answer = read("costs", *SEPTEMBER, "--as-of", "2024-10-01T00:00Z")

    assert (answer.code, answer.out.splitlines()[0]) == (0, "No charges in this period.")


def test_restatements(read: Call) -> None:
    """Nothing was restated; what arrived is shown when asked for."""
    assert "No restatements" in read("restatements").out
    arrived = {row["provider"]: row["amountInserted"] for row in read("restatements", "--arriving", "--json").json()}
    assert arrived["files"] == "1234.6678901"
    assert read("restatements", "--arriving", "--provider", "files", *SEPTEMBER).out.count("files") == 1


def test_export_to_standard_output(read: Call) -> None:
    """CSV has FOCUS's column names and exact amounts."""
    answer = read("export", "charges", *SEPTEMBER)
    rows = list(csv.DictReader(io.StringIO(answer.out)))

    assert sorted(row["BilledCost"] for row in rows) == ["0.1", "1234.5678901"]
    assert {row["x_provider"] for row in rows} == {"files"}
    assert answer.err == ""


def test_export_to_files(read: Call, folder: Path) -> None:
    """A file is written whole, in each format, and what it holds is said beside it."""
    lines, parquet = folder / "costs.jsonl", folder / "charges.parquet"

    said = read("export", "costs", *SEPTEMBER, "--format", "jsonl", "-o", lines)
    assert (said.code, said.out) == (0, "")
    assert said.err == f"{lines}: 2 rows, 1,234.67 USD\n"
    assert sum(len(json.loads(line)) > 0 for line in lines.read_text().splitlines()) == 2
    read("export", "charges", *SEPTEMBER, "--format", "parquet", "-o", parquet)
    assert pyarrow.parquet.read_table(parquet).num_rows == 2
    assert sorted(path.name for path in folder.iterdir()) == ["charges.parquet", "costs.jsonl"]


def test_an_export_that_cannot_be_written_leaves_what_was_there(read: Call, folder: Path) -> None:
    """A folder that is not there is an error that names the file, and no half file is left anywhere."""
    answer = read("export", "charges", *SEPTEMBER, "-o", folder / "none" / "x.csv")

    assert answer.code == 1
    assert answer.err == f"costhook: {folder}/none/x.csv cannot be written: No such file or directory\n"


@pytest.mark.parametrize("command", [("providers", "--json"), ("export", "charges", *SEPTEMBER), ("providers",)])
def test_a_reader_that_has_had_enough_is_no_error(synced: Path, command: tuple[str, ...]) -> None:
    """When whoever reads the output goes away the command ends without a word."""
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "costhook", *command, "--state", synced / "state"],
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.stderr == ""


def test_sync_without_up_works_over_the_last_folder(call: Call, manifests: Path, folder: Path) -> None:
    """Where `up` does not run, `sync` does the work itself, over the folder that `up` watched, and only of the one."""
    state = folder / "state"
    call("up", manifests, "--once", "--state", state)
    (manifests / "manual.yaml").write_text(MANUAL.replace("45.00", "50.00"))

    answer = call("sync", "subscriptions", "--state", state)

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("default/subscriptions: synced 1 window")
    assert call("sync", "vendor", "--state", state).err == (
        "costhook: vendor is suspended; set spec.suspend to false in vendor.yaml:1\n"
    )
    assert "known: files, subscriptions, vendor" in call("sync", "nobody", "--state", state).err
    manifests.rename(folder / "elsewhere")
    gone = call("sync", "files", "--state", state)
    assert (gone.code, "manifests is gone" in gone.err) == (1, True)


def test_once_says_what_is_not_ready(call: Call, manifests: Path, folder: Path) -> None:
    """When something should be Ready and is not, or a file is broken, the exit code is 1 and the reason is told."""
    (manifests / "vendor.yaml").write_text(SUSPENDED.replace("suspend: true", "suspend: false"))
    (manifests / "broken.yaml").write_text("kind: [\n")

    answer = call("up", manifests, "--once", "--state", folder / "state")

    assert answer.code == 1
    assert "vendor: SecretNotFound: " in answer.out
    assert "(vendor.yaml:1)" in answer.out
    assert "broken.yaml:2" in answer.out
    assert "1,234.67" in answer.out


def test_a_provider_that_cannot_be_synced_says_why(call: Call, manifests: Path, folder: Path) -> None:
    """`sync` of a provider without its Secret is not left waiting: it says what is missing."""
    (manifests / "vendor.yaml").write_text(SUSPENDED.replace("suspend: true", "suspend: false"))
    call("up", manifests, "--once", "--state", folder / "state")

    answer = call("sync", "vendor", "--state", folder / "state")

    assert answer.code == 1
    assert answer.out.startswith("default/vendor was not synced: SecretNotFound: ")


def test_an_empty_folder(call: Call, folder: Path) -> None:
    """No manifests are no error."""
    (folder / "empty").mkdir()

    answer = call("up", folder / "empty", "--once", "--state", folder / "state")

    assert answer.code == 0
    assert "declare nothing yet" in answer.out
