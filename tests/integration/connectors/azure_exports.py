"""Azure's exports, written to azurite as Azure writes them, and a desk on which a sync of them is played."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet

from ledger.focus import COLUMNS, json_text
from ledger.window import next_month
from reconciler.connectors.azure import Azure, AzureSettings
from reconciler.connectors.base import Context, Credentials
from reconciler.connectors.http import EgressPolicy, VendorClient
from tests.integration.connectors.azurite import ACCOUNT, Azurite, sas
from tests.integration.connectors.focus_files import NOW, Desk, Row, to_csv

ROOT: Final = "costs/daily"
SCOPE: Final = "/subscriptions/12345678-1234-1234-1234-123456789ABC"
OWN: Final = ("x_ResourceGroupName", "x_SkuMeterId", "x_BillingExchangeRate", "x_PricingCurrency")
"""Some of Azure's own columns in version 1.0r2."""
NAMES: Final = [*(name for name, column in COLUMNS.items() if column.since <= "1.0"), *OWN]
EXACT: Final = pa.decimal128(38, 18)


def row(day: str, cost: str, service: str = "Virtual Machines", **columns: Any) -> Row:
    """A line of version 1.0r2 for a day of usage."""
    start = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=UTC)
    return {
        "BilledCost": Decimal(cost),
        "BillingAccountId": "/providers/Microsoft.Billing/billingAccounts/8608480",
        "BillingCurrency": "EUR",
        "ChargeCategory": "Usage",
        "ChargePeriodEnd": start + timedelta(days=1),
        "ChargePeriodStart": start,
        "EffectiveCost": Decimal(cost),
        "ProviderName": "Microsoft",
        "RegionId": "westeurope",
        "ServiceName": service,
        "SubAccountId": SCOPE.lower(),
        "Tags": json_text({"team": "payments"}),
        "x_ResourceGroupName": "web",
        **columns,
    }


def to_parquet(rows: Sequence[Row]) -> bytes:
    """As Azure writes it: costs as decimals, times as timestamps in UTC, tags as JSON text, snappy."""
    table = pa.table({name: _array(name, [each.get(name) for each in rows]) for name in NAMES})
    file = io.BytesIO()
    pa.parquet.write_table(table, file, compression="snappy")
    return file.getvalue()


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    kind = COLUMNS[name].kind if name in COLUMNS else "text"
    types = {"decimal": EXACT, "time": pa.timestamp("ms", "UTC")}
    return pa.array(values, types.get(kind, pa.string()))


@dataclass
class Account:
    """A storage account whose container exports are delivered to, in Azure's order: the manifest comes last."""

    azurite: Azurite
    container: str
    runs: int = 0

    def __post_init__(self) -> None:
        self.azurite.send("PUT", f"{self.container}?restype=container")

    def put(self, name: str, content: bytes) -> None:
        self.azurite.send("PUT", f"{self.container}/{quote(name)}", content, x_ms_blob_type="BlockBlob")

    def delete(self, name: str) -> None:
        self.azurite.send("DELETE", f"{self.container}/{quote(name)}")

    def create_new(self, month: str, *chunks: Sequence[Row], **told: Any) -> list[str]:
        """Deliver a month as CreateNewReport does: each run into a folder of its own."""
        self.runs += 1
        return self._deliver(f"{ROOT}/{_range(month)}/20260320{self.runs:04}/guid-{self.runs}", month, chunks, told)

    def overwrite(self, month: str, *chunks: Sequence[Row], packed: bool = False, **told: Any) -> list[str]:
        """Deliver a month as OverwritePreviousReport does: over the former run, of which nothing stays."""
        self.runs += 1
        return self._deliver(f"{ROOT}/{_range(month)}/guid", month, chunks, told, packed=packed)

    def manifest(self, folder: str, month: str, names: Sequence[str] | None, told: Mapping[str, Any]) -> str:
        """Write a manifest; `told` says what differs from a month-to-date run."""
        start, end = _period(month)
        config = {"exportName": "daily", "dataVersion": "1.0r2", "type": "FocusCost", "apiVersion": "2025-03-01"}
        info = {
            "executionType": "Scheduled",
            "submittedTime": f"2026-03-{self.runs:02}T06:00:00.1234567Z",
            "runId": f"guid-{self.runs}",
            "startDate": start,
            "endDate": end,
        }
        scope = told.get("scope", SCOPE)
        path = f"{scope}/providers/Microsoft.CostManagement/exports/daily"
        blobs = None if names is None else [{"blobName": name, "byteCount": 1} for name in names]
        content = {
            "manifestVersion": "2024-04-01",
            "blobCount": None if blobs is None else len(blobs),
            "exportConfig": {"resourceId": path, **config, **{name: told[name] for name in config if name in told}},
            "deliveryConfig": {"partitionData": True, "containerUri": "x", "rootFolderPath": "costs"},
            "runInfo": {**info, **{name: told[name] for name in info if name in told}},
            "blobs": blobs,
        }
        self.put(f"{folder}/manifest.json", json.dumps(content).encode())
        return f"{folder}/manifest.json"

    def _deliver(
        self, folder: str, month: str, chunks: Sequence[Sequence[Row]], told: Mapping[str, Any], packed: bool = False
    ) -> list[str]:
        names = []
        for number, rows in enumerate(chunks, 1):
            names.append(f"{folder}/part_{number - 1}_0001.{'csv.gz' if packed else 'snappy.parquet'}")
            self.put(names[-1], gzip.compress(to_csv(rows)) if packed else to_parquet(rows))
        self.manifest(folder, month, names or None, told)
        return names


def _period(month: str) -> tuple[str, str]:
    first = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
    return f"{first:%Y-%m-%dT00:00:00}", f"{next_month(first) - timedelta(days=1):%Y-%m-%dT00:00:00}"


def _range(month: str) -> str:
    return "-".join(each[:10].replace("-", "") for each in _period(month))


@dataclass
class ExportDesk(Desk):
    """A ledger of the simplest kind for the exports of an account."""

    account: Account | None = None
    url: str = ""
    block: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Any]:
        azurite = self.account.azurite if self.account else None
        container = self.account.container if self.account else "focus"
        export = {"account": ACCOUNT, "container": container, "prefix": "costs"}
        given = {"source": "export", "identity": "Secret", "baseURL": azurite.url if azurite else self.url}
        settings = AzureSettings.model_validate({**given, "export": export, **self.block})
        keys = self.keys or {"sasToken": sas()}
        async with VendorClient(
            base_url=settings.base_url,
            policy=EgressPolicy(allow_loopback=True),
            meter=self.meter,
            redact=tuple(keys.values()),
            sleep=self._wait,
            tls=azurite.tls if azurite else None,
        ) as http:
            memory = json.loads(json.dumps(self.memory))
            yield Azure(settings, Context(http, Credentials(keys), NOW, memory))
