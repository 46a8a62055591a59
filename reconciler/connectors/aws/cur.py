"""CUR 2.0, AWS's own table of line items, read in the shape of FOCUS.

Costs are the unblended ones as billed and, as effective, amortised by the formula of AWS's own query library. What
split cost allocation adds repeats the cost of the instances that are shared, and so costs nothing here.
Columns: docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2.html.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ledger.money import EXACT, plain
from reconciler.connectors.aws.bill import PROVIDER
from reconciler.connectors.focus.cells import NULLS, cell_text, moment, number
from reconciler.connectors.focus.reader import Block, Reader, text_array

if TYPE_CHECKING:
    import pyarrow as pa

SECOND: Final = timedelta(seconds=1)
KIND: Final = "line_item_line_item_type"
BILLED: Final = "line_item_unblended_cost"
PARENT: Final = "split_line_item_parent_resource_id"
PERIOD: Final = {"ChargePeriodStart": "line_item_usage_start_date", "ChargePeriodEnd": "line_item_usage_end_date"}
COPIED: Final[Mapping[str, str]] = {
    **PERIOD,
    "AvailabilityZone": "line_item_availability_zone",
    "BillingAccountId": "bill_payer_account_id",
    "BillingAccountName": "bill_payer_account_name",
    "BillingCurrency": "line_item_currency_code",
    "BillingPeriodEnd": "bill_billing_period_end_date",
    "BillingPeriodStart": "bill_billing_period_start_date",
    "ChargeDescription": "line_item_line_item_description",
    "ConsumedQuantity": "line_item_usage_amount",
    "ConsumedUnit": "pricing_unit",
    "InvoiceId": "bill_invoice_id",
    "InvoiceIssuerName": "bill_invoicing_entity",
    "ListCost": "pricing_public_on_demand_cost",
    "RegionId": "product_region_code",
    "ResourceId": "line_item_resource_id",
    "SkuId": "product_sku",
    "SkuMeter": "line_item_usage_type",
    "SkuPriceId": "pricing_rate_code",
    "SubAccountId": "line_item_usage_account_id",
    "SubAccountName": "line_item_usage_account_name",
    "Tags": "resource_tags",
    "x_CostCategories": "cost_category",
    "x_LineItemType": KIND,
    "x_Operation": "line_item_operation",
    "x_ReservationARN": "reservation_reservation_a_r_n",
    "x_SavingsPlanARN": "savings_plan_savings_plan_a_r_n",
    "x_ServiceCode": "product_servicecode",
    "x_SplitCost": "split_line_item_split_cost",
    "x_SplitParentResourceId": PARENT,
}
"""Columns of CUR 2.0 by the columns that they fill; those that an export lacks are left out."""
CATEGORIES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage", "SavingsPlanNegation"), "Usage"),
    **dict.fromkeys(("Fee", "RIFee", "SavingsPlanRecurringFee", "SavingsPlanUpfrontFee"), "Purchase"),
    "Tax": "Tax",
}
"""Any other type of line item lowers the bill: credits, refunds, discounts of all kinds."""
EFFECTIVE: Final[Mapping[str, tuple[str, ...]]] = {
    "DiscountedUsage": ("reservation_effective_cost",),
    "RIFee": (
        "reservation_unused_amortized_upfront_fee_for_billing_period",
        "reservation_unused_recurring_fee",
    ),
    "SavingsPlanCoveredUsage": ("savings_plan_savings_plan_effective_cost",),
    "SavingsPlanNegation": (),
    "SavingsPlanRecurringFee": ("savings_plan_total_commitment_to_date", "-savings_plan_used_commitment"),
    "SavingsPlanUpfrontFee": (),
}
"""What a line's effective cost is the sum of, where it is not what is billed: a minus takes away."""
NEEDED: Final = (*PERIOD.values(), BILLED, "line_item_currency_code", KIND)


def is_cur(reader: Reader) -> bool:
    """Whether the file names the columns of CUR 2.0."""
    first = next(iter(reader.blocks()), None)
    return first is not None and PERIOD["ChargePeriodStart"] in first.batch.schema.names


