"""The chart in its other shapes: one pod with everything, a database of CloudNativePG, and everything switched on."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from tests.e2e.controlplane import ControlPlane
from tests.e2e.operating import probes
from tests.e2e.process import Process, until_ready
from tests.e2e.release import Release
from tests.e2e.team import Ledger, Team
from tests.e2e.vendor import Vendor
from tests.e2e.waiting import until
from tests.grafana import BOARDS
from tests.integration.command.conftest import open_folder
from tests.loopback import PLAIN

QUESTION: Final = '{ provider(namespace: "%s", name: "openai") { monthToDate { currency } } }'
TEXT: Final = {"type": "string"}


def crd(group: str, version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Somebody else's kind, with those fields of its spec that the chart uses and no others."""
    names = {"kind": kind, "plural": f"{kind.lower()}s"}
    schema = {"type": "object", "properties": {"spec": fields(**spec)}}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [served]},
    }


def fields(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def many(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


LABELS: Final = {"type": "object", "additionalProperties": TEXT}
CNPG: Final = crd(  # cloudnative-pg.io/docs, API reference: ClusterSpec, BootstrapInitDB, StorageConfiguration
    "postgresql.cnpg.io",
    "v1",
    "Cluster",
    {
        "instances": {"type": "integer", "minimum": 1},
        "storage": fields(size=TEXT, storageClass=TEXT),
        "bootstrap": fields(initdb=fields(database=TEXT, owner=TEXT, postInitApplicationSQL=many(TEXT))),
    },
)
CREDENTIALS: Final = fields(type=TEXT, credentials=fields(name=TEXT, key=TEXT))
MONITORS: Final = crd(  # prometheus-operator.dev/docs/api-reference: ServiceMonitorSpec, Endpoint, SafeAuthorization
    "monitoring.coreos.com",
    "v1",
    "ServiceMonitor",
    {
        "selector": fields(matchLabels=LABELS),
        "endpoints": many(
            fields(port=TEXT, path=TEXT, interval=TEXT, honorLabels={"type": "boolean"}, authorization=CREDENTIALS)
        ),
    },
)
RULE: Final = {
    "alert": TEXT,
    "record": TEXT,
    "keep_firing_for": TEXT,
    "expr": TEXT,
    "for": TEXT,
    "labels": LABELS,
    "annotations": LABELS,
}
RULES: Final = crd(
    "monitoring.coreos.com",
    "v1",
    "PrometheusRule",
    {"groups": many(fields(name=TEXT, rules=many(fields(**RULE))))},
)


@contextmanager
def known(plane: ControlPlane, *definitions: dict[str, Any]) -> Iterator[None]:
    """The cluster knows these kinds while the block runs."""
    plane.apply(*definitions)
    names = [f"crd/{each['metadata']['name']}" for each in definitions]
    plane.kubectl("wait", "--for=condition=Established", *names)
    yield
    plane.kubectl("delete", "--wait=false", *names)


@pytest.fixture
def alone(reconciler: Process) -> Iterator[None]:
    """The common reconciler, which serves every namespace, does nothing meanwhile."""
    reconciler.pause()
    yield
    reconciler.resume()


@pytest.mark.usefixtures("alone")
def test_one_pod_holds_everything(release: Release, vendor: Vendor, ledger: Ledger, tmp_path: Path) -> None:
    """With `database.embedded=true` one pod syncs, stores and answers, to whom RBAC lets, behind the Service."""
    plane = release.plane
    whole = Release(plane, "whole", "whole")
    plane.kubectl("create", "namespace", "whole-team")
    whole.install_beside("database.embedded=true", "reconciler.namespaces={whole-team}")
    team = Team(plane, vendor, ledger, "whole-team")
    team.kubectl("create", "serviceaccount", "viewer")
    team.kubectl("create", "rolebinding", "viewer", "--clusterrole=view", "--serviceaccount=whole-team:viewer")
    team.give_key()

    spec = whole.pod_spec("statefulset", "reconciler")
    with open_folder() as volume, whole.process(spec, tmp_path / "log", volume / "state") as process:
        until_ready(probes(process), process)
        team.apply_provider()
        team.wait_ready()
        found = re.search(r"API: (http://[\d.:]+)", process.said())
        assert found is not None
        token = team.kubectl("create", "token", "viewer").strip()
        asked = {"query": QUESTION % team.namespace}
        answer = httpx.post(
            f"{found[1]}/graphql", json=asked, headers={"Authorization": f"Bearer {token}"}, verify=PLAIN
        )
        nobody = httpx.post(f"{found[1]}/graphql", json=asked, verify=PLAIN)

    assert answer.json()["data"]["provider"]["monthToDate"] == [{"currency": "USD"}]
    assert nobody.status_code == 401
    until(lambda: len(plane.get("pods", "-n", "whole")["items"]) == 1, lambda: plane.kubectl("get", "events", "-A"))
    assert _behind(plane, "whole", "whole-api") == {("whole-reconciler-0", 2678)}
    [claim] = plane.get("pvc", "-n", "whole")["items"]
    assert claim["metadata"]["name"] == "data-whole-reconciler-0"


def test_a_database_of_cloudnativepg(release: Release, ledger: Ledger, tmp_path: Path) -> None:
    """The Cluster that the chart makes is one that its operator takes, and the pods use the Secret that it makes."""
    plane = release.plane
    cnpg = Release(plane, "cnpg", "cnpg")
    with known(plane, CNPG):
        values = ("enabled=true", "size=20Gi", "storageClassName=fast")
        cnpg.install_beside(*(f"database.cloudnativepg.{value}" for value in values), "reconciler.namespaces={cnpg}")
        spec = plane.get("clusters.postgresql.cnpg.io", "cnpg-db", "-n", "cnpg")["spec"]
        assert spec == {
            "instances": 2,
            "storage": {"size": "20Gi", "storageClass": "fast"},
            "bootstrap": {
                "initdb": {
                    "database": "costhook",
                    "owner": "costhook",
                    "postInitApplicationSQL": ["alter role costhook createrole"],
                }
            },
        }
        plane.kubectl("-n", "cnpg", "create", "secret", "generic", "cnpg-db-app", f"--from-literal=uri={ledger.url}")
        pod = cnpg.pod_spec("deployment", "reconciler")
        first = {**pod, "containers": pod["initContainers"]}
        with cnpg.process(first, tmp_path / "migrate.log") as migrating:
            assert migrating.ended() == 0, migrating.said()
        with cnpg.process(pod, tmp_path / "log") as process:
            until_ready(probes(process), process)
        plane.run("helm", "uninstall", "cnpg", "-n", "cnpg", "--no-hooks")
        assert plane.get("clusters.postgresql.cnpg.io", "cnpg-db", "-n", "cnpg")["spec"] == spec


EVERYTHING: Final = {
    "api": {
        "autoscaling": {"enabled": True, "maxReplicas": 4},
        "ingress": {"enabled": True, "host": "costs.example.com", "className": "nginx", "tlsSecret": "tls"},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    },
    "reconciler": {
        "replicas": 2,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "system-cluster-critical",
        "podLabels": {"team": "platform"},
        "podAnnotations": {"note": "true"},
        "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/etc/ca/ca.crt"}],
        "extraEnvFrom": [{"secretRef": {"name": "proxy", "optional": True}}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    },
    "networkPolicy": {"enabled": True, "from": [{"podSelector": {}}]},
    "monitoring": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
    },
    "imagePullSecrets": ["registry"],
    "commonLabels": {"owner": "finance"},
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": "full"}}],
}


