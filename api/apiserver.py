"""A Kubernetes API server, as far as the API asks it: reviews are created, and their status is the answer."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from ledger.errors import NeedsPerson

IN_CLUSTER: Final = "in-cluster"
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SECONDS: Final = 5.0


class NoAnswer(Exception):
    """The API server was not reached, refused, or did not answer as it should. The text holds no token."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where the API server is, what its certificate is checked against, and the token or the file that holds it."""

    url: str
    tls: ssl.SSLContext
    token: str | None
    token_file: Path | None

    def headers(self) -> dict[str, str]:
        """The token as it is now: Kubernetes renews the file's."""
        token = self.token if self.token_file is None else self.token_file.read_text().strip()
        return {"Authorization": f"Bearer {token}"} if token else {}


class ApiServer:
    """One API server, asked over connections that last as long as one caller's questions."""

    def __init__(self, login: Login) -> None:
        self._login = login

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[Reviews]:
        """Ask within the block. Raises NoAnswer."""
        url, tls = self._login.url, self._login.tls
        async with httpx.AsyncClient(base_url=url, verify=tls, timeout=SECONDS, trust_env=False) as http:
            yield Reviews(http, self._login)


class Reviews:
    """Reviews that are created, one request each."""

    def __init__(self, http: httpx.AsyncClient, login: Login) -> None:
        self._http, self._login = http, login

    async def create(self, version: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """The status of a review. Raises NoAnswer."""
        body = {"apiVersion": version, "kind": kind, "spec": spec}
        try:
            headers = self._login.headers()
            answer = await self._http.post(f"/apis/{version}/{kind.lower()}s", json=body, headers=headers)
            status = answer.raise_for_status().json()["status"]
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise NoAnswer(f"{kind}: {_said(error)}") from None
        if not isinstance(status, dict):
            raise NoAnswer(f"{kind}: its answer has no status")
        return status


def _said(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    return f"{type(error).__name__}: {error}"


def login(named: str) -> Login:
    """From `in-cluster`, or the path of a kubeconfig. Raises NeedsPerson."""
    try:
        return _of_the_pod() if named == IN_CLUSTER else _of(Path(named))
    except (OSError, KeyError, StopIteration, TypeError, ValueError, yaml.YAMLError) as error:
        raise NeedsPerson(
            f"COSTHOOK_KUBERNETES: {named} does not say how to reach a cluster ({type(error).__name__}); "
            f"write {IN_CLUSTER} in a pod, or the path of a kubeconfig with a token or a client certificate"
        ) from None


def _of_the_pod() -> Login:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    return Login(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}", tls, None, ACCOUNT / "token")


def _of(path: Path) -> Login:
    config = yaml.safe_load(path.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    tls = _trust(path.parent, cluster)
    if "client-certificate" in user:
        tls.load_cert_chain(path.parent / user["client-certificate"], path.parent / user["client-key"])
    file = path.parent / user["tokenFile"] if user.get("tokenFile") else None
    return Login(str(cluster["server"]), tls, user.get("token"), file)


def _trust(folder: Path, cluster: Mapping[str, Any]) -> ssl.SSLContext:
    if "certificate-authority-data" in cluster:
        return ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    authority = cluster.get("certificate-authority")
    return ssl.create_default_context(cafile=str(folder / authority) if authority else None)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)
