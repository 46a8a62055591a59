"""Where AWS's services are asked: AWS's own addresses, or what takes their place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Literal

from reconciler.connectors.aws.settings import AwsSettings

Service = Literal["ce", "s3", "sts"]

NAMES: Final[Mapping[Service, str]] = {"ce": "COST_EXPLORER", "s3": "S3", "sts": "STS"}
"""What the services are called in the variables by which AWS's tools are told other addresses."""
CHINA: Final = "cn-"
"""How the regions begin of the partition aws-cn, which has addresses, accounts and Cost Explorer of its own."""


def explorer_region(settings: AwsSettings) -> str:
    """Where Cost Explorer is, which has one endpoint for all the world and another for China."""
    return "cn-northwest-1" if settings.region.startswith(CHINA) else "us-east-1"


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith(CHINA) else "amazonaws.com"


def endpoint(service: Service, settings: AwsSettings, environ: Mapping[str, str] = os.environ) -> str:
    """The address of `service`, without a slash at its end.

    With the platform's identity only the administrator's environment may name another one than AWS's, as
    AWS_ENDPOINT_URL_STS does, and never a manifest: the identity's token, sent elsewhere, would open AWS's doors there.
    """
    own = own_endpoint(service, settings, environ)
    region = explorer_region(settings) if service == "ce" else settings.region
    return own or f"https://{service}.{region}.{_domain(region)}"


def own_endpoint(service: Service, settings: AwsSettings, environ: Mapping[str, str]) -> str | None:
    """The address that takes the place of AWS's; None where that is asked itself."""
    own = settings.base_url if settings.identity == "Secret" else environ.get(f"AWS_ENDPOINT_URL_{NAMES[service]}")
    return own.rstrip("/") if own else None


def bucket_url(name: str, region: str, settings: AwsSettings, environ: Mapping[str, str] = os.environ) -> str:
    """The address of a bucket: by its own host name, or by a path where that name fits no certificate or no proxy."""
    own = own_endpoint("s3", settings, environ)
    host = f"s3.{region}.{_domain(region)}"
    if own is None and "." not in name:
        return f"https://{name}.{host}"
    return f"{own or f'https://{host}'}/{name}"
