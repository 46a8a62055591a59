"""Costhook's own processes, run outside the cluster as they would run in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from tests.e2e.waiting import until
from tests.loopback import PLAIN

GRACE: Final = 10.0
"""Seconds that a pod is given to end; ours must be enough with that."""


class Process:
    """One process of `costhook`. Use it as a context manager: it is stopped politely, in time, or the test fails."""

    def __init__(self, *arguments: str, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._arguments, self.log = arguments, log
        self._environment = {**_bare_environment(), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.exit_code: int | None = None

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command(*self._arguments), stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()
        if error is None and self.exit_code is not None:
            assert self.exit_code == 0, f"{self._arguments[0]} ended with {self.exit_code}: {self.said()}"

    def stop(self) -> None:
        """End it politely. Fails when it takes longer than a pod is given."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self.exit_code = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self._arguments[0]} did not end within {GRACE:g} s: {self.said()}") from None
        self._process = None

    def kill(self) -> None:
        """As the kernel would when memory runs out."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Let it do nothing until `resume`, as on a machine that is asleep."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def ended(self) -> int:
        """The exit code, once it has ended by itself."""
        assert self._process is not None
        self.exit_code = self._process.wait(GRACE * 3)
        self._process = None
        return self.exit_code

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def said(self) -> str:
        """Everything it has logged."""
        return self.log.read_text()


def command(*arguments: str) -> Sequence[str]:
    """How the image's entry point is run from a checkout."""
    return [sys.executable, "-m", "costhook", *arguments]


def until_ready(url: str, process: Process) -> None:
    """Wait until the process says that it is ready."""

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/readyz", verify=PLAIN).is_success
        except httpx.HTTPError:
            return False

    until(ready, lambda: f"not ready: {process.said()}")


def _bare_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    return {name: os.environ[name] for name in kept if name in os.environ}
