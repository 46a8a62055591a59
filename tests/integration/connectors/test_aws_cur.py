"""Exports of CUR 2.0, AWS's own table, come out in the shape of FOCUS."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from ledger.charge import Charge
from ledger.focus import json_text
from reconciler.errors import BadData
from tests.integration.connectors.aws_exports import ROOT, Account, ExportDesk
from tests.integration.connectors.focus_files import to_csv

Line = Mapping[str, Any]
COSTS = (
    "line_item_unblended_cost",
    "pricing_public_on_demand_cost",
    "reservation_effective_cost",
    "reservation_unused_amortized_upfront_fee_for_billing_period",
    "reservation_unused_recurring_fee",
    "savings_plan_savings_plan_effective_cost",
    "savings_plan_total_commitment_to_date",
    "savings_plan_used_commitment",
    "split_line_item_split_cost",
)


def line(kind: str = "Usage", cost: str = "1.5", **columns: Any) -> Line:
    start = datetime(2026, 3, 5, 7, tzinfo=UTC)
    return {
        "bill_payer_account_id": "123456789012",
        "line_item_usage_account_id": "210987654321",
        "line_item_usage_start_date": start,
        "line_item_usage_end_date": start.replace(hour=8),
        "line_item_line_item_type": kind,
        "line_item_unblended_cost": Decimal(cost),
        "line_item_currency_code": "USD",
        "line_item_product_code": "AmazonEC2",
        "line_item_resource_id": "i-0123",
        "product": {"product_name": "Amazon Elastic Compute Cloud", "region": "eu-central-1"},
        "product_region_code": "eu-central-1",
        "resource_tags": {"user_team": "payments"},
        "reservation_reservation_a_r_n": None,
        "split_line_item_parent_resource_id": None,
        **dict.fromkeys(COSTS[1:]),
        **columns,
    }


def to_parquet(lines: Sequence[Line]) -> bytes:
    """As AWS writes it: doubles, milliseconds without a zone, maps."""
    file = io.BytesIO()
    table = pa.table({name: _array(name, [each.get(name) for each in lines]) for name in lines[0]})
    pa.parquet.write_table(table, file, compression="snappy")
    return file.getvalue()


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    if name in COSTS:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if name.endswith("_date"):
        return pa.array([value.replace(tzinfo=None) for value in values], pa.timestamp("ms"))
    if name in ("product", "resource_tags"):
        return pa.array([list(value.items()) for value in values], pa.map_(pa.string(), pa.string()))
    return pa.array(values, pa.string())


def packed_csv(lines: Sequence[Line]) -> bytes:
    texts = [{k: json_text(v) if isinstance(v, dict) else v for k, v in each.items()} for each in lines]
    return gzip.compress(to_csv(texts))


WRITERS: Mapping[str, Callable[[Sequence[Line]], bytes]] = {"snappy.parquet": to_parquet, "csv.gz": packed_csv}


@pytest.fixture
def desk(moto: str, tmp_path: Path) -> ExportDesk:
    return ExportDesk(tmp_path, url=moto)


async def read(desk: ExportDesk, lines: Sequence[Line], end: str = "csv.gz") -> list[Charge]:
    account = Account(desk.url)
    key = f"{ROOT}/data/BILLING_PERIOD=2026-03/focus-00001.{end}"
    account.put(key, WRITERS[end](lines))
    account.manifest("BILLING_PERIOD=2026-03", [key])
    for error in await desk.sync():
        raise error
    return desk.stored


@pytest.mark.parametrize("end", WRITERS)
async def test_a_line_keeps_what_it_says(end: str, desk: ExportDesk) -> None:
    """Costs, accounts, product, region, resource, tags and period of a line have their FOCUS columns."""
    (found,) = await read(desk, [line(cost="0.1", pricing_public_on_demand_cost=Decimal("0.2"))], end)

    assert (found.billed_cost, found.effective_cost, found.list_cost) == (
        Decimal("0.1"),
        Decimal("0.1"),
        Decimal("0.2"),
    )
    assert found.charge_period_start == datetime(2026, 3, 5, 7, tzinfo=UTC)
    assert found.charge_period_end == datetime(2026, 3, 5, 8, tzinfo=UTC)
    assert (found.service_name, found.service_provider_name) == ("Amazon Elastic Compute Cloud", "AWS")
    assert (found.billing_account_id, found.sub_account_id) == ("123456789012", "210987654321")
    assert (found.region_id, found.resource_id, found.tags) == ("eu-central-1", "i-0123", {"user_team": "payments"})
    assert (found.charge_category, (found.extra or {})["x_LineItemType"]) == ("Usage", "Usage")


LINES: Sequence[tuple[str, Mapping[str, Any], str, str, str]] = [
    ("Usage", {}, "Usage", "3", "3"),
    ("Tax", {}, "Tax", "3", "3"),
    ("Credit", {}, "Credit", "3", "3"),
    ("EdpDiscount", {}, "Credit", "3", "3"),
    ("Fee", {}, "Purchase", "3", "3"),
    ("Fee", {"reservation_reservation_a_r_n": "arn:aws:ec2:x"}, "Purchase", "3", "0"),
    ("DiscountedUsage", {"reservation_effective_cost": "0.7"}, "Usage", "3", "0.7"),
    (
        "RIFee",
        {
            "reservation_unused_amortized_upfront_fee_for_billing_period": "0.25",
            "reservation_unused_recurring_fee": "0.5",
        },
        "Purchase",
        "3",
        "0.75",
    ),
    ("SavingsPlanCoveredUsage", {"savings_plan_savings_plan_effective_cost": "2"}, "Usage", "3", "2"),
    ("SavingsPlanNegation", {}, "Usage", "3", "0"),
    ("SavingsPlanUpfrontFee", {}, "Purchase", "3", "0"),
    (
        "SavingsPlanRecurringFee",
        {"savings_plan_total_commitment_to_date": "3", "savings_plan_used_commitment": "2.5"},
        "Purchase",
        "3",
        "0.5",
    ),
    ("Usage", {"split_line_item_parent_resource_id": "i-0123"}, "Usage", "0", "0"),
]
"""Type of line, what is special about it, its category, and what a line of 3 USD is billed and effective."""


async def test_commitments_are_spread_over_what_they_cover(desk: ExportDesk) -> None:
    """Each type of line has its category and its effective cost, and a part of another line costs nothing."""
    lines = [
        line(kind, "3", **columns, line_item_resource_id=f"{at:02}") for at, (kind, columns, *_) in enumerate(LINES)
    ]
    found = sorted(await read(desk, lines), key=lambda charge: charge.resource_id or "")

    assert [(each.charge_category, each.billed_cost, each.effective_cost) for each in found] == [
        (category, Decimal(billed), Decimal(effective)) for _, _, category, billed, effective in LINES
    ]


@pytest.mark.parametrize("end", WRITERS)
async def test_a_fee_of_a_moment_lasts_a_second(end: str, desk: ExportDesk) -> None:
    """A line without a length is a charge all the same."""
    moment = datetime(2026, 3, 7, 9, 30, tzinfo=UTC)
    fee = line("Fee", line_item_usage_start_date=moment, line_item_usage_end_date=moment, product={})
    found = {charge.charge_period_start: charge for charge in await read(desk, [fee, line()], end)}
    assert found[moment].charge_period_end == moment.replace(second=1)
    assert found[moment].service_name == "AmazonEC2"


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("Usage", "line_item_unblended_cost"),
        ("Usage", "line_item_line_item_type"),
        ("DiscountedUsage", "reservation_effective_cost"),
    ],
)
async def test_a_table_without_what_counts_is_refused(kind: str, missing: str, desk: ExportDesk) -> None:
    """A column that costs cannot be told without is asked for by its name."""
    with pytest.raises(BadData, match=f"has no column {missing}") as caught:
        await read(desk, [{name: value for name, value in line(kind).items() if name != missing}])
    assert caught.value.reason == "BadFile"


async def test_amounts_that_are_none_are_refused(desk: ExportDesk) -> None:
    """An error names the line and the column of AWS's own table."""
    with pytest.raises(BadData, match="line 3: reservation_effective_cost is 'much'"):
        await read(desk, [line(), line("DiscountedUsage", reservation_effective_cost="much")])
