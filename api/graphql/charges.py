"""Single charges: type and resolver."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import strawberry

from api.graphql.context import Resolving
from api.graphql.inputs import ChargeFilter, Origin, Period, meant
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from api.graphql.scalars import Document
from ledger.reads import charges as reading
from ledger.reads.charges import ChargeOrder

strawberry.enum(ChargeOrder, description="By time, or by billed cost; unpriced charges count as 0.")


@strawberry.type(description="One row of a vendor's bill, with FOCUS names.")
class Charge:
    id: strawberry.ID
    namespace: str
    provider: str
    believed_from: datetime = strawberry.field(description="Since when the ledger has held it so.")
    charge_period_start: datetime
    charge_period_end: datetime
    billing_currency: str
    billed_cost: Decimal | None = strawberry.field(description="Null: a line without a known price.")
    effective_cost: Decimal | None
    list_cost: Decimal | None
    contracted_cost: Decimal | None
    x_origin: Origin
    x_model: str | None
    x_token_type: str | None
    service_name: str
    service_category: str | None
    service_provider_name: str
    charge_category: str
    charge_class: str | None
    charge_frequency: str | None
    charge_description: str | None
    billing_account_id: str | None
    sub_account_id: str | None
    sub_account_name: str | None
    region_id: str | None
    resource_id: str | None
    resource_name: str | None
    sku_id: str | None
    consumed_quantity: Decimal | None
    consumed_unit: str | None
    pricing_quantity: Decimal | None
    pricing_unit: str | None
    tags: Document
    extra: Document = strawberry.field(description="What has no field of its own, under the vendor's names.")


_SAME = tuple(name for name in Charge.__annotations__ if name not in ("id", "x_origin", "tags", "extra"))
_PLACE = (datetime, str, str, UUID, int, Decimal)


async def charges(
    info: Resolving,
    *,
    period: Period,
    filter: ChargeFilter | None = None,  # noqa: A002  # the schema's word
    order_by: ChargeOrder = ChargeOrder.NEWEST,
    as_of: datetime | None = None,
    first: int = 50,
    after: str | None = None,
) -> Connection[Charge]:
    question = reading.ChargeQuestion(period=period.meant(), filter=meant(filter), order=order_by, as_of=as_of)
    wanted = page_size(first)
    name = f"charges {order_by.value}"
    parts = read_cursor(after, name, _PLACE)
    place = None if parts is None else reading.Place(*parts)
    async with info.context.ledger() as connection:
        rows = await reading.charges(connection, question, first=wanted + 1, after=place)

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await reading.count_charges(connection, question)

    return connection_of(rows, wanted, after, _charge, lambda row: write_cursor(name, _parts(row)), count)


def _parts(row: reading.StoredCharge) -> tuple[datetime, str, str, UUID, int, Decimal]:
    place = row.place
    return (place.start, place.namespace, place.provider, place.row_id, place.copy, place.cost)


def _charge(row: reading.StoredCharge) -> Charge:
    return Charge(
        id=strawberry.ID(write_cursor("Charge", _parts(row)[:5])),
        x_origin=Origin(row.x_origin),
        tags=Document(row.tags or {}),
        extra=Document(row.extra or {}),
        **{name: getattr(row, name) for name in _SAME},
    )