class CurReader(Reader):
    """A file of CUR 2.0 as blocks of FOCUS columns."""

    def __init__(self, inner: Reader) -> None:
        super().__init__(inner.path, inner.name)
        self._inner = inner

    def blocks(self, only: AbstractSet[str] | None = None) -> Iterator[Block]:
        """As the file's own reader gives them. Raises BadData where a column is missing that says what to count."""
        wanted = None if only is None else frozenset(PERIOD.values())
        for block in self._inner.blocks(wanted):
            # The block without rows names all columns, whichever are wanted of the others.
            is_whole = only is None or not block.rows
            yield Block(self._shaped(block) if is_whole else _batch(_period(block.batch)), block.rows)

    def place(self, row: int) -> str:
        return self._inner.place(row)

    def _shaped(self, block: Block) -> pa.RecordBatch:
        names = block.batch.schema.names
        if missing := [name for name in NEEDED if name not in names]:
            raise self.bad_file(f"has no column {', '.join(missing)}: the export of CUR 2.0 must include it")
        lines = Lines(self, block)
        columns = {focus: block.batch.column(names.index(own)) for focus, own in COPIED.items() if own in names}
        columns |= _period(block.batch) | {"BilledCost": lines.billed(), "EffectiveCost": lines.effective()}
        columns |= {"ChargeCategory": lines.categories(), "ServiceName": lines.services()}
        columns["ProviderName"] = text_array([PROVIDER] * len(block.rows))
        return _batch(columns)


class Lines:
    """The line items of a block, and what is to be worked out about them."""

    def __init__(self, reader: Reader, block: Block) -> None:
        self._reader, self._block = reader, block
        self._read: dict[str, list[Any]] = {}
        self._kinds = [kind or "" for kind in self._cells(KIND)]
        self._split = [not _is_null(parent) for parent in self._cells(PARENT)]

    def billed(self) -> pa.Array:
        """As billed; lines of split cost allocation are parts of other lines."""
        return text_array(
            ["0" if split else cell for cell, split in zip(self._cells(BILLED), self._split, strict=True)]
        )

    def effective(self) -> pa.Array:
        """As billed, but for commitments: what they were bought for is spread over what they cover."""
        cells: list[Any] = self.billed().to_pylist()
        reserved = self._cells("reservation_reservation_a_r_n")
        for index, kind in enumerate(self._kinds):
            if not self._split[index]:
                if kind in EFFECTIVE:
                    cells[index] = self._sum(EFFECTIVE[kind], index)
                elif kind == "Fee" and not _is_null(reserved[index]):
                    cells[index] = "0"
        return text_array(cells)

    def categories(self) -> pa.Array:
        return text_array([CATEGORIES.get(kind, "Credit") for kind in self._kinds])

    def services(self) -> pa.Array:
        """The name of the product, by its map of attributes, or else its code."""
        products, codes = self._cells("product"), self._cells("line_item_product_code")
        named = {product: _named(product) for product in set(products)}
        return text_array([named[product] or code for product, code in zip(products, codes, strict=True)])

    def _sum(self, names: Sequence[str], index: int) -> str:
        total = Decimal(0)
        for name in names:
            cell = self._cells(name.removeprefix("-"))[index]
            amount = self._amount(cell, name.removeprefix("-"), index)
            total = (EXACT.subtract if name.startswith("-") else EXACT.add)(total, amount)
        return plain(total)

    def _amount(self, cell: Any, name: str, index: int) -> Decimal:
        if name not in self._block.batch.schema.names:
            raise self._reader.bad_file(f"has no column {name}, which tells what a {self._kinds[index]} comes to")
        try:
            return Decimal(0) if _is_null(cell) else number(cell)
        except ValueError:
            row = self._block.rows[index]
            raise self._reader.bad_cell(row, name, cell, "a decimal number such as 12.34") from None

    def _cells(self, name: str) -> list[Any]:
        """The cells of a column, None in each row where there is no such column."""
        if name not in self._read:
            names, rows = self._block.batch.schema.names, len(self._block.rows)
            there = name in names
            self._read[name] = self._block.batch.column(names.index(name)).to_pylist() if there else [None] * rows
        return self._read[name]


def _is_null(cell: Any) -> bool:
    return cell is None or cell in NULLS


def _period(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """Start and end of the lines; what has no length, such as a fee of a moment, lasts a second."""
    starts, ends = (batch.column(batch.schema.names.index(name)) for name in PERIOD.values())
    pairs = list(zip(starts.to_pylist(), ends.to_pylist(), strict=True))
    if any(start == end for start, end in pairs):
        ends = text_array([_after(start) if start == end else end and cell_text(end) for start, end in pairs])
    return {"ChargePeriodStart": starts, "ChargePeriodEnd": ends}


def _after(start: Any) -> str | None:
    try:
        return None if _is_null(start) else (moment(start, UTC) + SECOND).isoformat()
    except ValueError:
        return cell_text(start)


def _named(product: str | None) -> str | None:
    """The product's name in the JSON text of its attributes."""
    try:
        found = json.loads(product or "{}")
    except ValueError:
        return None
    name = found.get("product_name") if isinstance(found, dict) else None
    return name if isinstance(name, str) and name else None


def _batch(columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
