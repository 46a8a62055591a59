"""A real Alertmanager, and the receiver that it notifies."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from tests.loopback import PLAIN

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or "prometheus-alertmanager"
NEEDED = pytest.mark.skipif(
    (shutil.which(PROGRAM) is None or shutil.which("amtool") is None) and "COSTHOOK_REQUIRE_PROGRAMS" not in os.environ,
    reason="Alertmanager is missing: apt-get install prometheus-alertmanager",
)
CONFIG = """
route: {{receiver: here, group_by: [namespace], group_wait: 100ms, group_interval: 200ms, repeat_interval: 24h}}
receivers: [{{name: here, webhook_configs: [{{url: "{url}/notified"}}]}}]
"""


@dataclass
class Alertmanager:
    """One replica; `notified` are the bodies it sent to its receiver."""

    folder: Path
    receiver: ScriptedServer
    web: str = ""
    """More configuration of its web server: authentication."""
    auth: tuple[str, str] | None = None
    port: int = 0
    notified: list[Any] = field(default_factory=list)
    _process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, again on the port that it had, and wait until it answers."""
        self.receiver.route("POST", "/notified", self._note)
        (self.folder / "alertmanager.yml").write_text(CONFIG.format(url=self.receiver.url))
        (self.folder / "web.yml").write_text(self.web)
        self.port = self.port or _free_port()
        options = {
            "config.file": self.folder / "alertmanager.yml",
            "web.config.file": self.folder / "web.yml",
            "storage.path": self.folder / "data",
            "web.listen-address": f"127.0.0.1:{self.port}",
            "cluster.listen-address": "",
        }
        flags = [f"--{name}={value}" for name, value in options.items()]
        self._process = await asyncio.create_subprocess_exec(PROGRAM, *flags, stdout=DEVNULL, stderr=DEVNULL)
        await eventually(self._ready)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
            self._process = None

    async def alerts(self) -> list[Any]:
        """What it holds now."""
        async with httpx.AsyncClient(base_url=self.url, auth=self.auth, trust_env=False, verify=PLAIN) as http:
            found: list[Any] = (await http.get("/api/v2/alerts")).raise_for_status().json()
            return found

    def told(self, status: str) -> list[Any]:
        """Every alert that it notified its receiver of with this status."""
        return [each for body in self.notified for each in body["alerts"] if each["status"] == status]

    async def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, "it ended"
        try:
            async with httpx.AsyncClient(base_url=self.url, auth=self.auth, trust_env=False, verify=PLAIN) as http:
                return (await http.get("/-/ready")).is_success
        except httpx.HTTPError:
            return False

    def _note(self, request: Request) -> Reply:
        self.notified.append(json.loads(request.body))
        return Reply(200)


@asynccontextmanager
async def alertmanager(folder: Path, **named: Any) -> AsyncIterator[Alertmanager]:
    async with ScriptedServer() as receiver:
        found = Alertmanager(folder, receiver, **named)
        try:
            await found.start()
            yield found
        finally:
            await found.stop()


async def amtool(*arguments: str) -> tuple[int | None, str]:
    """How Alertmanager's own tool ends, and what it says."""
    process = await asyncio.create_subprocess_exec("amtool", *arguments, stdout=PIPE, stderr=STDOUT)
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def eventually(seen: Callable[[], Any], seconds: float = 20) -> Any:
    """What `seen` gives, or comes to, once that is true: another process has no event to wait for."""
    async with asyncio.timeout(seconds):
        while True:
            found = seen()
            value = await found if isinstance(found, Awaitable) else found
            if value:
                return value
            await asyncio.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
