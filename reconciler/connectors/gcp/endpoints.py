"""Where Google's services are asked: Google's own addresses, or what takes their place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Literal

from reconciler.connectors.gcp.settings import GcpSettings

Service = Literal["bigquery", "iamcredentials", "oauth2"]

BIGQUERY_HOST: Final = "BIGQUERY_EMULATOR_HOST"
"""The variable by which Google's libraries, too, are told another address of BigQuery."""


def endpoint(service: Service, settings: GcpSettings, environ: Mapping[str, str] = os.environ) -> str:
    """The address of `service`, without a slash at its end.

    With the platform's identity only the administrator's environment may name another one than Google's, and never a
    manifest: the identity's token, sent elsewhere, would open Google's doors there.
    """
    own = settings.base_url if settings.identity == "Secret" else _of_environment(service, environ)
    return (own or f"https://{service}.googleapis.com").rstrip("/")


def _of_environment(service: Service, environ: Mapping[str, str]) -> str | None:
    return environ.get(BIGQUERY_HOST) if service == "bigquery" else None
