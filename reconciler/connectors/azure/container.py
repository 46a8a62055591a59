"""A container of Blob storage: listed and read, and never written.

Facts: learn.microsoft.com/rest/api/storageservices. A SAS token goes into the query of each address, which no message
shows; any other identity into a header.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode
from xml.etree import ElementTree as ET

from reconciler.connectors.azure.endpoints import container_url
from reconciler.connectors.azure.identity import Identity
from reconciler.connectors.azure.refusal import of_blob
from reconciler.connectors.azure.settings import AzureSettings, ExportSettings
from reconciler.connectors.base import Context
from reconciler.connectors.http import Refused, pages
from reconciler.errors import Bug, RetryLater

STORAGE: Final = "https://storage.azure.com/"
VERSION: Final = {"x-ms-version": "2024-11-04"}
LIMIT: Final = 32 * 1024**2
"""Most bytes of a list's page, of 5000 blobs, or of a manifest."""
CHANGED: Final = "FileChanged"
GONE: Final = ("BlobNotFound", "ConditionNotMet")

T = TypeVar("T")


class Blob(NamedTuple):
    """What a list tells of a blob. The ETag differs when the content does."""

    name: str
    etag: str
    modified: datetime


class Container:
    """The container that exports are delivered to."""

    def __init__(self, settings: AzureSettings, export: ExportSettings, identity: Identity, context: Context) -> None:
        self.name = f"{export.account}/{export.container}"
        self._identity, self._http = identity, context.http
        self._url = container_url(export, settings)
        given = context.credentials.get("sasToken") if settings.identity == "Secret" else None
        self._sas, self._now = (given or "").strip().lstrip("?"), context.now
        self._http.hide(*(value for name, value in parse_qsl(self._sas) if name == "sig"))

    async def blobs(self, prefix: str) -> list[Blob]:
        """Every blob whose name begins with `prefix`, a page of 5000 after the other."""

        async def fetch(marker: str | None) -> tuple[Sequence[Blob], str | None]:
            wanted = {"restype": "container", "comp": "list", "prefix": prefix}
            root = _tree(await self._body("", wanted | ({"marker": marker} if marker else {})))
            return [_blob(each) for each in root.iterfind("Blobs/Blob")], root.findtext("NextMarker") or None

        return [each async for page in pages(fetch) for each in page]

    async def content(self, blob: Blob) -> bytes:
        """A small blob, whole. Raises RetryLater (FileChanged) if it is another by now."""
        try:
            return await self._body(f"/{quote(blob.name)}", {}, {"If-Match": f'"{blob.etag}"'})
        except Refused:
            raise changed(blob.name) from None

    async def bring(self, blob: Blob, path: Path) -> None:
        """Write the blob, as it was listed, to `path`. Raises RetryLater (FileChanged) if it is another by now."""

        async def ask(shown: Mapping[str, str]) -> None:
            url = self._address(f"/{quote(blob.name)}", {})
            headers = {**VERSION, **shown, "If-Match": f'"{blob.etag}"'}
            async with self._http.stream("GET", url, headers=headers) as answer:
                await _write(answer.chunks(), path)

        try:
            await self._trying(ask)
        except Refused:
            raise changed(blob.name) from None
        except OSError as error:
            why = f"{blob.name} cannot be copied to a temporary file: {error.strerror}"
            raise RetryLater(why, reason="NoSpace") from error

    async def _body(self, path: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None) -> bytes:
        async def ask(shown: Mapping[str, str]) -> bytes:
            sent = {**VERSION, **shown, **(headers or {})}
            async with self._http.stream("GET", self._address(path, query), headers=sent, limit=LIMIT) as answer:
                return b"".join([part async for part in answer.chunks()])

        return await self._trying(ask)

    async def _trying(self, ask: Callable[[Mapping[str, str]], Awaitable[T]]) -> T:
        """What `ask` makes of the headers that show who asks. Refusals become errors; those of a changed blob stay."""
        try:
            return await (ask({}) if self._sas else self._identity.trying(STORAGE, ask))
        except Refused as refused:
            if any(f"<Code>{code}" in refused.text for code in GONE):
                raise
            raise of_blob(refused, of_sas=bool(self._sas), ended=self._ended()) from None

    def _ended(self) -> bool:
        """Whether the SAS token has ended."""
        try:
            ends = datetime.fromisoformat(dict(parse_qsl(self._sas)).get("se", ""))
        except ValueError:
            return False
        return (ends if ends.tzinfo else ends.replace(tzinfo=UTC)) <= self._now

    def _address(self, path: str, query: Mapping[str, str]) -> str:
        asked = "&".join(filter(None, (urlencode(query, quote_via=quote), self._sas)))
        return f"{self._url}{path}{'?' if asked else ''}{asked}"


def changed(name: str) -> RetryLater:
    """The error that says that a blob is not the one that was listed."""
    return RetryLater(f"{name} was replaced by Azure while it was read; it is read again", reason=CHANGED)


def _tree(body: bytes) -> ET.Element:
    """The list's root. Raises Bug where it is none."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat itself bounds what entities may grow to
    except ET.ParseError as error:
        raise Bug(f"Blob storage's answer is not XML: {error}") from None
    if root.tag != "EnumerationResults":
        raise Bug(f"Blob storage answered a list with {root.tag[:40]}, so none of it was counted")
    return root


def _blob(element: ET.Element) -> Blob:
    named = element.find("Name")
    name = (named.text if named is not None else "") or ""
    etag = (element.findtext("Properties/Etag") or "").strip('"')
    try:
        modified = parsedate_to_datetime(element.findtext("Properties/Last-Modified") or "").astimezone(UTC)
    except ValueError as error:
        raise Bug(f"Blob storage lists {name} with a time that is none: {error}") from None
    if not name or not etag:
        raise Bug(f"Blob storage lists {name or 'a blob'} without its name or ETag, so none of it was counted")
    is_coded = named is not None and named.get("Encoded") == "true"
    return Blob(unquote(name) if is_coded else name, etag, modified)


async def _write(chunks: AsyncIterator[bytes], path: Path) -> None:
    with await asyncio.to_thread(path.open, "wb") as copy:
        async for chunk in chunks:
            copy.write(chunk)
