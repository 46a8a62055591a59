"""Where AWS is asked, by partition, and what its data is like, by source."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

from reconciler.connectors.aws import Aws, AwsSettings
from reconciler.connectors.aws.endpoints import Service, bucket_url, endpoint, explorer_region
from reconciler.kinds.catalogue import kinds
from reconciler.kinds.reading import spec_faults

EXPORT = {"bucket": "acme-billing", "name": "focus", "region": "eu-central-1"}


def settings(**block: Any) -> AwsSettings:
    return AwsSettings.model_validate({"source": "costExplorer", **block})


@cache
def resolver() -> Any:
    """The addresses that AWS's own library knows."""
    return EndpointResolver(create_loader().load_data("endpoints"))


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1", "cn-northwest-1"])
@pytest.mark.parametrize("service", ["sts", "s3"])
def test_addresses_are_those_of_the_region(service: Service, region: str) -> None:
    """In each of the partitions, as AWS's own library has them."""
    known = resolver().construct_endpoint(service, region)
    assert known is not None

    assert endpoint(service, settings(region=region), {}) == f"https://{known['hostname']}"
    assert bucket_url("acme", region, settings(), {}) == f"https://acme.s3.{region}.{known['dnsSuffix']}"
    assert bucket_url("ac.me", region, settings(), {}) == f"https://s3.{region}.{known['dnsSuffix']}/ac.me"


@pytest.mark.parametrize(
    ("region", "partition"), [("us-east-1", "aws"), ("eu-central-1", "aws"), ("cn-north-1", "aws-cn")]
)
def test_cost_explorer_has_one_address_in_each_partition(region: str, partition: str) -> None:
    """And one region that its requests are signed for."""
    known = resolver().construct_endpoint("ce", None, partition)
    assert known is not None

    assert endpoint("ce", settings(region=region), {}) == f"https://{known['hostname']}"
    assert explorer_region(settings(region=region)) == known["credentialScope"]["region"]


ROLE = "iam::123456789012:role/CostReader"


@pytest.mark.parametrize(
    "block",
    [
        {"region": "cn-north-1"},
        {"export": {**EXPORT, "region": "cn-north-1"}},
        {"roleARN": f"arn:aws-cn:{ROLE}"},
        {"region": "cn-north-1", "export": {**EXPORT, "region": "cn-north-1"}, "roleARN": f"arn:aws:{ROLE}"},
    ],
    ids=["region", "bucket", "role", "role of the world"],
)
def test_partitions_are_not_mixed(block: dict[str, Any]) -> None:
    """An identity of one partition is unknown in the other, so the manifest is refused."""
    spec = {"type": "aws", "aws": {"source": "export", "export": EXPORT, **block}}
    assert spec_faults(kinds()["Provider"], spec, None)


def test_all_of_china() -> None:
    """Region, bucket and role of China go together."""
    block = {"region": "cn-north-1", "export": {**EXPORT, "region": "cn-northwest-1"}, "roleARN": f"arn:aws-cn:{ROLE}"}
    assert not spec_faults(kinds()["Provider"], {"type": "aws", "aws": {"source": "export", **block}}, None)


def test_the_traits_are_those_of_the_source() -> None:
    """Files cost nothing, tell every line and have no end of their own; Cost Explorer keeps 13 months."""
    explored, exported = Aws.traits_of(settings()), Aws.traits_of(settings(source="export", export=EXPORT))

    assert (explored.origin, explored.grain, explored.reach) == ("api", "Day", timedelta(days=395))
    assert explored.call_cost
    assert (exported.origin, exported.grain, exported.reach, exported.call_cost) == ("file", "Line", None, None)
