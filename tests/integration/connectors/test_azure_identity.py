"""Who asks Azure: an app registration's secret, a service account's token, or what the platform gives."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.connectors.azure import AzureSettings
from reconciler.connectors.azure.endpoints import container_url, endpoint
from reconciler.connectors.azure.identity import FEDERATED
from reconciler.connectors.azure.settings import ExportSettings
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.azure_vendor import CLIENT, SECRET, TENANT, Vendor, entra, refusal, use
from tests.integration.connectors.talk import checked, read_days
from tests.integration.connectors.test_azure import AFTER, FIRST, asking

VARIABLES = (
    "AZURE_AUTHORITY_HOST",
    "AZURE_BLOB_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_RESOURCE_MANAGER_HOST",
    "AZURE_TENANT_ID",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An Azure that an administrator's environment names; no other identity of this machine is seen."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    async with ScriptedServer() as running:
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", f"{running.url}/")
        monkeypatch.setenv("AZURE_RESOURCE_MANAGER_HOST", running.url)
        yield running


@pytest.fixture
def vendor(server: ScriptedServer) -> Vendor:
    made = Vendor([use(FIRST, "1")])
    made.open(server)
    return made


def workload_identity(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Workload identity, as its webhook sets a pod up."""
    file = folder / "token"
    file.write_text("service-account-token-1\n")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(file))
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    return file


async def test_a_client_secret_is_shown_to_entra_alone(server: ScriptedServer, vendor: Vendor) -> None:
    """The secret goes into the body of one request, and a token into all others."""
    async with asking(server.url) as connector:
        assert len(await read_days(connector, FIRST, AFTER)) == 1

    assert vendor.logins == [
        {
            "client_id": CLIENT,
            "client_secret": SECRET,
            "grant_type": "client_credentials",
            "scope": "https://management.azure.com/.default",
        }
    ]
    assert [SECRET in request.body.decode() for request in server.requests] == [True] + [False] * 4


