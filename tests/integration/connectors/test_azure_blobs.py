"""Blob storage as the Azure connector reads it: lists, and refusals that azurite does not know."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.azure_exports import ExportDesk


def blob_refusal(code: str, message: str, status: int = 403) -> Reply:
    body = f"\ufeff<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(status, body.encode(), {"Content-Type": "application/xml"})


def listed(blobs: str, marker: str = "") -> Reply:
    body = f"\ufeff<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    return Reply(body=body.encode(), headers={"Content-Type": "application/xml"})


def blob(name: str, modified: str = "Fri, 20 Mar 2026 06:00:00 GMT", etag: str = "0x1", coded: str = "false") -> str:
    properties = f"<Properties><Last-Modified>{modified}</Last-Modified><Etag>{etag}</Etag></Properties>"
    return f"<Blob><Name Encoded='{coded}'>{name}</Name>{properties}</Blob>"


@pytest.mark.parametrize(
    ("reply", "kind", "reason", "words"),
    [
        (blob_refusal("AuthenticationFailed", "signature"), NeedsPerson, "Unauthorized", "not copied whole"),
        (blob_refusal("AuthorizationFailure", "x"), NeedsPerson, "Forbidden", "firewall"),
        (blob_refusal("KeyBasedAuthenticationNotPermitted", "x"), NeedsPerson, "Forbidden", "takes no SAS"),
        (blob_refusal("Odd", "x"), NeedsPerson, "Forbidden", "Storage Blob Data Reader"),
        (Reply(403, b"no"), NeedsPerson, "Forbidden", "Storage Blob Data Reader"),
        (blob_refusal("InvalidQueryParameterValue", "x", 400), NeedsPerson, "BadRequest", "Azure refused"),
        (blob_refusal("ServerBusy", "x", 503), RetryLater, "VendorUnavailable", "503"),
        (Reply(body=b"<Other/>"), Bug, "UnexpectedAnswer", "answered a list with Other"),
        (Reply(body=b"nonsense"), Bug, "UnexpectedAnswer", "not XML"),
        (listed(blob("costs/a", "soon")), Bug, "UnexpectedAnswer", "time that is none"),
        (listed(blob("costs/a", etag="")), Bug, "UnexpectedAnswer", "without its name or ETag"),
        (listed("", "again"), Bug, "CursorLoop", "twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_refusals_say_what_to_do(
    reply: Reply, kind: type[ReconcilerError], reason: str, words: str, tmp_path: Path
) -> None:
    """Blob storage's refusals become words about roles, tokens and networks; a list of another shape is none."""
    async with ScriptedServer() as server:
        server.route("GET", "/devstoreaccount1/focus", lambda _: reply)
        with pytest.raises(kind, match=words) as caught:
            await ExportDesk(tmp_path, url=server.url).sync()
    assert caught.value.reason == reason


async def test_lists_are_followed_to_their_end(tmp_path: Path) -> None:
    """A list of several pages is one list, names that XML cannot say in another spelling among them."""

    def page(request: Request) -> Reply:
        last = request.first("marker") == "2!more/costs"
        return listed(blob("costs/b%EF%BF%BEc", coded="true")) if last else listed(blob("costs/a%20b"), "2!more/costs")

    async with ScriptedServer() as server:
        server.route("GET", "/devstoreaccount1/focus", page)
        async with ExportDesk(tmp_path, url=server.url).opened() as connector:
            found = await connector._export._deliveries._container.blobs("costs/")
    assert [each.name for each in found] == ["costs/a%20b", "costs/b\ufffec"]
    assert {each.modified for each in found} == {datetime(2026, 3, 20, 6, tzinfo=UTC)}
