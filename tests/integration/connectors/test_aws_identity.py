"""Whose keys sign requests to AWS: an access key, a role taken on with it, or what the platform gives."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.checks import check
from reconciler.connectors.aws import AwsSettings
from reconciler.connectors.aws.endpoints import endpoint
from reconciler.connectors.base import Account
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.aws_vendor import KEY_ID, TEXT_XML, Vendor, refusal, xml_refusal
from tests.integration.connectors.talk import checked, read_days
from tests.integration.connectors.test_aws import AFTER, FIRST, asking

ROLE = "arn:aws:iam::123456789012:role/CostReader"
POD = {"AccessKeyId": "ASIAPOD", "SecretAccessKey": "pod-secret-0123", "Token": "pod-token-0123"}


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An AWS that an administrator's environment names; no other identity of this machine is seen."""
    for name in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with ScriptedServer() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", running.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_COST_EXPLORER", running.url)
        yield running


@pytest.fixture
def vendor(server: ScriptedServer) -> Vendor:
    made = Vendor()
    made.open(server)
    return made


def web_identity(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """IAM Roles for Service Accounts, as its webhook sets a pod up."""
    file = folder / "token"
    file.write_text("web-identity-token-1\n")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/Costhook")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(file))
    return file


def signer(request: Request) -> str:
    return request.headers["authorization"].partition("Credential=")[2].partition("/")[0]


async def test_a_role_is_taken_on_with_the_access_key(server: ScriptedServer, vendor: Vendor) -> None:
    """The key signs nothing but the asking for the role, with the external id and a name that says who asks."""
    async with asking(server.url, {"roleARN": ROLE, "externalID": "costhook-4711"}) as connector:
        assert await connector.check() == Account("123456789012", None, await notes(connector))

    assert vendor.roles[0] == {
        "Action": "AssumeRole",
        "RoleArn": ROLE,
        "RoleSessionName": "team-a.aws",
        "ExternalId": "costhook-4711",
        "Version": "2011-06-15",
    }
    assert [signer(request) for request in server.requests[:3]] == [KEY_ID, "ASIA1", "ASIA1"]
    assert "x-amz-security-token" in server.requests[1].headers


async def notes(connector: Any) -> tuple[str, ...]:
    return tuple((await connector.check()).notes)


async def test_the_session_names_the_provider(server: ScriptedServer, vendor: Vendor) -> None:
    """Long names keep apart when they are cut to what AWS takes."""
    names = set()
    for name in ("a" * 80 + "1", "a" * 80 + "2"):
        async with asking(server.url, {"roleARN": ROLE}, name=name) as connector:
            await connector.check()
        names.add(vendor.roles[-2]["RoleSessionName"])
    assert len(names) == 2
    assert {len(name) for name in names} == {64}


async def test_a_service_account_has_a_role(
    server: ScriptedServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token in the file is taken for keys, unsigned, and read anew each time: the platform replaces it."""
    file = web_identity(monkeypatch, tmp_path)
    async with asking(server.url, {"roleARN": ROLE}, {}) as connector:
        await connector.check()
    file.write_text("web-identity-token-2")
    async with asking(server.url, credentials={}) as connector:
        await connector.check()

    assert vendor.roles[0] == {
        "Action": "AssumeRoleWithWebIdentity",
        "RoleArn": "arn:aws:iam::123456789012:role/Costhook",
        "RoleSessionName": "team-a.aws",
        "WebIdentityToken": "web-identity-token-1",
        "Version": "2011-06-15",
    }
    assert "authorization" not in server.requests[0].headers
    assert [role["Action"] for role in vendor.roles[1:3]] == ["AssumeRole", "GetCallerIdentity"]
    assert vendor.roles[3]["WebIdentityToken"] == "web-identity-token-2"


async def test_pod_identity_gives_keys(
    server: ScriptedServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address beside the pod is asked with the token in the file, and its keys sign."""
    file = tmp_path / "token"
    file.write_text("pod-identity-token")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    given = {**POD, "Expiration": "2099-01-01T00:00:00Z"}
    server.route("GET", "/v1/credentials", lambda _: Reply.json(given))
    async with asking(server.url, credentials={}) as connector:
        await connector.check()

    assert server.requests[0].headers["authorization"] == "pod-identity-token"
    assert [signer(request) for request in server.requests[1:]] == ["ASIAPOD", "ASIAPOD"]


async def test_pod_identity_that_gives_none(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is not the platform's is not asked, and the error says what to set up."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://vendor.example/v1/credentials")
    async with asking(server.url, credentials={}) as connector:
        with pytest.raises(NeedsPerson, match="Pod Identity gives no keys"):
            await connector.check()


ROLES = "/latest/meta-data/iam/security-credentials/"


def instance(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of EC2 that has an instance profile: its metadata service, version 2."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
    given = {**POD, "Code": "Success", "Expiration": "2099-01-01T00:00:00Z"}

    def told(reply: Reply) -> Any:
        def answer(request: Request) -> Reply:
            return reply if request.headers.get("x-aws-ec2-metadata-token") == "v2-token" else Reply(401)

        return answer

    server.route("PUT", "/latest/api/token", lambda _: Reply(body=b"v2-token"))
    server.route("GET", ROLES, told(Reply(body=b"node")))
    server.route("GET", f"{ROLES}node", told(Reply.json(given)))


async def test_the_machines_own_role_gives_keys(
    server: ScriptedServer, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing else is set up, EC2's metadata service is asked with a token of its own, and its keys sign."""
    instance(server, monkeypatch)
    async with asking(server.url, {"roleARN": ROLE}, {}) as connector:
        await connector.check()

    asked = [(request.method, request.path) for request in server.requests[:3]]
    assert asked == [("PUT", "/latest/api/token"), ("GET", ROLES), ("GET", f"{ROLES}node")]
    assert [signer(request) for request in server.requests[3:]] == ["ASIAPOD", "ASIA1", "ASIA1"]


async def test_the_machines_role_comes_last(
    server: ScriptedServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod with an identity of its own never takes that of its node."""
    instance(server, monkeypatch)
    web_identity(monkeypatch, tmp_path)
    async with asking(server.url, credentials={}) as connector:
        await connector.check()
    assert not [request for request in server.requests if request.path.startswith("/latest")]


@pytest.mark.parametrize("fault", ["version 1", "no role", "nonsense", "nobody", "disabled"])
async def test_a_machine_without_a_role(fault: str, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the second version of the service, or without a role, a person learns what to set up."""
    instance(server, monkeypatch)
    if fault == "version 1":
        server.route("PUT", "/latest/api/token", lambda _: Reply(404))
    elif fault == "no role":
        server.route("GET", ROLES, lambda _: Reply(404))
    elif fault == "nonsense":
        server.route(
            "GET", f"{ROLES}node", lambda _: Reply.json({"Code": "AssumeRoleUnauthorizedAccess", "Message": ""})
        )
    elif fault == "nobody":
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/")
    else:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with asking(server.url, credentials={}) as connector:
        with pytest.raises(NeedsPerson, match="gives Costhook no AWS identity"):
            await connector.check()
    assert len(server.requests) <= {"version 1": 1, "no role": 3, "nonsense": 3}.get(fault, 0)


async def test_nobody_is_told_so(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without an identity, or with a token that cannot be read, a person learns what to set up."""
    async with asking(server.url, credentials={}) as connector:
        with pytest.raises(NeedsPerson, match=r"gives Costhook no AWS identity.*aws.identity to Secret"):
            await connector.check()
    web_identity(monkeypatch, tmp_path).unlink()
    async with asking(server.url, credentials={}) as connector:
        with pytest.raises(NeedsPerson, match=r"token .* cannot be read \(No such file"):
            await connector.check()
    assert not server.requests


@pytest.mark.parametrize("lasting", [False, True])
async def test_keys_that_end_are_renewed_once(lasting: bool, server: ScriptedServer, vendor: Vendor) -> None:
    """A session that ended in the middle of a sync is begun anew, and not for ever."""
    ended = refusal("ExpiredTokenException", "The security token included in the request is expired")
    vendor.refused = [ended, *([ended] if lasting else [])]
    async with asking(server.url, {"roleARN": ROLE}) as connector:
        if lasting:
            with pytest.raises(NeedsPerson, match="has ended"):
                await read_days(connector, FIRST, AFTER)
        else:
            assert await read_days(connector, FIRST, AFTER) == []
    assert [role["Action"] for role in vendor.roles] == ["AssumeRole", "AssumeRole"]


@pytest.mark.parametrize(
    ("reply", "kind", "reason", "words"),
    [
        (
            xml_refusal("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole on resource: y"),
            NeedsPerson,
            "Forbidden",
            "trust policy must name the identity.*externalID",
        ),
        (
            xml_refusal("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
            NeedsPerson,
            "Forbidden",
            "trust the cluster's OIDC provider",
        ),
        (xml_refusal("InvalidIdentityToken", "odd", 400), NeedsPerson, "Unauthorized", "OIDC provider"),
        (xml_refusal("InvalidClientTokenId", "odd"), NeedsPerson, "Unauthorized", "mistyped"),
        (xml_refusal("IDPCommunicationError", "odd", 400), RetryLater, "VendorUnavailable", "OIDC provider"),
        (xml_refusal("Throttling", "Rate exceeded", 400), RetryLater, "RateLimited", "too often"),
        (Reply(body=b"<a>", headers=TEXT_XML), ReconcilerError, "UnexpectedAnswer", "not XML"),
        (Reply(body=b"<a/>", headers=TEXT_XML), ReconcilerError, "UnexpectedAnswer", "no AccessKeyId"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_refused_roles_say_what_to_do(
    reply: Reply, kind: type[Exception], reason: str, words: str, server: ScriptedServer
) -> None:
    """STS's refusals become words about roles and trust."""
    server.route("POST", "/", lambda _: reply)
    async with asking(server.url, {"roleARN": ROLE}) as connector:
        found = await checked(connector)
    assert isinstance(found, kind)
    with pytest.raises(kind, match=words):
        raise found
    assert getattr(found, "reason", None) == reason


async def test_tokens_stay_out_of_messages(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the web identity token nor what STS gives for it shows when AWS repeats it in an error."""
    web_identity(monkeypatch, tmp_path)
    server.route("POST", "/", lambda request: xml_refusal("Odd", f"about {request.body.decode()}", 400))
    async with asking(server.url, credentials={}) as connector:
        found = await checked(connector)
    assert "web-identity-token" not in str(found)
    assert "about" in str(found)


def test_a_manifest_says_nothing_of_where_the_platforms_identity_goes(tmp_path: Path) -> None:
    """baseURL takes an access key of one's own: a stranger's address never sees the platform's token."""
    block = {"source": "costExplorer", "baseURL": "https://stranger.example"}
    manifest = {"apiVersion": "costhook.io/v1alpha1", "kind": "Provider", "metadata": {"name": "aws"}}
    (tmp_path / "aws.yaml").write_text(json.dumps({**manifest, "spec": {"type": "aws", "aws": block}}))

    (fault,) = check(tmp_path)
    assert "shown to AWS alone" in str(fault)
    settings = AwsSettings.model_validate(block)
    assert endpoint("sts", settings, {}) == "https://sts.us-east-1.amazonaws.com"
    assert endpoint("ce", settings, {}) == "https://ce.us-east-1.amazonaws.com"


async def test_without_botocore_a_person_learns_how_to_install_it(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra of the package is named, and nothing was sent."""
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    monkeypatch.setitem(sys.modules, "botocore.credentials", None)
    async with asking(server.url) as connector:
        found = await checked(connector)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/v1/credentials")
    async with asking(server.url, credentials={}) as connector:
        other = await checked(connector)

    for error in (found, other):
        assert isinstance(error, NeedsPerson)
        assert "costhook[aws]" in str(error)
        assert error.reason == "BrokenConnector"
    assert not server.requests


async def test_moto_gives_a_role(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Against moto: a web identity's keys, and a role's on top of them, open Cost Explorer."""
    web_identity(monkeypatch, tmp_path)
    for name in ("STS", "COST_EXPLORER"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", moto)
    async with asking(moto, {"roleARN": ROLE, "externalID": "costhook-4711"}, {}) as connector:
        found = await connector.check()
        assert found.id == "123456789012"
        assert found.notes[0] == "As arn:aws:sts::123456789012:assumed-role/CostReader/team-a.aws."
        assert await read_days(connector, FIRST, AFTER) == []
