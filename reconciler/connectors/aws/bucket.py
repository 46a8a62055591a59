"""A bucket of S3: listed and read, signed, and never written. Facts: docs.aws.amazon.com/AmazonS3/latest/API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_plus, urlencode
from xml.etree.ElementTree import Element

from reconciler.connectors.aws.endpoints import bucket_url
from reconciler.connectors.aws.identity import Identity
from reconciler.connectors.aws.markup import text, tree
from reconciler.connectors.aws.refusal import GUIDE, OTHER_REGION
from reconciler.connectors.aws.settings import AwsSettings, ExportSettings
from reconciler.connectors.aws.signing import Keys, signed
from reconciler.connectors.http import Refused, VendorClient, pages
from reconciler.errors import Bug, NeedsPerson, RetryLater

LIMIT: Final = 16 * 1024**2
"""Most bytes of a list's page or a manifest."""
CHANGED: Final = "FileChanged"
GONE: Final = frozenset({404, 412})


class Object(NamedTuple):
    """What a list tells of an object. The ETag differs when the content does."""

    key: str
    etag: str
    modified: datetime


class Bucket:
    """The bucket that exports are delivered to."""

    def __init__(self, settings: AwsSettings, export: ExportSettings, identity: Identity, http: VendorClient) -> None:
        self.name = export.bucket
        self._identity, self._http, self._scope = identity, http, ("s3", export.region)
        self._url = bucket_url(export.bucket, export.region, settings)

    async def objects(self, prefix: str) -> list[Object]:
        """Every object whose key begins with `prefix`, a page of a thousand after the other."""

        async def fetch(token: str | None) -> tuple[Sequence[Object], str | None]:
            wanted = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
            query = urlencode(wanted | ({"continuation-token": token} if token else {}), quote_via=quote)
            root = tree(await self._body(f"{self._url}?{query}"))
            if root.tag != "ListBucketResult":
                raise Bug(f"S3 answered a list with {root.tag[:40]}, so none of it was counted")
            is_coded = root.findtext("EncodingType") == "url"
            found = [_object(each, is_coded) for each in root.findall("Contents")]
            return found, text(root, "NextContinuationToken") if root.findtext("IsTruncated") == "true" else None

        return [each async for page in pages(fetch) for each in page]

    async def content(self, key: str) -> bytes:
        """A small object, whole."""
        return await self._body(self._address(key))

    async def bring(self, found: Object, path: Path) -> None:
        """Write the object, as it was listed, to `path`. Raises RetryLater (FileChanged) if it is another by now."""

        async def ask(keys: Keys) -> None:
            url = self._address(found.key)
            headers = signed(keys, self._scope, "GET", url, {"If-Match": f'"{found.etag}"'})
            try:
                async with self._http.stream("GET", url, headers=headers) as answer:
                    await _write(answer.chunks(), path)
            except Refused as refused:
                if refused.status in GONE:
                    raise changed(found.key) from None
                raise

        try:
            await self._identity.trying(ask)
        except OSError as error:
            why = f"{found.key} cannot be copied to a temporary file: {error.strerror}"
            raise RetryLater(why, reason="NoSpace") from error

    async def _body(self, url: str) -> bytes:
        async def ask(keys: Keys) -> bytes:
            headers = signed(keys, self._scope, "GET", url, {})
            async with self._http.stream("GET", url, headers=headers, limit=LIMIT) as answer:
                return b"".join([part async for part in answer.chunks()])

        try:
            return await self._identity.trying(ask)
        except Bug as bug:
            if " answered 301 " in str(bug):
                raise NeedsPerson(f"{OTHER_REGION} {GUIDE}") from None
            raise

    def _address(self, key: str) -> str:
        return f"{self._url}/{quote(key, safe='/~')}"


def changed(key: str) -> RetryLater:
    """The error that says that an object is not the one that was listed."""
    return RetryLater(f"{key} was replaced by AWS while it was read; it is read again", reason=CHANGED)


def _object(element: Element, is_coded: bool) -> Object:
    key = text(element, "Key")
    try:
        modified = datetime.fromisoformat(text(element, "LastModified")).astimezone(UTC)
    except ValueError as error:
        raise Bug(f"S3 lists {key} with a time that is none: {error}") from None
    return Object(unquote_plus(key) if is_coded else key, text(element, "ETag").strip('"'), modified)


async def _write(chunks: AsyncIterator[bytes], path: Path) -> None:
    with await asyncio.to_thread(path.open, "wb") as copy:
        async for chunk in chunks:
            copy.write(chunk)
