"""Azurite, the emulator of Blob storage, as a process of its own on this machine, behind TLS and with bearer tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import httpx
import pytest

from tests.integration.connectors.certificates import Certificates

NODE: Final = Path(__file__).parents[3] / ".venv" / "node"
PROGRAM: Final = NODE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
NEEDED = pytest.mark.skipif(
    (shutil.which("node") is None or not PROGRAM.exists()) and "COSTHOOK_REQUIRE_PROGRAMS" not in os.environ,
    reason="azurite is missing: install node, then "
    "`npm install --prefix .venv/node --ignore-scripts graphql-http@1.23.1 graphql@16.11.0 azurite@3.35.0`",
)
ACCOUNT: Final = "devstoreaccount1"
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that every emulator of Azure's storage has, as its documentation says."""
VERSION: Final = "2020-10-02"


@dataclass(frozen=True)
class Azurite:
    """A storage account at `url`, for clients that trust `tls`."""

    url: str
    tls: ssl.SSLContext
    owner: httpx.Client

    def send(self, method: str, path: str, content: bytes = b"", **headers: str) -> None:
        """Ask as the owner of the account, who may do anything; `path` may end in a query."""
        joint = "&" if "?" in path else "?"
        url = f"{self.url}/{ACCOUNT}/{path}{joint}{sas('rwdlac')}"
        said = {"x-ms-version": "2024-11-04", **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.owner.request(method, url, content=content, headers=said).raise_for_status()


def sas(permissions: str = "rl", ends: str = "2100-01-01T00:00:00Z") -> str:
    """A SAS token of the account, signed with its key, for containers and blobs."""
    told = {"sv": VERSION, "ss": "b", "srt": "sco", "sp": permissions, "se": ends}
    said = f"{ACCOUNT}\n{permissions}\nb\nsco\n\n{ends}\n\n\n{VERSION}\n"
    signature = hmac.new(base64.b64decode(KEY), said.encode(), hashlib.sha256).digest()
    return urlencode({**told, "sig": base64.b64encode(signature).decode()}, quote_via=quote)


def bearer(lasts: timedelta = timedelta(hours=1), audience: str = "https://storage.azure.com") -> str:
    """A token as Entra gives it, but signed by nobody, which the emulator does not look at."""
    now = datetime.now(UTC)
    claims = {
        "aud": audience,
        "iss": "https://sts.windows.net/99999999-8888-7777-6666-555555555555/",
        "iat": int((now - timedelta(hours=2)).timestamp()),
        "nbf": int((now - timedelta(hours=2)).timestamp()),
        "exp": int((now + lasts).timestamp()),
    }
    parts = (json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2lnbmVk"])


@contextmanager
def running(folder: Path) -> Iterator[Azurite]:
    """An account with nothing in it, held in memory; it stops at the end of the `with`."""
    certificates = Certificates(folder)
    certificates.server("127.0.0.1")
    chain = str(folder / "127.0.0.1.pem")
    options = {"blobPort": "0", "blobKeepAliveTimeout": "600", "oauth": "basic", "cert": chain, "key": chain}
    flags = ("inMemoryPersistence", "skipApiVersionCheck", "silent", "disableTelemetry")
    named = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = ["node", str(PROGRAM), *named, *(f"--{flag}" for flag in flags)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            url, tls = _address(server), certificates.trust
            with httpx.Client(verify=tls, trust_env=False) as owner:
                yield Azurite(url, tls, owner)
        finally:
            server.kill()


def _address(server: subprocess.Popen[str]) -> str:
    said = []
    assert server.stdout is not None
    for line in server.stdout:
        said.append(line)
        if found := re.search(r"listens on (https://127\.0\.0\.1:\d+)", line):
            return found[1]
    raise RuntimeError(f"azurite does not start: {''.join(said)}")
