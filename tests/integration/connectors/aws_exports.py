"""AWS's Data Exports, written to a bucket of moto as AWS writes them, and a desk on which a sync of them is played."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import httpx
import pyarrow as pa
import pyarrow.parquet

from ledger.focus import COLUMNS
from reconciler.connectors.aws import Aws, AwsSettings
from reconciler.connectors.aws.signing import Keys, signed
from reconciler.connectors.base import Context, Credentials
from reconciler.connectors.http import EgressPolicy, VendorClient
from tests.integration.connectors.aws_vendor import KEY_ID, SECRET
from tests.integration.connectors.focus_files import NOW, Desk, Row, to_csv
from tests.loopback import PLAIN

ROOT: Final = "billing/daily/focus"
OWN: Final = ("x_Discounts", "x_Operation", "x_ServiceCode")
"""AWS's own columns in the table FOCUS_1_2_AWS."""
NAMES: Final = [*(name for name, column in COLUMNS.items() if column.since <= "1.2"), *OWN]
MAPS: Final = ("Tags", "x_Discounts", "SkuPriceDetails")
MOMENT: Final = pa.timestamp("ms")
TIMEOUT: Final = 60.0
"""Seconds that moto may take for a file of many megabytes."""


def row(day: str, cost: str, service: str = "Amazon Elastic Compute Cloud", **columns: Any) -> Row:
    """A line of FOCUS_1_2_AWS for a day of usage."""
    start = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=UTC)
    return {
        "BilledCost": Decimal(cost),
        "BillingAccountId": "123456789012",
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargePeriodEnd": start.replace(hour=23, minute=59),
        "ChargePeriodStart": start,
        "EffectiveCost": Decimal(cost),
        "ProviderName": "AWS",
        "RegionId": "eu-central-1",
        "ServiceName": service,
        "SubAccountId": "210987654321",
        "Tags": {"team": "payments"},
        "x_ServiceCode": "AmazonEC2",
        **columns,
    }


def to_parquet(rows: Sequence[Row]) -> bytes:
    """As AWS writes it: costs as doubles, times as milliseconds without a zone, tags as a map, snappy."""
    table = pa.table({name: array(name, [each.get(name) for each in rows]) for name in NAMES})
    file = io.BytesIO()
    pa.parquet.write_table(table, file, compression="snappy")
    return file.getvalue()


def array(name: str, values: Sequence[Any]) -> pa.Array:
    """The values of a column as AWS types it."""
    kind = COLUMNS[name].kind if name in COLUMNS else "text"
    if name in MAPS:
        pairs = [None if value is None else list(value.items()) for value in values]
        return pa.array(pairs, pa.map_(pa.string(), pa.string()))
    if kind == "decimal":
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if kind == "time":
        return pa.array([value and value.replace(tzinfo=None) for value in values], MOMENT)
    return pa.array(values, pa.string())


@dataclass
class Account:
    """An account whose exports lie in a bucket; files are written in AWS's order, the manifest last."""

    url: str
    bucket: str = "acme-billing"
    executions: int = 0

    def __post_init__(self) -> None:
        self.put("", b"")

    def put(self, key: str, content: bytes) -> None:
        self._send("PUT", key, content)

    def delete(self, key: str) -> None:
        self._send("DELETE", key)

    def _send(self, method: str, key: str, content: bytes = b"") -> None:
        url = f"{self.url}/{self.bucket}/{quote(key)}"
        headers = signed(Keys(KEY_ID, SECRET), ("s3", "us-east-1"), method, url, {}, content)
        answer = httpx.request(
            method, url, content=content, headers=headers, trust_env=False, timeout=TIMEOUT, verify=PLAIN
        )
        answer.raise_for_status()

    def overwrite(self, month: str, *chunks: Sequence[Row], packed: bool = False) -> list[str]:
        """Deliver a month as OVERWRITE_REPORT does; returns the keys of its data files."""
        return self._deliver(f"BILLING_PERIOD={month}", f"BILLING_PERIOD={month}", chunks, packed)

    def create_new(self, month: str, execution: str, *chunks: Sequence[Row]) -> list[str]:
        """Deliver a month as CREATE_NEW_REPORT does: a folder for the refresh, and two manifests."""
        keys = self._deliver(f"BILLING_PERIOD={month}/{execution}", f"BILLING_PERIOD={month}/{execution}", chunks)
        self.manifest(f"BILLING_PERIOD={month}", keys)
        return keys

    def manifest(self, folder: str, keys: Sequence[str]) -> None:
        """Write a manifest; AWS names files with their bucket."""
        self.executions += 1
        told = {
            "executionId": self.executions,
            "dataFiles": [f"s3://{self.bucket}/{key}" for key in keys],
            "columns": [],
            "exportName": "focus",
        }
        self.put(f"{ROOT}/metadata/{folder}/focus-Manifest.json", json.dumps(told).encode())

    def _deliver(self, data: str, metadata: str, chunks: Sequence[Sequence[Row]], packed: bool = False) -> list[str]:
        keys = []
        for number, rows in enumerate(chunks, 1):
            end = "csv.gz" if packed else "snappy.parquet"
            keys.append(f"{ROOT}/data/{data}/focus-{number:05}.{end}")
            self.put(keys[-1], gzip.compress(to_csv(rows)) if packed else to_parquet(rows))
        self.manifest(metadata, keys)
        return keys


@dataclass
class ExportDesk(Desk):
    """A ledger of the simplest kind for an export at `url`."""

    url: str = ""
    block: Mapping[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Any]:
        export = {"bucket": "acme-billing", "prefix": "billing/daily", "name": "focus", "region": "eu-central-1"}
        given = {"source": "export", "identity": "Secret", "baseURL": self.url}
        settings = AwsSettings.model_validate({**given, "export": {**export, **self.block}})
        keys = {"accessKeyID": KEY_ID, "secretAccessKey": SECRET}
        async with VendorClient(
            base_url=settings.base_url,
            policy=EgressPolicy(allow_loopback=True),
            meter=self.meter,
            redact=tuple(keys.values()),
            sleep=self._wait,
        ) as http:
            memory = json.loads(json.dumps(self.memory))
            yield Aws(settings, Context(http, Credentials(keys), NOW, memory))
