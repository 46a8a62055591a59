"""What a manifest says in `spec.azure`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from reconciler.connectors.base import Settings
from reconciler.connectors.rules import rules

Split = Literal["Meter", "Region", "ResourceGroup", "Subscription"]

GUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
PART = "[^/?#% ]+"
SCOPE = (
    f"(?i)^/?(subscriptions/{GUID}(/resourceGroups/{PART})?"
    f"|providers/Microsoft[.]Management/managementGroups/{PART}"
    f"|providers/Microsoft[.]Billing/billingAccounts/{PART}"
    f"(/(billingProfiles|customers|departments|enrollmentAccounts|invoiceSections)/{PART})*)/?$"
)

Scope = Annotated[
    str,
    Field(
        max_length=512,
        json_schema_extra=rules(
            (
                f"self.matches('{SCOPE}')",
                (
                    "must be /subscriptions/ID, /subscriptions/ID/resourceGroups/NAME, "
                    "/providers/Microsoft.Management/managementGroups/NAME or "
                    "/providers/Microsoft.Billing/billingAccounts/ID, where an ID of a subscription is a UUID"
                ),
            )
        ),
    ),
]
"""A scope as Azure writes it: the path of what is billed."""


class QuerySettings(Settings):
    """How the Query API is asked."""

    split_by: Split | None = Field(
        default=None,
        alias="splitBy",
        description="What the costs of a service are split by: Meter, Region, ResourceGroup or Subscription. If "
        "absent, a subscription's are split by resource group, a resource group's by region, wider scopes' by "
        "subscription.",
    )


class ExportSettings(Settings):
    """Where Azure delivers exports of type FocusCost."""

    account: str = Field(
        description="The storage account that exports are delivered to.",
        max_length=24,
        pattern=r"^[a-z0-9]{3,24}$",
    )
    container: str = Field(
        description="The container in it.", max_length=63, pattern=r"^[a-z0-9]([a-z0-9]|-[a-z0-9]){2,62}$"
    )
    prefix: str = Field(
        default="",
        description="The directory that was given when the export was made; exports below it are read.",
        max_length=512,
        pattern=r"^[^/\x00-\x1f]*(/[^/\x00-\x1f]+)*$",
    )


class AzureSettings(Settings):
    """The block `spec.azure` of a Provider."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.baseURL) || (has(self.identity) && self.identity == 'Secret')",
                "baseURL only with identity: Secret; the platform's identity is shown to Azure alone",
            ),
            ("self.source != 'query' || has(self.scope)", "source query needs a scope, such as /subscriptions/ID"),
            (
                (
                    "self.source != 'query' || !has(self.identity) || self.identity != 'Secret' "
                    "|| (has(self.tenantID) && has(self.clientID))"
                ),
                "identity: Secret needs tenantID and clientID of the app registration whose secret it is",
            ),
            (
                "self.source != 'export' || has(self.export)",
                "source export needs the block export, with account, container",
            ),
            ("!has(self.export) || self.source == 'export'", "export is for source: export"),
            ("!has(self.query) || self.source == 'query'", "query is for source: query"),
        )
    )

    source: Literal["export", "query"] = Field(
        description="query: costs by day, service and one more dimension, from the Query API of Cost Management. "
        "export: every line, from exports of type FocusCost in Blob storage.",
    )
    scope: Scope | None = Field(
        default=None,
        description="What is billed: a subscription, resource group, management group or billing account, by its "
        "path, such as /subscriptions/11111111-2222-3333-4444-555555555555. For source export it may pick one "
        "scope's exports out of several.",
    )
    identity: Literal["Platform", "Secret"] = Field(
        default="Platform",
        description="Platform: Costhook's own identity, by workload identity or a managed identity. Secret: the "
        "client secret, or for exports a SAS token, in the Secret that secretRef names.",
    )
    tenant_id: str | None = Field(
        default=None,
        alias="tenantID",
        description="Directory (tenant) ID of the app registration.",
        max_length=253,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$",
    )
    client_id: str | None = Field(
        default=None,
        alias="clientID",
        description="Application (client) ID of the app registration, or the client ID of a managed identity.",
        max_length=36,
        pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
    )
    query: QuerySettings = Field(default_factory=QuerySettings, description="Settings of source query.")
    export: ExportSettings | None = Field(default=None, description="Settings of source export.")
    base_url: str | None = Field(
        default=None,
        alias="baseURL",
        description="Address that is asked in place of Azure's own ones: a proxy in front of them.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
