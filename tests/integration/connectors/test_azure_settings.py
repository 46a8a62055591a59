"""What `spec.azure` may say, and what is said about the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.checks import check
from reconciler.connectors.azure import Azure, AzureSettings
from reconciler.connectors.azure.bill import Scope
from tests.integration.connectors.azure_vendor import CLIENT, SCOPE

PROVIDER = {"apiVersion": "costhook.io/v1alpha1", "kind": "Provider", "metadata": {"name": "azure"}}


@pytest.mark.parametrize(
    "scope",
    [
        SCOPE,
        SCOPE.lower().lstrip("/"),
        f"{SCOPE}/resourceGroups/rg-web_1.(x)",
        "/providers/Microsoft.Management/managementGroups/acme-root",
        "/providers/microsoft.billing/billingaccounts/8608480",
        "/providers/Microsoft.Billing/billingAccounts/aaaa:bbbb_2019-05-31/billingProfiles/AB-CD/invoiceSections/X",
    ],
)
def test_scopes_as_azure_writes_them(scope: str, tmp_path: Path) -> None:
    """Every kind of scope is accepted as the portal shows it."""
    block = {"source": "query", "scope": scope}
    (tmp_path / "a.yaml").write_text(json.dumps({**PROVIDER, "spec": {"type": "azure", "azure": block}}))
    assert check(tmp_path) == []
    assert Scope(AzureSettings.model_validate(block)).path == f"/{scope.strip('/')}"


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"source": "query"}, "source query needs a scope"),
        ({"source": "query", "scope": "my-subscription"}, "must be /subscriptions/ID"),
        ({"source": "query", "scope": "/subscriptions/not-a-uuid"}, "is a UUID"),
        ({"source": "query", "scope": f"{SCOPE}/resourceGroups/a/providers/b"}, "must be /subscriptions/ID"),
        ({"source": "query", "scope": f"{SCOPE}?x=1"}, "must be /subscriptions/ID"),
        ({"source": "query", "scope": SCOPE, "baseURL": "https://stranger.example"}, "shown to Azure alone"),
        ({"source": "query", "scope": SCOPE, "identity": "Secret", "clientID": CLIENT}, "needs tenantID and clientID"),
        ({"source": "export"}, "needs the block export"),
        ({"source": "export", "export": {"account": "a-b", "container": "focus"}}, "account"),
        ({"source": "query", "scope": SCOPE, "export": {"account": "abc", "container": "focus"}}, "is for source: exp"),
    ],
)
def test_settings_that_do_not_fit_say_why(block: dict[str, Any], words: str, tmp_path: Path) -> None:
    """A manifest learns what to write before anything is asked."""
    (tmp_path / "a.yaml").write_text(json.dumps({**PROVIDER, "spec": {"type": "azure", "azure": block}}))
    faults = check(tmp_path)
    assert any(words in str(fault) for fault in faults), faults


def test_what_the_data_is_like_depends_on_where_it_is_read() -> None:
    """Exports are files of lines, without bounds of the Query API; a Secret is read where the settings say so."""
    asked = AzureSettings.model_validate({"source": "query", "scope": SCOPE})
    exported = AzureSettings.model_validate({"source": "export", "identity": "Secret"})
    assert Azure.traits_of(asked) is Azure.traits
    traits = Azure.traits_of(exported)
    assert (traits.origin, traits.grain, traits.reach, traits.rate_limit) == ("file", "Line", None, None)
    assert Azure.credential_keys(asked) == ()
    assert [key.name for key in Azure.credential_keys(exported)] == ["clientSecret", "sasToken"]
