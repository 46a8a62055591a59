"""Where AWS's services are asked: AWS's own addresses, or what takes their place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Literal

from reconciler.connectors.aws.settings import AwsSettings

Service = Literal["ce", "sts"]

NAMES: Final[Mapping[Service, str]] = {"ce": "COST_EXPLORER", "sts": "STS"}
"""What the services are called in the variables by which AWS's tools are told other addresses."""
COST_EXPLORER_REGION: Final = "us-east-1"
"""Cost Explorer has one endpoint for all the world."""


def endpoint(service: Service, settings: AwsSettings, environ: Mapping[str, str] = os.environ) -> str:
    """The address of `service`, without a slash at its end.

    With the platform's identity only the administrator's environment may name another one than AWS's, as
    AWS_ENDPOINT_URL_STS does, and never a manifest: the identity's token, sent elsewhere, would open AWS's doors there.
    """
    own = settings.base_url if settings.identity == "Secret" else environ.get(f"AWS_ENDPOINT_URL_{NAMES[service]}")
    region = COST_EXPLORER_REGION if service == "ce" else settings.region
    return (own or f"https://{service}.{region}.amazonaws.com").rstrip("/")
