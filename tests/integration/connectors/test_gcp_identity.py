"""Whose token BigQuery is shown: a service account's by its key, a federated cluster's, or that of the machine."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from reconciler.checks import check
from reconciler.connectors.base import Account
from reconciler.connectors.gcp import GcpSettings
from reconciler.connectors.gcp.endpoints import endpoint
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.gcp_desk import Desk
from tests.integration.connectors.gcp_vendor import TABLE, Vendor, service_account
from tests.integration.connectors.talk import checked

ACCOUNT = "costs@acme-billing.iam.gserviceaccount.com"
READ = "https://www.googleapis.com/auth/cloud-platform.read-only"
ACT = "https://www.googleapis.com/auth/cloud-platform"
METADATA = "/computeMetadata/v1/instance/service-accounts"
METADATA_HOST = "google.auth.compute_engine._metadata._GCE_METADATA_HOST"
"""What the variable GCE_METADATA_HOST says when google-auth is loaded."""


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedServer]:
    """A Google that an administrator's environment names; no other identity of this machine is seen."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    async with ScriptedServer() as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.url)
        yield running


@pytest.fixture
def vendor(server: ScriptedServer) -> Vendor:
    made = Vendor()
    made.open(server)
    return made


async def told(block: Mapping[str, Any], credentials: Mapping[str, str] | None = None) -> Account | ReconcilerError:
    """What `check` finds."""
    desk = Desk({"export": "standard", "table": TABLE, **block}, credentials or {})
    async with desk.opened() as connector:
        return await checked(connector)


async def with_key(server: ScriptedServer, key: str | None = None, **block: Any) -> Account | ReconcilerError:
    given = {"identity": "Secret", "baseURL": server.url, **block}
    return await told(given, {"serviceAccountKey": key or service_account()})


def shown(server: ScriptedServer) -> set[str]:
    """The tokens that BigQuery saw."""
    seen = [request for request in server.requests if request.path.startswith("/bigquery/")]
    return {request.headers["authorization"].removeprefix("Bearer ") for request in seen}


def refused(found: Account | ReconcilerError, reason: str, *words: str) -> None:
    """Fail unless the error has the reason and the words."""
    assert isinstance(found, ReconcilerError)
    assert found.reason == reason, found
    assert all(word in str(found) for word in words), found


async def test_a_key_is_taken_for_a_token(server: ScriptedServer, vendor: Vendor) -> None:
    """The key signs a claim for an hour, which can only read, and goes to Google alone whatever the key itself says."""
    assert isinstance(await with_key(server), Account)
    (claim,) = vendor.claims
    assert {name: claim[name] for name in ("iss", "scope", "aud")} == {
        "iss": ACCOUNT,
        "scope": READ,
        "aud": "https://oauth2.googleapis.com/token",
    }
    assert claim["exp"] - claim["iat"] == 3600
    form = dict(parse_qsl(server.requests[0].body.decode()))
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert shown(server) == {"token-of-google-1"}


async def test_a_token_that_has_ended_is_renewed(server: ScriptedServer, vendor: Vendor) -> None:
    """Once; a second refusal is told."""
    vendor.ended = {"token-of-google-1"}
    assert isinstance(await with_key(server), Account)
    vendor.ended = {f"token-of-google-{number}" for number in range(9)}
    refused(await with_key(server), "Unauthorized", "it has ended", "invalid authentication credentials")
    assert len(vendor.claims) == 4


async def test_a_service_account_is_taken_on(server: ScriptedServer, vendor: Vendor) -> None:
    """The identity's own token may act, what it is exchanged for may read, and BigQuery sees that one alone."""
    assert isinstance(await with_key(server, serviceAccount="reader@acme-billing.iam.gserviceaccount.com"), Account)
    (asked,) = vendor.taken_on
    assert asked.path.endswith("/reader@acme-billing.iam.gserviceaccount.com:generateAccessToken")
    assert asked.headers["authorization"] == "Bearer token-of-google-1"
    assert asked.json() == {"scope": [READ], "lifetime": "3600s"}
    assert vendor.claims[0]["scope"] == ACT
    assert shown(server) == {"token-taken-on-1"}


