"""What a manifest says in `spec.aws`."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import ConfigDict, Field

from reconciler.connectors.base import Settings
from reconciler.connectors.rules import rules

IN_CHINA: Final = "(has(self.region) && self.region.startsWith('cn-'))"
"""CEL: the accounts are of the partition aws-cn."""


class CostExplorerSettings(Settings):
    """How Cost Explorer is asked. Every call costs 0.01 USD."""

    regions: bool = Field(
        default=False,
        description="true: costs of several accounts are split by region, for one call more per account and sync. A "
        "single account's are split in any case, which costs nothing more.",
    )
    net: bool = Field(
        default=False,
        description="true: costs after discounts that AWS applies later, by the metrics NetUnblendedCost and "
        "NetAmortizedCost. In member accounts they take the management account's consent.",
    )
    final_only: bool = Field(
        default=False,
        alias="finalOnly",
        description="true: days that AWS still calls estimated, which are all of a month until its invoice, do not "
        "count as complete.",
    )


class ExportSettings(Settings):
    """Where AWS delivers an export of Data Exports (the tables FOCUS 1.0, FOCUS 1.2 and CUR 2.0)."""

    bucket: str = Field(
        description="The bucket that the export is delivered to.",
        max_length=63,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    )
    prefix: str = Field(
        default="",
        description="The export's S3 path prefix, as it was given when the export was made.",
        max_length=512,
        pattern=r"^[^/\x00-\x1f]*(/[^/\x00-\x1f]+)*$",
    )
    name: str = Field(description="The export's name.", max_length=128, pattern=r"^[A-Za-z0-9_-]+$")
    region: str = Field(
        description="The bucket's region, such as eu-central-1.", max_length=32, pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$"
    )


class AwsSettings(Settings):
    """The block `spec.aws` of a Provider."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.baseURL) || (has(self.identity) && self.identity == 'Secret')",
                "baseURL only with identity: Secret; the platform's identity is shown to AWS alone",
            ),
            ("self.source != 'export' || has(self.export)", "source export needs the block export, with bucket, name"),
            ("!has(self.export) || self.source == 'export'", "export is for source: export"),
            (
                f"!has(self.export) || self.export.region.startsWith('cn-') == {IN_CHINA}",
                "region and export.region must both be China's or both not: no identity is known in both",
            ),
            (
                f"!has(self.roleARN) || self.roleARN.startsWith('arn:aws-cn:') == {IN_CHINA}",
                "roleARN begins with arn:aws-cn: where region is one of China's, and else with arn:aws:",
            ),
            ("!has(self.costExplorer) || self.source == 'costExplorer'", "costExplorer is for source: costExplorer"),
        )
    )

    source: Literal["costExplorer", "export"] = Field(
        description="costExplorer: costs by day, service, account and region, from the Cost Explorer API. export: "
        "every line, from an export in S3 (FOCUS or CUR 2.0).",
    )
    identity: Literal["Platform", "Secret"] = Field(
        default="Platform",
        description="Platform: Costhook's own identity, by IAM Roles for Service Accounts, EKS Pod Identity or EC2's "
        "instance profile. Secret: the access key in the Secret that secretRef names.",
    )
    role_arn: str | None = Field(
        default=None,
        alias="roleARN",
        description="Role to take on for reading, by sts:AssumeRole, such as "
        "arn:aws:iam::123456789012:role/CostReader.",
        max_length=2048,
        pattern=r"^arn:aws(-cn)?:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$",
    )
    external_id: str | None = Field(
        default=None,
        alias="externalID",
        description="External id that the role's trust policy asks for.",
        min_length=2,
        max_length=1224,
        pattern=r"^[A-Za-z0-9_+=,.@:/-]+$",
    )
    region: str = Field(
        default="us-east-1",
        description="Region whose STS endpoint is asked for the role. One of China's (cn-north-1, cn-northwest-1) for "
        "accounts of AWS in China, whose Cost Explorer is another.",
        max_length=32,
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
    )
    cost_explorer: CostExplorerSettings = Field(
        default_factory=CostExplorerSettings, alias="costExplorer", description="Settings of source costExplorer."
    )
    export: ExportSettings | None = Field(default=None, description="Settings of source export.")
    base_url: str | None = Field(
        default=None,
        alias="baseURL",
        description="Address that is asked in place of AWS's own ones: a proxy in front of them.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
