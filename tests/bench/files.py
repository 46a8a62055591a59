"""FOCUS files: a month as Parquet, from the file to the ledger."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet

from ledger.charge import Charge
from ledger.database import WriterDB
from ledger.focus import json_text
from ledger.window import Span
from reconciler.connectors.base import Context, Credentials
from reconciler.connectors.focus import Focus, FocusSettings
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient
from tests.bench.baseline import RawCopy, ready_rows
from tests.bench.bill import Bill
from tests.bench.figure import Figure, Times
from tests.bench.ground import READ_AT, Ground, ground, synced

FILE: Final = "bill.parquet"
PROVIDER: Final = "files"
HISTORY: Final = Span.of_days(READ_AT.date().replace(year=READ_AT.year - 1), READ_AT.date())

_AMOUNT: Final = pa.decimal128(38, 12)
_TIME: Final = pa.timestamp("us", "UTC")
_COLUMNS: Final = {
    "BilledCost": ("billed_cost", _AMOUNT),
    "BillingAccountId": ("billing_account_id", pa.string()),
    "BillingCurrency": ("billing_currency", pa.string()),
    "ChargeCategory": ("charge_category", pa.string()),
    "ChargeDescription": ("charge_description", pa.string()),
    "ChargeFrequency": ("charge_frequency", pa.string()),
    "ChargePeriodEnd": ("charge_period_end", _TIME),
    "ChargePeriodStart": ("charge_period_start", _TIME),
    "ConsumedQuantity": ("consumed_quantity", _AMOUNT),
    "ConsumedUnit": ("consumed_unit", pa.string()),
    "ContractedCost": ("contracted_cost", _AMOUNT),
    "EffectiveCost": ("effective_cost", _AMOUNT),
    "InvoiceIssuerName": ("service_provider_name", pa.string()),
    "ListCost": ("list_cost", _AMOUNT),
    "ProviderName": ("service_provider_name", pa.string()),
    "PublisherName": ("service_provider_name", pa.string()),
    "RegionId": ("region_id", pa.string()),
    "ResourceId": ("resource_id", pa.string()),
    "ServiceCategory": ("service_category", pa.string()),
    "ServiceName": ("service_name", pa.string()),
    "SkuId": ("sku_id", pa.string()),
    "SubAccountId": ("sub_account_id", pa.string()),
    "SubAccountName": ("sub_account_name", pa.string()),
    "Tags": ("tags", pa.string()),
    "x_model": ("x_model", pa.string()),
    "x_token_type": ("x_token_type", pa.string()),
}
"""Columns of the file: where each comes from, and its type."""


async def figures(server_url: str, rows: int, rounds: int, folder: Path) -> AsyncIterator[Figure]:
    """A file of `rows` rows, compared with COPY of the same rows."""
    write_file(folder / FILE, Bill(rows))
    async with ground(server_url) as held:
        times = Times(held.server_cpu)
        raw = RawCopy(held)
        await raw.make(Bill(rows).window)
        ready = ready_rows([batch async for batch in _charges(folder)])
        gc.collect()
        gc.freeze()
        try:
            for _ in range(rounds):
                await held.calm()
                with times.clocked("copy"):
                    await raw.write(ready)
                await raw.clear()
                await _clocked(held, folder, times)
        finally:
            gc.unfreeze()
    yield Figure(name="focus_parquet", ratio=times.ratio("copy", "file"), goal=0.8, detail=times.detail("copy", "file"))


async def _clocked(held: Ground, folder: Path, times: Times) -> None:
    await held.calm()
    async with held.writer() as db:
        with times.clocked("file"):
            await read_file(db, folder)
    await held.clear("connector_memory")


async def read_file(db: WriterDB, folder: Path) -> None:
    """One sync of the files of a folder, from looking at them to the commit."""
    async with _connector(folder) as focus:
        for window in await focus.windows([], HISTORY):
            await synced(db, window, focus.charges(window), PROVIDER)


def write_file(path: Path, bill: Bill) -> None:
    """The bill as a FOCUS file."""
    if path.exists():
        return
    schema = pa.schema([(name, kind) for name, (_, kind) in _COLUMNS.items()])
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        held: list[Charge] = []
        for batch in bill.batches():
            held += batch
            if len(held) >= 100_000:
                writer.write_batch(_table(held, schema))
                held = []
        if held:
            writer.write_batch(_table(held, schema))


def _table(charges: Sequence[Charge], schema: pa.Schema) -> pa.RecordBatch:
    columns = [_values(field, charges) for field, _ in _COLUMNS.values()]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, kind) for column, (_, kind) in zip(columns, _COLUMNS.values(), strict=True)], schema=schema
    )


def _values(field: str, charges: Iterable[Charge]) -> list[Any]:
    values = map(attrgetter(field), charges)
    return [json_text(value) for value in values] if field == "tags" else list(values)


async def _charges(folder: Path) -> AsyncIterator[Sequence[Charge]]:
    async with _connector(folder) as focus:
        for window in await focus.windows([], HISTORY):
            async for batch in focus.charges(window):
                yield batch


@asynccontextmanager
async def _connector(folder: Path) -> AsyncIterator[Focus]:
    async with VendorClient(base_url=None, policy=EgressPolicy(), meter=Meter()) as http:
        yield Focus(FocusSettings(files=(FILE,)), Context(http, Credentials({}), READ_AT, {}, folder))
