"""`make dev`: a control plane on this machine with CRDs and examples, and the reconciler with the API over it."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import yaml

from tests.e2e.controlplane import HOW_TO_GET, ControlPlane, missing_programs
from tests.e2e.process import command
from tests.e2e.vendor import Vendor

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples" / "quickstart"
TEAM: Final = "team-a"
KEY: Final = "sk-admin-of-the-vendor-that-is-played"


def main() -> int:
    """Run until Ctrl-C; the cluster is new each time, what was synced stays in .costhook/dev."""
    if missing_programs():
        sys.stderr.write(f"make dev needs a control plane: {HOW_TO_GET}\n")
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="costhook-dev-") as folder,
        ControlPlane(Path(folder)) as plane,
        Vendor() as vendor,
        _served(EXAMPLES) as files,
    ):
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all")
        plane.kubectl("create", "namespace", TEAM)
        vendor.books[TEAM].keys.add(KEY)
        plane.apply(*_manifests(files, vendor.url(TEAM)))
        _say(f"export KUBECONFIG={plane.admin_kubeconfig}\nCtrl-C stops\n")
        return _reconcile(plane)


def _manifests(files: str, vendor: str) -> Iterator[dict[str, Any]]:
    """The examples, as a cluster can use them: files are read from `files`, and OpenAI is played at `vendor`."""
    for path in sorted(EXAMPLES.glob("*.yaml")):
        found: dict[str, Any] = yaml.safe_load(path.read_text())
        spec = found["spec"]
        found["metadata"]["namespace"] = TEAM
        if spec.get("type") == "focus":
            spec["focus"]["files"] = [f"{files}/focus/{each.name}" for each in (EXAMPLES / "focus").glob("*.csv")]
        if spec.get("type") == "openai":
            spec |= {"suspend": False, "openai": {"baseURL": vendor}}
        if not spec.get("suspend"):
            yield _with_texts(found)
    metadata = {"name": "openai-admin", "namespace": TEAM}
    yield {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"apiKey": KEY}}


def _with_texts(found: Any) -> Any:
    """Dates as the texts that they are in JSON."""
    if isinstance(found, dict):
        return {name: _with_texts(inner) for name, inner in found.items()}
    if isinstance(found, list):
        return [_with_texts(inner) for inner in found]
    return found.isoformat() if hasattr(found, "isoformat") else found


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The folder's files, over HTTP on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _reconcile(plane: ControlPlane) -> int:
    state = ("--state", str(ROOT / ".costhook" / "dev"))
    flags = ("--kubeconfig", str(plane.admin_kubeconfig), "--listen", "127.0.0.1:2678", "--probes", "127.0.0.1:0")
    environment = {**os.environ, "COSTHOOK_LOG_LEVEL": "info", "COSTHOOK_ALLOW_LOOPBACK": "true"}
    with subprocess.Popen(command("operate", *state, *flags), env=environment, start_new_session=True) as running:
        signal.signal(signal.SIGTERM, lambda *_: running.terminate())
        try:
            waiting = ("wait", "-n", TEAM, "--for=condition=Ready", "providers,manualcosts", "--all", "--timeout=60s")
            plane.kubectl(*waiting, ok=False)
            _say(plane.kubectl("get", "costhook", "-n", TEAM))
            return running.wait()
        except KeyboardInterrupt:
            running.terminate()
            return running.wait()


if __name__ == "__main__":
    sys.exit(main())
