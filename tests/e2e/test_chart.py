"""The chart on a real API server: installed, its pods admitted, its rights enough and no more, and gone again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.controlplane import ControlPlane
from tests.e2e.process import Process
from tests.e2e.release import CHART, Release
from tests.e2e.team import Ledger, Team
from tests.e2e.vendor import Vendor
from tests.e2e.waiting import until


def test_pods_pass_the_restricted_standard(release: Release) -> None:
    """The controller manager can make the pods of both Deployments in a namespace that enforces `restricted`."""

    def made() -> set[str]:
        pods = release.plane.get("pods", "-n", release.namespace)["items"]
        return {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods}

    until(lambda: made() == {"reconciler", "api"}, lambda: release.plane.kubectl("get", "events", "-A"))


def test_the_chart_has_no_fault_that_helm_knows(release: Release) -> None:
    """`helm lint --strict` is content with the chart, its values and their schema."""
    said = release.plane.run(
        "helm", "lint", "--strict", str(CHART), "--set", "database.existingSecret=costhook-database"
    )

    assert "0 chart(s) failed" in said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("api.replica=2", "replica"),
        ("api.replicas=two", "replicas"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("database.existingSecret=", "say where the database is, by exactly one of"),
        ("database.embedded=true", "say where the database is, by exactly one of"),
        ("api.ingress.enabled=true", "api.ingress.host: say under which name the API is reached"),
    ],
)
def test_wrong_values_are_refused_with_words(release: Release, values: str, said: str) -> None:
    """A value that is unknown, of the wrong type, or that contradicts another is refused by its name."""
    usual = ("--set", "database.existingSecret=costhook-database")
    answer = release.plane.run("helm", "template", "x", str(CHART), *usual, "--set", values, ok=False)

    assert said in answer
    assert "kind: Deployment" not in answer


def test_an_upgrade_keeps_what_is_there(release: Release) -> None:
    """`helm upgrade` with the same values changes nothing, and keeps the CRDs."""
    crd = ("get", "crd", "providers.costhook.io", "-o", "jsonpath={.metadata.uid}")
    before = release.plane.kubectl(*crd)

    release.plane.run("helm", "upgrade", release.name, str(CHART), "-n", release.namespace, "--reuse-values")

    assert release.plane.kubectl(*crd) == before


@pytest.mark.parametrize(
    ("verb", "what", "allowed"),
    [
        ("list", "providers.costhook.io", True),
        ("patch", "providers.costhook.io/status", True),
        ("get", "secrets", True),
        ("create", "events", True),
        ("create", "providers.costhook.io", False),
        ("delete", "providers.costhook.io", False),
        ("update", "secrets", False),
        ("get", "pods", False),
        ("list", "namespaces", False),
        ("list", "customresourcedefinitions", False),
    ],
)
def test_the_reconciler_may_do_what_it_does(release: Release, verb: str, what: str, allowed: bool) -> None:
    """The reconciler's account has the rights that the tests beside this one use, and none beyond."""
    account = f"system:serviceaccount:{release.namespace}:costhook-reconciler"

    said = release.plane.kubectl("auth", "can-i", verb, what, f"--as={account}", "-A", ok=False)

    assert ("yes" in said) is allowed


def test_viewers_and_editors_get_their_rights(release: Release, namespace: str) -> None:
    """Whoever may view a namespace may see its Providers; whoever may edit it may change them."""
    for role in ("view", "edit"):
        release.plane.kubectl(
            "-n", namespace, "create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}er"
        )

    def may(who: str, verb: str) -> bool:
        said = release.plane.kubectl(
            "-n", namespace, "auth", "can-i", verb, "providers.costhook.io", f"--as={who}er", ok=False
        )
        return "yes" in said

    until(lambda: may("view", "get"))
    assert not may("view", "create")
    assert may("edit", "create")
    assert may("edit", "delete")


def test_a_reconciler_of_one_namespace_needs_no_cluster_role(
    release: Release, vendor: Vendor, ledger: Ledger, reconciler: Process, tmp_path: Path
) -> None:
    """With `reconciler.namespaces` and no right to list Secrets, Roles in these namespaces are enough."""
    plane = release.plane
    reconciler.pause()
    plane.kubectl("create", "namespace", "only-team")
    scoped = Release(plane, "scoped", "scoped")
    values = ("reconciler.namespaces={only-team}", "rbac.watchSecrets=false", "crds.enabled=false")
    scoped.install(ledger.url, *values, "rbac.aggregate=false", "fullnameOverride=scoped")
    team = Team(plane, vendor, ledger, "only-team")
    try:
        with scoped.reconciling(tmp_path / "log"):
            team.give_key()
            team.apply_provider()
            team.wait_ready()
    finally:
        reconciler.resume()
    roles = plane.get("clusterroles", "-l", "app.kubernetes.io/instance=scoped")["items"]

    assert roles == []
    assert team.syncs() == [("First", "Succeeded")]


def test_an_uninstall_never_hangs_a_namespace(
    server_url: str, assets: None, vendor: Vendor, ledger: Ledger, tmp_path: Path
) -> None:
    """After `helm uninstall` nothing waits for the reconciler: namespaces with held resources are deleted."""
    with ControlPlane(tmp_path / "cluster") as plane:
        release = Release(plane, "costhook", "costhook")
        release.install(ledger.url)
        plane.kubectl("create", "namespace", "leaving-team")
        team = Team(plane, vendor, ledger, "leaving-team")
        team.give_key()
        with release.reconciling(tmp_path / "log"):
            team.apply_provider(deletionPolicy="Delete")
            team.wait_ready()
        assert team.get()["metadata"]["finalizers"] == ["costhook.io/data"]

        _uninstall(release, tmp_path / "uninstall.log")
        plane.kubectl("delete", "namespace", "leaving-team", "--timeout=30s")

        assert team.cost() > 0
        assert "providers.costhook.io" in plane.kubectl("get", "crd", "-o", "name")


def _uninstall(release: Release, log: Path) -> None:
    """`helm uninstall`, while this test plays the node on which its last Job runs."""
    plane = release.plane
    helm = [plane.program("helm"), "--kubeconfig", str(plane.admin_kubeconfig)]
    with subprocess.Popen(
        [*helm, "uninstall", release.name, "-n", release.namespace], stdout=subprocess.DEVNULL
    ) as gone:
        until(lambda: _pods(release))
        [pod] = _pods(release)
        with release.process(pod["spec"], log) as process:
            assert process.ended() == 0, process.said()
        done = json.dumps({"status": {"phase": "Succeeded"}})
        name = pod["metadata"]["name"]
        plane.kubectl("-n", release.namespace, "patch", "pod", name, "--subresource=status", "-p", done)
        assert gone.wait(60) == 0


def _pods(release: Release) -> list[dict[str, Any]]:
    selector = "app.kubernetes.io/component=uninstall"
    return list(release.plane.get("pods", "-n", release.namespace, "-l", selector)["items"])
