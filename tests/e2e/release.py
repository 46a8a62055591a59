"""The chart as installed, and its pods as processes: their arguments, variables and tokens, without a node."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.e2e.controlplane import ControlPlane
from tests.e2e.operating import probes
from tests.e2e.process import Process, until_ready

CHART: Final = Path(__file__).parents[2] / "charts" / "costhook"
SETTINGS: Final = {"COSTHOOK_ALLOW_LOOPBACK": "true", "COSTHOOK_WORKERS": "8", "COSTHOOK_LEASE_SECONDS": "5"}


@dataclass(frozen=True)
class Release:
    """One release of the chart in a namespace that enforces the restricted pod security standard."""

    plane: ControlPlane
    name: str
    namespace: str

    def install(self, database_url: str, *values: str) -> None:
        """`helm install`, as the guide says."""
        self._make_namespace()
        url = f"--from-literal=url={database_url}"
        self.plane.kubectl("-n", self.namespace, "create", "secret", "generic", "costhook-database", url)
        self._install("database.existingSecret=costhook-database", *values)

    def install_beside(self, *values: str, flags: Sequence[str] = ()) -> None:
        """As `install`, with another database, into a cluster that has the CRDs and the aggregated roles already."""
        self._make_namespace()
        self._install(
            "crds.enabled=false", "rbac.aggregate=false", f"fullnameOverride={self.name}", *values, flags=flags
        )

    def _make_namespace(self) -> None:
        self.plane.kubectl("create", "namespace", self.namespace)
        self.plane.kubectl("label", "namespace", self.namespace, "pod-security.kubernetes.io/enforce=restricted")

    def _install(self, *values: str, flags: Sequence[str] = ()) -> None:
        settings = [f"settings.{name}={value}" for name, value in SETTINGS.items()]
        chosen = [*settings, *values]
        sets = [flag for value in chosen for flag in ("--set-string" if "settings." in value else "--set", value)]
        self.plane.run("helm", "install", self.name, str(CHART), "-n", self.namespace, *sets, *flags)

    def pod_spec(self, kind: str, component: str) -> Mapping[str, Any]:
        """What the release's pods of a component are made from."""
        found = self.plane.get(kind, f"{self.name}-{component}", "-n", self.namespace)
        return dict(found["spec"]["template"]["spec"])

    def kubeconfig(self, account: str) -> Path:
        """Access as one of the release's service accounts; the token lies in a file, as in a pod."""
        token = self.plane.kubectl("-n", self.namespace, "create", "token", account).strip()
        file = self.plane.folder / f"{self.namespace}-{account}.token"
        file.write_text(token)
        return self.plane.kubeconfig(f"{self.namespace}-{account}", "", token_file=file)

    def process(self, spec: Mapping[str, Any], log: Path, state: Path | None = None) -> Process:
        """The first container of a pod as a process here, with the pod's arguments, variables and token.

        `state` is what its volume would be; beside the log if absent.
        """
        container, kubeconfig = spec["containers"][0], self.kubeconfig(spec["serviceAccountName"])
        arguments = [_here(each) for each in container["args"]]
        environment = self._environment(container)
        environment |= {"COSTHOOK_STATE": str(state or log.parent / "state")}
        if "COSTHOOK_KUBERNETES" in environment:
            environment["COSTHOOK_KUBERNETES"] = str(kubeconfig)
        if arguments[0] == "operate":
            arguments.append(f"--kubeconfig={kubeconfig}")
        return Process(*arguments, log=log, environment=environment)

    @contextmanager
    def reconciling(self, log: Path) -> Iterator[Process]:
        """The reconciler's pod, ready."""
        with self.process(self.pod_spec("deployment", "reconciler"), log) as process:
            until_ready(probes(process), process)
            yield process

    def _environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        return {each["name"]: self._value(each) for each in container.get("env", ())}

    def _value(self, variable: Mapping[str, Any]) -> str:
        if "value" in variable:
            return str(variable["value"])
        reference = variable["valueFrom"]["secretKeyRef"]
        data = self.plane.get("secret", reference["name"], "-n", self.namespace)["data"]
        return base64.b64decode(data[reference["key"]]).decode()


def _here(argument: str) -> str:
    """The argument, listening on loopback and on any port."""
    flag, given, _ = argument.partition("=")
    return f"{flag}=127.0.0.1:0" if given and flag in ("--probes", "--listen") else argument
