"""`costhook up` as a user runs it: a process of its own, over a folder and a state."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.integration.command.conftest import Call, Process
from tests.loopback import PLAIN

Start = Callable[..., Process]
NOWHERE = "127.0.0.1:0"


def server_runs(state: Path) -> bool:
    return (state / "postgres" / "postmaster.pid").exists()


def test_up_shows_the_table_serves_and_ends_cleanly(start: Start, manifests: Path, folder: Path) -> None:
    """`up` syncs, shows every provider and where GraphiQL is, answers there, and Ctrl-C ends it with exit code 0."""
    up = start("up", manifests, "--state", folder / "state", "--listen", NOWHERE)
    said = up.wait_for("GraphiQL")

    assert "files" in said
    assert "1,234.67" in said
    assert "Suspended" in said
    address = said.split("GraphiQL: ")[1].split()[0]
    base = f"http://{urllib.parse.urlsplit(address).netloc}"
    assert httpx.get(f"{base}/healthz", verify=PLAIN).status_code == 200
    assert httpx.get(f"{base}/readyz", verify=PLAIN).status_code == 200
    code, _, err = up.end()
    assert (code, err) == (0, "")
    assert not server_runs(folder / "state")


def test_up_reacts_to_edits(start: Start, manifests: Path, folder: Path) -> None:
    """A new bill, a broken file, and its repair each show by themselves while `up` runs."""
    up = start("up", manifests, "--state", folder / "state", "--listen", NOWHERE)
    up.wait_for("GraphiQL")

    (manifests / "manual.yaml").write_text((manifests / "manual.yaml").read_text().replace("45.00", "46.00"))
    up.wait_for("default/subscriptions: synced 1 window")
    good = (manifests / "files.yaml").read_text()
    (manifests / "files.yaml").write_text(f"{good}broken: [\n")
    up.wait_for("files.yaml:")
    (manifests / "files.yaml").write_text(good)
    up.wait_for("no problems any more")
    (manifests / "vendor.yaml").write_text((manifests / "vendor.yaml").read_text().replace("true", "false"))
    up.wait_for("default/vendor: SecretNotFound")

    assert up.end()[0] == 0


def test_commands_work_beside_up(start: Start, call: Call, manifests: Path, folder: Path) -> None:
    """While `up` runs, a second `up` on its state is refused, others read and steer it, and none of them stops it."""
    state = folder / "state"
    up = start("up", manifests, "--state", state, "--listen", NOWHERE)
    up.wait_for("GraphiQL")

    second = call("up", manifests, "--state", state, "--once")
    assert second.code == 1
    assert f"another `costhook up` (process {up.pid}, watching {manifests}) runs" in second.err

    (manifests / "bills" / "october.csv").write_text(
        (manifests / "bills" / "september.csv").read_text().replace("-09-", "-10-")
    )
    synced = call("sync", "files", "--state", state)
    assert (synced.code, synced.err) == (0, "")
    assert "default/files: synced" in synced.out
    up.wait_for("default/files: synced")

    (files,) = [row for row in call("providers", "--json", "--state", state).json() if row["name"] == "files"]
    assert files["figures"][0]["total"] == "2469.3357802"
    assert server_runs(state)
    assert up.end()[0] == 0


def test_a_killed_up_leaves_nothing_in_the_way(start: Start, call: Call, manifests: Path, folder: Path) -> None:
    """After kill -9 the server is still there, what was stored is too, and the next `up` starts as if nothing was."""
    state = folder / "state"
    up = start("up", manifests, "--state", state, "--listen", NOWHERE)
    up.wait_for("GraphiQL")
    up.end(signal.SIGKILL)
    assert server_runs(state)

    again = call("up", manifests, "--state", state, "--once", "--json")

    assert again.code == 0
    assert {row["name"]: row["ready"] for row in again.json()}["files"] == "True"
    assert not server_runs(state)


def test_up_outlives_its_database(start: Start, call: Call, manifests: Path, folder: Path) -> None:
    """When the server dies `up` says so and goes on once it is back, started here by another command."""
    state = folder / "state"
    up = start("up", manifests, "--state", state, "--listen", NOWHERE)
    up.wait_for("GraphiQL")
    os.kill(int((state / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    up.wait_for("trying again")

    assert call("providers", "--state", state).code == 0
    (manifests / "manual.yaml").write_text((manifests / "manual.yaml").read_text().replace("45.00", "46.00"))

    up.wait_for("default/subscriptions: synced 1 window")
    assert up.end()[0] == 0


def test_json_is_all_that_is_printed(start: Start, manifests: Path, folder: Path) -> None:
    """With --json standard output holds the table as JSON and nothing else; SIGTERM ends `up` cleanly."""
    up = start("up", manifests, "--state", folder / "state", "--listen", NOWHERE, "--json")
    table = json.loads(up.wait_for("]", whole=True))

    assert [row["name"] for row in table] == ["files", "subscriptions", "vendor"]
    code, out, err = up.end(signal.SIGTERM)
    assert (code, out) == (0, "")
    assert "GraphiQL" in err
    assert not server_runs(folder / "state")


def test_a_taken_address_is_told_before_anything_is_synced(call: Call, manifests: Path, folder: Path) -> None:
    """An address that cannot be listened on ends `up` at once, and says how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = call("up", manifests, "--state", folder / "state", "--listen", f"127.0.0.1:{port}")

    assert answer.code == 1
    assert "--listen" in answer.err
    assert answer.out == ""


def test_no_other_address_without_authentication(call: Call, manifests: Path, folder: Path) -> None:
    """An address that others reach is refused as long as nobody has to prove who they are."""
    answer = call("up", manifests, "--state", folder / "state", "--listen", "0.0.0.0:0")

    assert answer.code == 1
    assert "listening on 0.0.0.0 would let everyone" in answer.err


def test_the_state_knows_its_process(start: Start, manifests: Path, folder: Path) -> None:
    """The state remembers the folder, however it was named; closing the terminal ends `up` cleanly."""
    up = start("up", os.path.relpath(manifests), "--state", folder / "state", "--listen", NOWHERE)
    up.wait_for("GraphiQL")
    memory = json.loads((folder / "state" / "up.json").read_text())

    assert (memory["folder"], memory["process"]) == (str(manifests.resolve()), up.pid)
    assert up.end(signal.SIGHUP) == (0, "", "")
