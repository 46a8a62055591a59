"""How this process reaches the API server: by a kubeconfig, or by what Kubernetes gives a pod.

Both are read anew whenever the API server refuses the credential, so a rotated token is picked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from reconciler.errors import NeedsPerson

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
CONNECTIONS = 32
"""Requests that are under way at the same time, at most; watches not counted."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the cluster is and who asks. `kubeconfig` of None means: this process runs in a pod."""

    kubeconfig: Path | None = None
    namespaces: tuple[str, ...] = ()
    """The namespaces that are served; all of them where none is named."""

    @property
    def name(self) -> str:
        """Names this scope of the cluster in the ledger."""
        return ":".join(("kubernetes", *sorted(self.namespaces)))

    async def load(self) -> Configuration:
        """The client's configuration as it is written now. Raises NeedsPerson."""
        found = Configuration()
        found.connection_pool_maxsize = CONNECTIONS
        try:
            if self.kubeconfig is None:
                config.load_incluster_config(client_configuration=found)
            else:
                await config.load_kube_config(config_file=str(self.kubeconfig), client_configuration=found)
        except (config.ConfigException, OSError, ValueError) as error:
            raise NeedsPerson(f"{self._place()}: {error}", reason="NoCluster") from None
        return found

    def _place(self) -> str:
        if self.kubeconfig is None:
            return "this is no pod that may talk to its cluster; name a kubeconfig with --kubeconfig"
        return f"the kubeconfig {self.kubeconfig} cannot be used"


def session(configuration: Configuration, trace: aiohttp.TraceConfig) -> aiohttp.ClientSession:
    """An HTTP session for kopf, whose every request carries the token of that moment and is told to `trace`."""

    async def authorise(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        bearer = (await configuration.auth_settings()).get("BearerToken")
        if bearer is not None and bearer["value"] is not None:
            request.headers["Authorization"] = bearer["value"]
        return await handler(request)

    connector = aiohttp.TCPConnector(limit=0, ssl=RESTClientObject(configuration).ssl_context)
    return aiohttp.ClientSession(
        connector=connector,
        middlewares=(authorise,),
        trace_configs=[trace],
        proxy=configuration.proxy,
        headers={"User-Agent": "costhook"},
    )
