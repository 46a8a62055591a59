"""What a manifest says in `spec.gcp`."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from reconciler.connectors.base import Settings
from reconciler.connectors.rules import rules

PROJECT = r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"
"""A project's id, behind its organisation's domain where it has one."""


class GcpSettings(Settings):
    """The block `spec.gcp` of a Provider."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.baseURL) || (has(self.identity) && self.identity == 'Secret')",
                "baseURL only with identity: Secret; the platform's identity is shown to Google alone",
            ),
        )
    )

    export: Literal["standard", "detailed", "focus"] = Field(
        description="Which export the table holds. standard: costs by day, service, SKU, project and labels. detailed: "
        "by resource as well. focus: every line of the FOCUS export, or of a view in the form of FOCUS.",
    )
    table: str = Field(
        description="The export's table or view, as PROJECT.DATASET.TABLE, such as "
        "acme-billing.billing.gcp_billing_export_v1_010101_F0FFF0_61C528.",
        max_length=1024,
        pattern=rf"^{PROJECT}\.[A-Za-z0-9_]+\.[A-Za-z0-9_-]+$",
    )
    project: str | None = Field(
        default=None,
        description="Project that queries run in, and are billed to; that of the table if absent.",
        max_length=128,
        pattern=rf"^{PROJECT}$",
    )
    location: str | None = Field(
        default=None,
        description="Location of the table's dataset, such as EU or europe-west1; asked of BigQuery if absent.",
        max_length=32,
        pattern=r"^[A-Za-z][A-Za-z0-9-]*$",
    )
    billing_account: str | None = Field(
        default=None,
        alias="billingAccount",
        description="Billing account whose rows count, such as 010101-F0FFF0-61C528; all of the table if absent.",
        pattern=r"^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$",
    )
    gib_per_query: int = Field(
        default=100,
        alias="gibPerQuery",
        description="GiB that one query may read; BigQuery refuses one that would read more, at no cost.",
        ge=1,
        le=1_000_000,
    )
    gib_per_sync: int = Field(
        default=500,
        alias="gibPerSync",
        description="GiB that the queries of one sync may read together; the next sync goes on where it stopped.",
        ge=1,
        le=1_000_000,
    )
    identity: Literal["Platform", "Secret"] = Field(
        default="Platform",
        description="Platform: Costhook's own identity, by Workload Identity Federation for GKE or of any other "
        "cluster. Secret: the key of a service account in the Secret that secretRef names.",
    )
    service_account: str | None = Field(
        default=None,
        alias="serviceAccount",
        description="Service account to take on for reading, such as costs@acme-billing.iam.gserviceaccount.com; the "
        "identity needs roles/iam.serviceAccountTokenCreator on it.",
        max_length=256,
        pattern=r"^[a-z0-9-]+@[a-z0-9.-]+$",
    )
    base_url: str | None = Field(
        default=None,
        alias="baseURL",
        description="Address that is asked in place of Google's own ones: a proxy in front of them.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
