"""Where Azure is asked: its own addresses, or what takes their place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import quote

from reconciler.connectors.azure.settings import AzureSettings, ExportSettings

Service = Literal["authority", "blob", "management"]

OWN: Final[Mapping[Service, str]] = {
    "authority": "https://login.microsoftonline.com",
    "blob": "",
    "management": "https://management.azure.com",
}
"""Azure's addresses; that of a storage account has its name."""
VARIABLES: Final[Mapping[Service, str]] = {
    "authority": "AZURE_AUTHORITY_HOST",
    "blob": "AZURE_BLOB_HOST",
    "management": "AZURE_RESOURCE_MANAGER_HOST",
}
"""By which an administrator names other addresses. The first is Azure's own, and workload identity sets it."""


def endpoint(service: Service, settings: AzureSettings, environ: Mapping[str, str] = os.environ) -> str:
    """The address of `service`, without a slash at its end; empty where the storage account's own is asked.

    With the platform's identity only the administrator's environment may name another one than Azure's, and never a
    manifest: a token of the identity, sent elsewhere, would open Azure's doors there.
    """
    own = settings.base_url if settings.identity == "Secret" else environ.get(VARIABLES[service])
    return (own or OWN[service]).rstrip("/")


def container_url(export: ExportSettings, settings: AzureSettings, environ: Mapping[str, str] = os.environ) -> str:
    """The address of a container: at the account's own host, or below its name at what takes the place of Azure's."""
    own = endpoint("blob", settings, environ)
    root = f"{own}/{export.account}" if own else f"https://{export.account}.blob.core.windows.net"
    return f"{root}/{quote(export.container)}"
