"""A bill as AWS delivers it to a bucket: an export of the table FOCUS_1_2_AWS, in several files of Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet

from ledger.charge import Charge
from ledger.money import EXACT, ZERO
from ledger.window import midnight, next_month
from tests.bench.bill import FIRST, MODELS, Bill
from tests.integration.connectors.aws_exports import NAMES, ROOT, Account, array

FILE_ROWS: Final = 500_000
GROUP_ROWS: Final = 50_000
MONTH: Final = f"BILLING_PERIOD={FIRST:%Y-%m}"

_PLACES: Final[Mapping[str | None, str]] = {
    "eu-west-1": "EU (Ireland)",
    "us-east-1": "US East (N. Virginia)",
    "us-west-2": "US West (Oregon)",
}
_PRICES: Final[Mapping[str | None, Decimal]] = {
    model: Decimal(number + 1).scaleb(-6) for number, model in enumerate(MODELS)
}
_SAME: Final[Mapping[str, Any]] = {
    "BillingAccountId": "123456789012",
    "BillingAccountName": "Acme",
    "BillingAccountType": "BillingAccount",
    "BillingCurrency": "USD",
    "BillingPeriodEnd": next_month(midnight(FIRST)),
    "BillingPeriodStart": midnight(FIRST),
    "ChargeCategory": "Usage",
    "ChargeFrequency": "Usage-Based",
    "InvoiceIssuerName": "Amazon Web Services, Inc.",
    "PricingCategory": "Standard",
    "PricingCurrency": "USD",
    "ProviderName": "AWS",
    "PublisherName": "AWS",
    "ResourceType": "Inference profile",
    "ServiceSubcategory": "Generative AI",
    "SubAccountType": "MemberAccount",
    "x_Discounts": {"EDP": "-0.05"},
    "x_Operation": "InvokeModel",
    "x_ServiceCode": "AmazonBedrock",
}
"""What every row says alike."""
_OF_ROW: Final[Mapping[str, Callable[[Charge], Any]]] = {
    "AvailabilityZone": lambda charge: f"{charge.region_id}a",
    "BilledCost": lambda charge: charge.billed_cost,
    "ChargeDescription": lambda charge: charge.charge_description,
    "ChargePeriodEnd": lambda charge: charge.charge_period_end,
    "ChargePeriodStart": lambda charge: charge.charge_period_start,
    "ConsumedQuantity": lambda charge: charge.consumed_quantity,
    "ConsumedUnit": lambda charge: charge.consumed_unit,
    "ContractedCost": lambda charge: charge.contracted_cost,
    "ContractedUnitPrice": lambda charge: _PRICES[charge.x_model],
    "EffectiveCost": lambda charge: charge.effective_cost,
    "ListCost": lambda charge: charge.list_cost,
    "ListUnitPrice": lambda charge: _PRICES[charge.x_model],
    "PricingQuantity": lambda charge: charge.consumed_quantity,
    "PricingUnit": lambda charge: charge.consumed_unit,
    "RegionId": lambda charge: charge.region_id,
    "RegionName": lambda charge: _PLACES[charge.region_id],
    "ResourceId": lambda charge: f"arn:aws:bedrock:{charge.region_id}:210987654321:profile/{charge.resource_id}",
    "ServiceCategory": lambda charge: charge.service_category,
    "ServiceName": lambda charge: charge.service_name,
    "SkuId": lambda charge: charge.sku_id,
    "SkuMeter": lambda charge: charge.x_token_type,
    "SkuPriceDetails": lambda charge: {"model": charge.x_model},
    "SkuPriceId": lambda charge: f"{charge.sku_id}.JRTCKXETXF",
    "SubAccountId": lambda charge: charge.sub_account_id,
    "SubAccountName": lambda charge: charge.sub_account_name,
    "Tags": lambda charge: charge.tags,
}
"""What the rows say each for themselves. Columns that are in neither list are empty."""


def deliver(account: Account, bill: Bill, folder: Path) -> Decimal:
    """Put the bill's month into the account's bucket, the manifest last; what is billed by it, to the last digit.

    Files are written one at a time and row group by row group, so that memory does not grow with them.
    """
    charges, path, keys, billed = bill.charges(), folder / "focus.snappy.parquet", [], ZERO
    for number in range(ceil(bill.rows / FILE_ROWS)):
        billed = EXACT.add(billed, _write(path, islice(charges, FILE_ROWS)))
        keys.append(f"{ROOT}/data/{MONTH}/focus-{number + 1:05}.snappy.parquet")
        account.put(keys[-1], path.read_bytes())
    path.unlink()
    account.manifest(MONTH, keys)
    return billed


def _write(path: Path, charges: Iterable[Charge]) -> Decimal:
    billed, rest = ZERO, iter(charges)
    with pa.parquet.ParquetWriter(path, _table([]).schema, compression="snappy") as writer:
        while group := list(islice(rest, GROUP_ROWS)):
            table = _table(group)
            writer.write_table(table)
            billed = EXACT.add(billed, _sum(table["BilledCost"].to_pylist()))
    return billed


def _table(charges: Sequence[Charge]) -> pa.Table:
    return pa.table({name: array(name, _values(name, charges)) for name in NAMES})


def _values(name: str, charges: Sequence[Charge]) -> list[Any]:
    of_row = _OF_ROW.get(name)
    return [_SAME.get(name)] * len(charges) if of_row is None else [of_row(charge) for charge in charges]


def _sum(doubles: Iterable[float]) -> Decimal:
    """Of the shortest numbers that name them, which is what a reader has to make of them."""
    return reduce(EXACT.add, (Decimal(repr(double)) for double in doubles), ZERO)
