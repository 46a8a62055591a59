"""What the command is tested on: folders of manifests, and the command itself, in this process or in one of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

import costhook
from tests.integration.conftest import make_database

MANUAL = """\
apiVersion: costhook.io/v1alpha1
kind: ManualCost
metadata: {name: subscriptions}
spec:
  currency: EUR
  entries:
    - {name: figma, serviceName: Figma, amount: "45.00", start: 2026-01-01, recurrence: Monthly}
"""
FOCUS = """\
apiVersion: costhook.io/v1alpha1
kind: Provider
metadata: {name: files}
spec:
  type: focus
  history: 3650d
  focus: {files: ["bills/*.csv"]}
"""
SUSPENDED = """\
apiVersion: costhook.io/v1alpha1
kind: Provider
metadata: {name: vendor}
spec:
  type: openai
  suspend: true
  secretRef: {name: vendor-admin}
"""
BILL = """\
BilledCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ServiceName,ProviderName,ChargeCategory
0.10,USD,2024-09-01T00:00:00Z,2024-09-02T00:00:00Z,Storage,Acme,Usage
1234.5678901,USD,2024-09-02T00:00:00Z,2024-09-03T00:00:00Z,Compute,Acme,Usage
"""


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder in the system's temporary one.

    As root the server runs as another user, for whom pytest's own temporary folders are closed, and closed again
    whenever another run of pytest begins.
    """
    with tempfile.TemporaryDirectory(prefix="costhook-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A new folder that any user may enter."""
    with open_folder() as made:
        yield made


def write_manifests(folder: Path) -> Path:
    """A folder of manifests: files, a subscription, and a vendor that is suspended."""
    manifests = folder / "manifests"
    (manifests / "bills").mkdir(parents=True)
    (manifests / "bills" / "september.csv").write_text(BILL)
    for name, text in {"manual": MANUAL, "files": FOCUS, "vendor": SUSPENDED}.items():
        (manifests / f"{name}.yaml").write_text(text)
    return manifests


@pytest.fixture
def manifests(folder: Path) -> Path:
    return write_manifests(folder)


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Answer]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """Runs the command in this process, by its own entry point."""
    for name in [name for name in os.environ if name.startswith("COSTHOOK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")
    handlers, terminate = list(logging.getLogger().handlers), signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            costhook.main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        code = ended.value.code
        return Answer(code if isinstance(code, int) else 0, said.out, said.err)

    yield run
    logging.getLogger().handlers[:] = handlers
    signal.signal(signal.SIGTERM, terminate)
    structlog.reset_defaults()


@pytest.fixture
def url(server_url: str, call: Call) -> str:
    """A new database at the newest step."""
    made = asyncio.run(make_database(server_url))
    assert call("migrate", "--database-url", made).code == 0
    return made


class Process(subprocess.Popen[str]):
    """The command as a process of its own, whose standard output is read line by line."""

    def __init__(self, arguments: Sequence[object], **variables: str) -> None:
        command = [sys.executable, "-m", "costhook", *(str(argument) for argument in arguments)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COSTHOOK_")}
        super().__init__(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**kept, "COLUMNS": "200", **variables},
        )

    def wait_for(self, part: str, *, whole: bool = False) -> str:
        """Read until a line holds `part`, or is it as a `whole`; everything read until then."""
        assert self.stdout
        read = ""
        for line in self.stdout:
            read += line
            if (line.rstrip("\n") == part) if whole else (part in line):
                return read
        assert self.stderr
        raise AssertionError(f"{part!r} was never said, but: {read} {self.stderr.read()}")

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal; the exit code and what was still said."""
        self.send_signal(number)
        out, err = self.communicate()
        return self.returncode, out, err


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts commands that are killed at the end if they still run."""
    started: list[Process] = []

    def run(*arguments: object, **variables: str) -> Process:
        started.append(Process(arguments, **variables))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()
