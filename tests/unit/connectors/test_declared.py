"""What a manifest may declare of an API: mistakes are told where they are made, before anybody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.checks import check
from reconciler.connectors.declared import Declared, HttpSettings

SECRET = {"name": "Authorization", "value": "Bearer ${secret.apiKey}"}
GOOD: Mapping[str, Any] = {
    "baseURL": "https://api.example.com/v1",
    "vendor": "Acme",
    "request": {"path": "/costs", "headers": [SECRET]},
    "rows": "data",
    "charge": {"billedCost": "amount", "billingCurrency": "'USD'", "chargePeriodStart": "day"},
}


def faults(folder: Path, http: Mapping[str, Any], **spec: Any) -> list[str]:
    """What `costhook check` says of a Provider with this block."""
    provider = {
        "apiVersion": "costhook.io/v1alpha1",
        "kind": "Provider",
        "metadata": {"name": "acme"},
        "spec": {"type": "http", "secretRef": {"name": "acme"}, "http": dict(http), **spec},
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "acme"},
        "stringData": {"apiKey": "acme-0123456789"},
    }
    (folder / "acme.yaml").write_text(yaml.safe_dump_all([secret, provider]))
    return [f"{problem.path}: {problem.message}" for problem in check(folder)]


def test_a_good_manifest_has_no_faults(tmp_path: Path) -> None:
    """A block with all that is needed, and a Secret with the key that it names, is good."""
    assert faults(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": "data["}, "spec.http.rows: no JMESPath expression"),
        ({"rows": "files(data)"}, "spec.http.rows: there is no function files() in JMESPath"),
        ({"request": {"path": "/${begin}"}}, "spec.http.request.path: there is no place ${begin}"),
        ({"request": {"path": "/$start"}}, "spec.http.request.path: a $ begins ${name}; write $$"),
        ({"request": {"path": "/${secret.apiKey}"}}, "belongs into headers, query or basic"),
        ({"request": {"body": "{}"}}, "spec.http.request: a body is sent with method: POST alone"),
        ({"request": {"method": "POST", "body": "{"}}, "spec.http.request.body: not JSON"),
        ({"request": {"method": "POST", "body": '{"a": "${b}"}'}}, "there is no place ${b}"),
        ({"request": {"headers": [{"name": "A", "value": "${secret.a} ${cursor}"}]}}, "into different headers"),
        ({"paging": {"type": "Cursor"}}, "spec.http.paging: type Cursor needs next"),
        ({"paging": {"type": "Cursor", "next": "a"}}, "needs a place ${cursor} in request"),
        ({"paging": {"type": "Offset"}}, "needs a place ${offset} in request"),
        ({"paging": {"type": "Page", "more": "a", "last": "b"}}, "give more or last"),
        ({"charge": {"billedCost": "a"}}, "spec.http.charge.billingCurrency: missing"),
        ({"charge": {**GOOD["charge"], "cost": "a"}}, "spec.http.charge.cost: unknown field"),
        ({"charge": {**GOOD["charge"], "extra": {"note": "a"}}}, "begin with x_"),
        ({"timeZone": "Berlin"}, "spec.http.timeZone: no time zone"),
        ({"amountUnit": "Cents"}, "spec.http.amountUnit"),
    ],
)
def test_a_mistake_is_told_where_it_is(changes: Mapping[str, Any], words: str, tmp_path: Path) -> None:
    """Each fault is named by its field, in words that say what to do."""
    assert any(words in fault for fault in faults(tmp_path, {**GOOD, **changes})), faults(tmp_path, {**GOOD, **changes})


def test_the_keys_that_are_named_have_to_be_there(tmp_path: Path) -> None:
    """A Secret without a key that a place names is missing it, and so is a manifest without secretRef."""
    (fault,) = faults(tmp_path, {**GOOD, "request": {"basic": {"user": "${secret.user}"}}})
    (other,) = faults(tmp_path, GOOD, secretRef=None)

    assert "no Secret acme with a key user" in fault
    assert "secretRef is missing" in other


def test_an_api_without_keys_needs_no_secret(tmp_path: Path) -> None:
    """Where nothing names a secret, none is asked for."""
    assert faults(tmp_path, {**GOOD, "request": {}}, secretRef=None) == []


def test_keys_are_found_wherever_they_are_named() -> None:
    """Headers, query and basic authentication may each name keys; each is read once."""
    request = {
        "headers": [SECRET, SECRET],
        "query": [{"name": "k", "value": "${secret.other}"}],
        "basic": {"user": "${secret.user}", "password": "${secret.apiKey}"},
    }
    settings = HttpSettings.model_validate({**GOOD, "request": request})

    assert [key.name for key in Declared.credential_keys(settings)] == ["other", "apiKey", "user"]
