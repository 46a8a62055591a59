"""A real Kubernetes control plane on this machine: etcd, API server and controller manager, without nodes.

The programs are those that KUBEBUILDER_ASSETS names, as for everyone's envtest. Nothing here waits by sleeping for
a guessed time: every program is asked whether it is ready.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.waiting import until

ASSETS: Final = "KUBEBUILDER_ASSETS"
HOW_TO_GET: Final = (
    f"set {ASSETS} to a folder with kube-apiserver, kube-controller-manager, etcd, kubectl and helm; "
    "`setup-envtest use -p env` of controller-runtime gets the first ones"
)
PROGRAMS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm")
PATIENCE: Final = 60.0


def missing_programs() -> list[str]:
    """The programs that KUBEBUILDER_ASSETS does not give; all of them where it is not set."""
    folder = Path(os.environ.get(ASSETS, "/nonexistent"))
    return [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]


class ControlPlane:
    """Use it as a context manager; its files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.etcd_port, self.peer_port, self.port, self.manager_port = _free_ports(4)
        self.url = f"https://127.0.0.1:{self.port}"
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_keys()
        try:
            self._start_etcd()
            self.start_apiserver()
            self._start_manager()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def ca(self) -> Path:
        """The certificate of the API server, which signs itself."""
        return self.folder / "apiserver" / "apiserver.crt"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"

    def kubeconfig(self, name: str, token: str, *, token_file: Path | None = None) -> Path:
        """A kubeconfig file for whoever has the token; with `token_file` it names that file instead."""
        user = {"token": token} if token_file is None else {"tokenFile": str(token_file)}
        path = self.folder / f"{name}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def program(self, name: str) -> str:
        """The path of one of PROGRAMS."""
        return str(Path(os.environ[ASSETS]) / name)

    def run(self, program: str, *arguments: str, text: str | None = None, ok: bool = True) -> str:
        """Run kubectl or helm as the administrator; returns what it printed. Raises when it fails, unless not `ok`."""
        environment = {**os.environ, "KUBECONFIG": str(self.admin_kubeconfig), "HOME": str(self.folder)}
        done = subprocess.run(
            [self.program(program), *arguments],
            input=text, capture_output=True, text=True, env=environment, timeout=PATIENCE * 2, check=False,
        )  # fmt: skip
        if ok and done.returncode != 0:
            raise AssertionError(f"{program} {' '.join(arguments)}: {done.stderr}{done.stdout}")
        return done.stdout if ok else done.stdout + done.stderr

    def kubectl(self, *arguments: str, text: str | None = None, ok: bool = True) -> str:
        return self.run("kubectl", *arguments, text=text, ok=ok)

    def apply(self, *manifests: Mapping[str, Any]) -> str:
        """`kubectl apply` of the manifests."""
        return self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(manifests))

    def get(self, *arguments: str) -> Any:
        """`kubectl get ... -o json`, read."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def stop(self) -> None:
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            self._stop(name)

    def kill_apiserver(self) -> None:
        """As a machine that loses power would."""
        self._stop("kube-apiserver", signal.SIGKILL)

    def start_apiserver(self, *more: str) -> None:
        """Start the API server and wait until it is ready; its state is in etcd."""
        self._start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'apiserver'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'sa.pub'}",
            f"--service-account-signing-key-file={self.folder / 'sa.key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            *more,
        )
        until(self._is_ready, lambda: self._log("kube-apiserver").read_text()[-2000:], PATIENCE)

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        self._start(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )

    def _start_manager(self) -> None:
        self.kubeconfig("admin", self.token)
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={self.admin_kubeconfig}",
            f"--service-account-private-key-file={self.folder / 'sa.key'}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            f"--root-ca-file={self.ca}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.manager_port}",
            f"--cert-dir={self.folder / 'manager'}",
        )

    def trust(self) -> ssl.SSLContext:
        """For clients of the API server."""
        return ssl.create_default_context(cafile=str(self.ca))

    def _is_ready(self) -> bool:
        if not self.ca.exists():
            return False
        context = self.trust()
        with suppress(httpx.HTTPError):
            headers = {"Authorization": f"Bearer {self.token}"}
            return httpx.get(f"{self.url}/readyz", headers=headers, verify=context).is_success
        return False

    def _start(self, name: str, *arguments: str) -> None:
        with self._log(name).open("ab") as log:
            self._running[name] = subprocess.Popen([self.program(name), *arguments], stdout=log, stderr=log)

    def _stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        process = self._running.pop(name, None)
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _write_keys(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (self.folder / "sa.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (self.folder / "sa.pub").write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        (self.folder / "tokens.csv").write_text(f'{self.token},admin,admin,"system:masters"\n')


def _free_ports(count: int) -> Sequence[int]:
    """Ports that the system says are free; held together, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports
