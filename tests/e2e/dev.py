"""`make dev`: a control plane on this machine with CRDs and examples, and the reconciler with the API over it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.e2e.controlplane import HOW_TO_GET, ControlPlane, missing_programs
from tests.e2e.process import command

ROOT: Final = Path(__file__).parents[2]


def main() -> int:
    """Run until Ctrl-C; the cluster is new each time, what was synced stays in .costhook/dev."""
    if missing_programs():
        sys.stderr.write(f"make dev needs a control plane: {HOW_TO_GET}\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="costhook-dev-") as folder, ControlPlane(Path(folder)) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all")
        plane.kubectl("create", "namespace", "team-a")
        plane.kubectl("apply", "-n", "team-a", "-f", str(ROOT / "examples" / "quickstart"), ok=False)
        sys.stdout.write(f"export KUBECONFIG={plane.admin_kubeconfig}\nCtrl-C stops\n")
        sys.stdout.flush()
        return _reconcile(plane)


def _reconcile(plane: ControlPlane) -> int:
    state = ("--state", str(ROOT / ".costhook" / "dev"))
    flags = ("--kubeconfig", str(plane.admin_kubeconfig), "--listen", "127.0.0.1:2678", "--probes", "127.0.0.1:0")
    environment = {**os.environ, "COSTHOOK_LOG_LEVEL": "info", "COSTHOOK_ALLOW_LOOPBACK": "true"}
    with subprocess.Popen(command("operate", *state, *flags), env=environment, start_new_session=True) as running:
        signal.signal(signal.SIGTERM, lambda *_: running.terminate())
        try:
            return running.wait()
        except KeyboardInterrupt:
            running.terminate()
            return running.wait()


if __name__ == "__main__":
    sys.exit(main())
