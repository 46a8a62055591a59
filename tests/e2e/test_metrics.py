"""What the reconciler's own process tells Prometheus."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from reconciler.kinds.catalogue import kinds
from tests.e2e.operating import probes
from tests.e2e.process import Process
from tests.e2e.team import KEY, Team
from tests.loopback import PLAIN

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(process: Process) -> Samples:
    answer = httpx.get(f"{probes(process)}/metrics", verify=PLAIN)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert KEY not in answer.text
    families = text_string_to_metric_families(answer.text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"costhook_{name}", frozenset(labels.items())]


def test_the_reconcilers_own_figures_are_true(team: Team, reconciler: Process) -> None:
    """Queue, looks by kind and outcome, watches and calls to the API server are told, and grow as they should."""
    before = scrape(reconciler)
    team.give_key()
    team.apply_provider()
    team.wait_ready()
    after = scrape(reconciler)

    looks = {"kind": "Provider", "outcome": "Ready"}
    assert value(after, "reconciles_total", **looks) > value(before, "reconciles_total", **looks)
    assert value(after, "reconcile_duration_seconds_count", kind="Provider") >= 1
    patches = {"method": "PATCH", "status": "200"}
    assert value(after, "kubernetes_requests_total", **patches) >= 1
    assert value(after, "queue_scheduled") >= 1
    assert value(after, "reconciles_in_flight") <= 8
    assert {dict(labels)["kind"] for name, labels in after if "watch_begun" in name} == set(kinds())


def test_the_number_of_series_is_bounded(team: Team, reconciler: Process) -> None:
    """No series is about one resource or one team: with more of them there are as many series as before."""
    team.give_key()
    team.apply_provider()
    team.wait_ready()
    before = scrape(reconciler)
    names = [f"account-{number}" for number in range(10)]
    team.plane.apply(*(team.provider(name) for name in names))
    for name in names:
        team.wait_ready(name)
    after = scrape(reconciler)

    assert after.keys() - before.keys() <= {key for key in after if key[0] == "costhook_kubernetes_requests_total"}
    assert team.namespace not in str(after)
