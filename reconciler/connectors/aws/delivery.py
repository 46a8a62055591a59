"""What AWS has delivered of an export: manifests, and the data files that they name.

`<prefix>/<export>/metadata/BILLING_PERIOD=2026-03/<export>-Manifest.json` is written last, after the data files below
`<prefix>/<export>/data/BILLING_PERIOD=2026-03/`, in both layouts: where AWS overwrites, and where it makes a folder for
each refresh (whose own manifests lie a folder deeper, and are left alone). Only what the newest manifest names counts:
files of earlier refreshes stay beside it. Source: docs.aws.amazon.com/cur/latest/userguide/dataexports-export-delivery.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from ledger.window import Span, midnight, next_month
from reconciler.connectors.answer import parse
from reconciler.connectors.aws.bucket import Bucket, Object, changed
from reconciler.connectors.aws.settings import ExportSettings
from reconciler.errors import Bug

PERIOD: Final = re.compile(r"BILLING_PERIOD=(\d{4})-(\d{2})/[^/]*Manifest\.json", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The newest manifest of a billing period, which is a calendar month."""

    month: Span
    manifest: Object

    @property
    def stamp(self) -> str:
        """What tells this delivery from others: AWS may well write the very same manifest for other files."""
        return f"{self.manifest.etag} {self.delivered.isoformat()}"

    @property
    def delivered(self) -> datetime:
        return self.manifest.modified


class Deliveries:
    """Looks into the bucket."""

    def __init__(self, bucket: Bucket, export: ExportSettings) -> None:
        self._bucket = bucket
        self.root = "/".join(filter(None, (export.prefix, export.name))) + "/"

    async def newest(self) -> list[Delivery]:
        """The newest manifest of every billing period, oldest period first."""
        start = f"{self.root}metadata/"
        found = []
        for each in await self._bucket.objects(start):
            if match := PERIOD.fullmatch(each.key.removeprefix(start)):
                first = midnight(date(int(match[1]), int(match[2]), 1))
                found.append(Delivery(Span(first, next_month(first)), each))
        return sorted(found, key=lambda delivery: delivery.month)

    async def files(self, delivery: Delivery) -> Sequence[Object]:
        """The data files that the manifest names, as they are now.

        Raises RetryLater while AWS writes the next refresh over them, Bug where the manifest names no files.
        """
        manifest = delivery.manifest.key
        names = _named(parse(await self._bucket.content(manifest)), manifest, self._bucket.name)
        there: dict[str, Object] = {}
        for folder in sorted({name.rpartition("/")[0] for name in names}):
            there |= {each.key: each for each in await self._bucket.objects(f"{folder}/")}
        found = [there[name] for name in names if name in there]
        if len(found) < len(names) or any(each.modified > delivery.delivered for each in found):
            raise changed(f"the export's month {delivery.month.start:%Y-%m}")
        return found


def _named(manifest: Any, key: str, bucket: str) -> list[str]:
    """The keys of the files that a manifest names, with or without the bucket's name before them."""
    files = manifest.get("dataFiles") if isinstance(manifest, Mapping) else None
    if not isinstance(files, list) or not all(isinstance(each, str) for each in files):
        raise Bug(f"{key} does not name its files in dataFiles, so none of them was counted")
    return list(dict.fromkeys(each.removeprefix(f"s3://{bucket}/").removeprefix("/") for each in files))
