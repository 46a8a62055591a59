"""moto, the emulator of AWS, as a server of its own on this machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx

from tests.loopback import PLAIN

LOAD: Final = "/moto-api/static/ce/cost-and-usage-results"


@contextmanager
def running() -> Iterator[str]:
    """The server's address, without a slash at its end; it stops at the end of the `with`."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        "from moto.server import main; main()",
        "-H",
        "127.0.0.1",
        "-p",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            said = []
            for line in server.stderr:
                said.append(line)
                if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
                    break
            else:
                raise RuntimeError(f"moto does not start: {''.join(said)}")
            yield found[1]
        finally:
            server.kill()


def forget(url: str) -> None:
    """Have moto forget all it was told."""
    httpx.post(f"{url}/moto-api/reset", trust_env=False, verify=PLAIN).raise_for_status()


def tell_costs(url: str, answers: Sequence[Mapping[str, Any]]) -> None:
    """What Cost Explorer answers to each new question, in the order in which they come."""
    content = json.dumps({"results": answers})
    httpx.post(f"{url}{LOAD}", content=content, trust_env=False, verify=PLAIN).raise_for_status()