async def test_a_service_account_is_known_to_entra(
    server: ScriptedServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token in the file is taken for one of Entra's, and read anew each time: the platform replaces it."""
    file = workload_identity(monkeypatch, tmp_path)
    async with asking(server.url, credentials={}) as connector:
        await connector.check()
    file.write_text("service-account-token-2")
    async with asking(server.url, credentials={}) as connector:
        await connector.check()

    assert vendor.logins[0] == {
        "client_id": CLIENT,
        "client_assertion_type": FEDERATED,
        "client_assertion": "service-account-token-1",
        "grant_type": "client_credentials",
        "scope": "https://management.azure.com/.default",
    }
    assert vendor.logins[1]["client_assertion"] == "service-account-token-2"


async def test_a_provider_may_name_an_app_of_its_own(
    server: ScriptedServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """clientID and tenantID of the manifest go before those of the pod."""
    workload_identity(monkeypatch, tmp_path)
    monkeypatch.setenv("AZURE_CLIENT_ID", "00000000-0000-0000-0000-000000000000")
    monkeypatch.delenv("AZURE_TENANT_ID")
    async with asking(server.url, {"clientID": CLIENT, "tenantID": TENANT}, {}) as connector:
        await connector.check()
    assert vendor.logins[0]["client_id"] == CLIENT


async def test_a_managed_identity_gives_a_token(
    server: ScriptedServer, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure's own library asks the address beside the machine, for the identity that the manifest names."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-platform")
    given = {"access_token": "eyJ-token-0", "expires_on": "4102444800", "resource": "x", "token_type": "Bearer"}
    server.route("GET", "/msi/token", lambda _: Reply.json(given))
    async with asking(server.url, {"clientID": CLIENT}, {}) as connector:
        await connector.check()

    asked = server.requests[0]
    assert asked.headers["x-identity-header"] == "header-of-the-platform"
    assert (asked.first("resource"), asked.first("client_id")) == ("https://management.azure.com", CLIENT)
    assert not vendor.logins


async def test_a_managed_identity_that_is_none(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the platform knows no such identity, a person learns what to set up."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-platform")
    server.route("GET", "/msi/token", lambda _: Reply.json({"error": {"code": "no identity"}}, 400))
    async with asking(server.url, credentials={}) as connector:
        with pytest.raises(NeedsPerson, match=r"managed identity gives no token.*azure.identity to Secret"):
            await connector.check()


async def test_half_an_identity_is_none(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that cannot be read, or nobody it could be of, is told before anything is asked."""
    file = workload_identity(monkeypatch, tmp_path)
    file.unlink()
    async with asking(server.url, credentials={}) as connector:
        with pytest.raises(NeedsPerson, match=r"token .* cannot be read \(No such file"):
            await connector.check()
    monkeypatch.delenv("AZURE_CLIENT_ID")
    async with asking(server.url, credentials={}) as connector:
        with pytest.raises(NeedsPerson, match=r"azure\.clientID is missing"):
            await connector.check()
    async with asking(server.url, credentials={"clientSecret": " "}) as connector:
        with pytest.raises(NeedsPerson, match="needs clientSecret") as caught:
            await connector.check()
    assert caught.value.reason == "InvalidSecret"
    assert not server.requests


@pytest.mark.parametrize("lasting", [False, True])
async def test_tokens_that_end_are_renewed_once(lasting: bool, server: ScriptedServer, vendor: Vendor) -> None:
    """A token that ended in the middle of a sync is replaced, and not for ever."""
    ended = refusal("ExpiredAuthenticationToken", "The access token has expired.", 401)
    vendor.refused = [ended, *([ended] if lasting else [])]
    async with asking(server.url) as connector:
        if lasting:
            with pytest.raises(NeedsPerson, match="does not accept the identity's token") as caught:
                await read_days(connector, FIRST, AFTER)
            assert caught.value.reason == "Unauthorized"
        else:
            assert len(await read_days(connector, FIRST, AFTER)) == 1
    assert len(vendor.logins) == 2


@pytest.mark.parametrize(
    ("reply", "kind", "reason", "words"),
    [
        (entra("AADSTS700016: Application x was not found", 400), NeedsPerson, "Unauthorized", "no such app"),
        (entra("AADSTS7000215: Invalid client secret provided."), NeedsPerson, "Unauthorized", "its value.*not its ID"),
        (entra("AADSTS7000222: The client secret keys are expired"), NeedsPerson, "Unauthorized", "has expired"),
        (entra("AADSTS70021: No matching federated identity record"), NeedsPerson, "Unauthorized", "issuer, subject"),
        (entra("AADSTS700213: No matching federated identity"), NeedsPerson, "Unauthorized", "system:serviceaccount"),
        (entra("AADSTS700024: Client assertion is not within its time"), RetryLater, "VendorUnavailable", "clock"),
        (entra("AADSTS90002: Tenant 'x' not found", 400), NeedsPerson, "InvalidSettings", r"no such tenant.*tenantID"),
        (entra("AADSTS53003: Access has been blocked"), NeedsPerson, "Forbidden", "conditional access"),
        (entra("AADSTS1: odd", 400), NeedsPerson, "BadRequest", "refused the identity .400.*AADSTS1: odd"),
        (Reply(400, b"odd"), NeedsPerson, "BadRequest", "refused the identity .400.*odd"),
        (Reply.json({"error": "temporarily_unavailable"}, 503), RetryLater, "VendorUnavailable", "503"),
        (Reply.json({"token": "x"}), ReconcilerError, "UnexpectedAnswer", "access_token"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_refused_identities_say_what_to_do(
    reply: Reply, kind: type[Exception], reason: str, words: str, server: ScriptedServer
) -> None:
    """Entra's refusals become words about apps, secrets and federated credentials."""
    server.route("POST", f"/{TENANT}/oauth2/v2.0/token", lambda _: reply)
    async with asking(server.url) as connector:
        found = await checked(connector)
    with pytest.raises(kind, match=words):
        raise found if isinstance(found, Exception) else AssertionError(found)
    assert getattr(found, "reason", None) == reason


async def test_tokens_stay_out_of_messages(
    server: ScriptedServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the service account's token nor Entra's shows when Azure repeats it in an error."""
    workload_identity(monkeypatch, tmp_path)
    vendor.refused = [refusal("Odd", "about Bearer eyJ-token-1")]
    async with asking(server.url, credentials={}) as connector:
        after = await checked(connector)
    server.route("POST", f"/{TENANT}/oauth2/v2.0/token", lambda request: entra(f"about {request.body.decode()}"))
    async with asking(server.url, credentials={}) as connector:
        before = await checked(connector)
    for found in (after, before):
        assert "about" in str(found)
        assert "eyJ-token" not in str(found)
        assert "service-account-token" not in str(found)


def test_a_manifest_says_nothing_of_where_the_platforms_identity_goes() -> None:
    """Only an administrator's environment names other addresses than Azure's for it."""
    block = {"source": "export", "baseURL": "https://stranger.example"}
    settings = AzureSettings.model_validate(block)
    export = ExportSettings(account="acmebilling", container="focus")
    assert endpoint("authority", settings, {}) == "https://login.microsoftonline.com"
    assert endpoint("management", settings, {}) == "https://management.azure.com"
    assert container_url(export, settings, {}) == "https://acmebilling.blob.core.windows.net/focus"
    own = {"AZURE_BLOB_HOST": "https://blob.corp.example/"}
    assert container_url(export, settings, own) == "https://blob.corp.example/acmebilling/focus"


async def test_without_azure_identity_a_person_learns_how_to_install_it(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra of the package is named; a secret and a service account's token need no library."""
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    async with asking(server.url, credentials={}) as connector:
        found = await checked(connector)
    assert isinstance(found, NeedsPerson)
    assert "costhook[azure]" in str(found)
    assert found.reason == "BrokenConnector"
    assert not server.requests