def federated(server: ScriptedServer, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Path:
    """A pod whose cluster is federated with Google; the file of its token."""
    token, configuration = folder / "token", folder / "configuration.json"
    token.write_text("the-cluster's-token-1")
    told = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{server.url}/v1/token",
        "credential_source": {"file": str(token)},
        **more,
    }
    configuration.write_text(json.dumps(told))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(configuration))
    server.route("POST", "/v1/token", lambda _: Reply.json({"access_token": "token-of-google-federated"}))
    return token


async def test_a_federated_cluster(
    server: ScriptedServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The projected token is read anew for every sync, and taken to the address of the configuration."""
    token = federated(server, tmp_path, monkeypatch)
    assert isinstance(await told({}), Account)
    assert dict(parse_qsl(server.requests[0].body.decode())) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b",
        "scope": READ,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": "the-cluster's-token-1",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    }
    assert shown(server) == {"token-of-google-federated"}
    token.write_text("the-cluster's-token-2")
    before = len(server.requests)
    await told({})
    assert b"token-2" in server.requests[before].body


async def test_a_federated_cluster_takes_on_a_service_account(
    server: ScriptedServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the configuration says, whose address is an administrator's."""
    url = f"{server.url}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
    federated(server, tmp_path, monkeypatch, service_account_impersonation_url=url)
    assert isinstance(await told({}), Account)
    assert dict(parse_qsl(server.requests[0].body.decode()))["scope"] == ACT
    assert vendor.taken_on[0].json()["scope"] == [READ]
    assert shown(server) == {"token-taken-on-1"}


async def test_the_metadata_server_gives_the_pods_token(
    server: ScriptedServer, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On GKE, google-auth asks beside the pod."""
    asked: list[Request] = []

    def token(request: Request) -> Reply:
        asked.append(request)
        headers = {"Metadata-Flavor": "Google"}
        return Reply.json({"access_token": "token-of-google-pod", "expires_in": 3599}, headers=headers)

    account = {"email": ACCOUNT, "scopes": [], "aliases": ["default"]}
    metadata = {"Metadata-Flavor": "Google"}
    server.route("GET", f"{METADATA}/*", lambda _: Reply.json(account, headers=metadata))
    server.route("GET", f"{METADATA}/default/token", token)
    server.route("GET", f"{METADATA}/{ACCOUNT}/token", token)
    monkeypatch.setattr(METADATA_HOST, server.url.removeprefix("http://"))
    assert isinstance(await told({}), Account)
    assert asked[0].headers["metadata-flavor"] == "Google"
    assert shown(server) == {"token-of-google-pod"}


async def test_a_machine_without_an_identity(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither a configuration nor a metadata server gives a token, the ways to an identity are named."""
    monkeypatch.setattr(METADATA_HOST, server.url.removeprefix("http://"))
    refused(await told({}), "InvalidSettings", "gives Costhook no Google identity", "gcp.identity to Secret")


@pytest.mark.parametrize(
    "key", ["not JSON", "[]", "{}", '{"private_key": "x"}', '{"private_key": "x", "client_email": "a@b"}']
)
async def test_what_is_no_key_is_told(key: str, server: ScriptedServer) -> None:
    """Nothing is sent, and the words say which file is wanted."""
    refused(await with_key(server, key), "InvalidSecret", "gcloud iam service-accounts keys create")
    assert not server.requests


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("nonsense", "no credential configuration"),
        ('{"type": "external_account"}', "no credential configuration"),
        ('{"type": "external_account", "credential_source": {"executable": {"command": "x"}}}', "no credential"),
    ],
    ids=["no file", "nonsense", "no source", "a program"],
)
async def test_what_is_no_configuration_is_told(
    content: str | None, words: str, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration that names no token, or a program to run, is no identity."""
    file = tmp_path / "configuration.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    refused(await told({}), "InvalidSettings", words)
    assert not server.requests


@pytest.mark.parametrize(
    ("status", "answer", "kind", "reason", "words"),
    [
        (
            400,
            {"error": "invalid_grant", "error_description": "Invalid JWT Signature."},
            NeedsPerson,
            "Unauthorized",
            "key",
        ),
        (
            400,
            {"error": "invalid_grant", "error_description": "Invalid JWT: Token must be a short-lived token"},
            RetryLater,
            "VendorUnavailable",
            "clock by NTP",
        ),
        (401, {"error": "invalid_client"}, NeedsPerson, "Unauthorized", "invalid_client"),
        (503, {}, RetryLater, "VendorUnavailable", "503"),
        (200, {"token": "x"}, ReconcilerError, "UnexpectedAnswer", "access_token"),
    ],
    ids=["deleted", "clock", "unknown", "busy", "another shape"],
)
async def test_refused_keys_say_what_to_do(
    status: int, answer: Mapping[str, Any], kind: type[ReconcilerError], reason: str, words: str, server: ScriptedServer
) -> None:
    """What the token service says becomes words about the key, and about this machine's clock."""
    server.route("POST", "/token", lambda _: Reply.json(answer, status=status))
    found = await with_key(server)
    assert isinstance(found, kind)
    refused(found, reason, words)


async def test_refused_federation_says_what_to_do(
    server: ScriptedServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An expired token of the cluster, and an account that may not be taken on, are told apart; no token shows."""
    url = f"{server.url}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
    federated(server, tmp_path, monkeypatch, service_account_impersonation_url=url)
    denied = {"error": {"code": 403, "message": "Permission 'iam.serviceAccounts.getAccessToken' denied"}}
    server.route("POST", "/v1/projects/-/serviceAccounts/*", lambda _: Reply.json(denied, status=403))
    refused(await told({}), "Forbidden", "roles/iam.workloadIdentityUser", "getAccessToken")

    def stale(request: Request) -> Reply:
        said = f"stale to sign-in: the-cluster's-token-1, {request.body.decode()}"
        return Reply.json({"error": "invalid_grant", "error_description": said}, status=400)

    server.route("POST", "/v1/token", stale)
    found = await told({})
    refused(found, "Unauthorized", "restart the pod", "stale to sign-in")
    assert "token-1" not in str(found)


def test_a_manifest_says_nothing_of_where_the_platforms_identity_goes(tmp_path: Path) -> None:
    """baseURL takes a key of one's own: a stranger's address never sees the platform's token."""
    block = {"export": "standard", "table": TABLE, "baseURL": "https://stranger.example"}
    manifest = {"apiVersion": "costhook.io/v1alpha1", "kind": "Provider", "metadata": {"name": "gcp"}}
    (tmp_path / "gcp.yaml").write_text(json.dumps({**manifest, "spec": {"type": "gcp", "gcp": block}}))

    (fault,) = check(tmp_path)
    assert "shown to Google alone" in str(fault)
    settings = GcpSettings.model_validate(block)
    assert endpoint("bigquery", settings, {}) == "https://bigquery.googleapis.com"
    assert endpoint("iamcredentials", settings, {}) == "https://iamcredentials.googleapis.com"


async def test_without_google_auth_a_person_learns_how_to_install_it(
    server: ScriptedServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra of the package is named, and nothing was sent, whatever the identity."""
    monkeypatch.setitem(sys.modules, "google.auth", None)
    for name in [name for name in sys.modules if name.startswith("google.auth.")]:
        monkeypatch.delitem(sys.modules, name)
    found = [await with_key(server), await told({})]
    federated(server, tmp_path, monkeypatch)
    for error in [*found, await told({})]:
        refused(error, "BrokenConnector", "costhook[gcp]")
    assert not server.requests