def test_everything_switched_on(release: Release, ledger: Ledger, tmp_path: Path) -> None:
    """Every option at once makes objects that the API server takes, and Prometheus gets figures with its token."""
    plane, values = release.plane, tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(EVERYTHING))
    full = Release(plane, "full", "full")
    with known(plane, MONITORS, RULES):
        full.install_beside("database.existingSecret=costhook-database", flags=("--values", str(values)))
        url = f"--from-literal=url={ledger.url}"
        plane.kubectl("-n", "full", "create", "secret", "generic", "costhook-database", url)
        kinds = "hpa,ingress,networkpolicy,pdb,servicemonitors,prometheusrules"
        made = plane.get(kinds, "-n", "full")["items"]
        monitors = {each["metadata"]["name"]: each for each in made if each["kind"] == "ServiceMonitor"}

        assert len(made) == 9
        boards = plane.get("configmaps", "-n", "full", "-l", "grafana_dashboard=1")["items"]
        assert {text for board in boards for text in board["data"].values()} == {each.read_text() for each in BOARDS}
        assert {board["metadata"]["annotations"]["grafana_folder"] for board in boards} == {"Costhook"}
        manifest = yaml.safe_load_all(plane.run("helm", "get", "manifest", "full", "-n", "full"))
        deployments = {each["metadata"]["name"]: each for each in manifest if each and each["kind"] == "Deployment"}
        assert "replicas" not in deployments["full-api"]["spec"]  # the autoscaler's to say
        assert deployments["full-reconciler"]["spec"]["replicas"] == 2
        until(lambda: "token" in plane.get("secret", "full-metrics", "-n", "full").get("data", {}))
        with full.process(full.pod_spec("deployment", "api"), tmp_path / "api.log") as process:
            until(lambda: "http://" in process.said(), process.said)
            assert _scraped(plane, monitors["full-api"], process) == [401, 200]
            assert "costhook_database_size_bytes" in _figures(plane, process)
    assert {each["port"] for monitor in monitors.values() for each in monitor["spec"]["endpoints"]} == {
        "http",
        "probes",
    }


def _behind(plane: ControlPlane, namespace: str, service: str) -> set[tuple[str, int]]:
    """The pods behind a Service, each with the port that its port leads to."""
    spec = plane.get("service", service, "-n", namespace)["spec"]
    chosen = ",".join(f"{name}={value}" for name, value in spec["selector"].items())
    pods = plane.get("pods", "-n", namespace, "-l", chosen)["items"]
    [port] = spec["ports"]
    return {
        (pod["metadata"]["name"], each["containerPort"])
        for pod in pods
        for each in pod["spec"]["containers"][0]["ports"]
        if each["name"] == port["targetPort"]
    }


def _scraped(plane: ControlPlane, monitor: dict[str, Any], process: Process) -> list[int]:
    """The status of a scrape as the monitor says, without its token and with it."""
    [endpoint] = monitor["spec"]["endpoints"]
    url = f"{_base(process)}{endpoint['path']}"
    assert endpoint["authorization"]["credentials"] == {"name": "full-metrics", "key": "token"}
    return [httpx.get(url, verify=PLAIN).status_code, httpx.get(url, headers=_bearer(plane), verify=PLAIN).status_code]


def _figures(plane: ControlPlane, process: Process) -> str:
    return httpx.get(f"{_base(process)}/metrics", headers=_bearer(plane), verify=PLAIN).text


def _bearer(plane: ControlPlane) -> dict[str, str]:
    token = b64decode(plane.get("secret", "full-metrics", "-n", "full")["data"]["token"]).decode()
    return {"Authorization": f"Bearer {token}"}


def _base(process: Process) -> str:
    found = re.search(r"http://[\d.:]+", process.said())
    assert found is not None
    return found[0]
