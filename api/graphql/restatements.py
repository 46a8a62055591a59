"""What vendors changed after the fact: type and resolver."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import strawberry

from api.graphql.context import Resolving
from api.graphql.inputs import ChargeFilter, Period, meant
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from api.graphql.runs import run_id
from api.graphql.scalars import BigInt
from ledger.reads import restatements as reading


@strawberry.type(description="Rows, and what they cost together.")
class RowsAndAmount:
    rows: BigInt
    amount: Decimal


@strawberry.type(description="What one window of one sync changed in one currency. Amounts are billed costs.")
class Restatement:
    namespace: str
    provider: str
    run_id: strawberry.ID
    window_start: datetime
    window_end: datetime
    currency: str
    at: datetime
    restated: bool = strawberry.field(
        description="The days had been whole before. False: figures that were still arriving."
    )
    inserted: RowsAndAmount
    changed: RowsAndAmount = strawberry.field(description="The amount is new less old.")
    removed: RowsAndAmount
    net: Decimal = strawberry.field(description="inserted + changed - removed.")


_PLACE = (datetime, str, str, int, datetime, str, bool)


async def restatements(
    info: Resolving,
    *,
    period: Period | None = None,
    filter: ChargeFilter | None = None,  # noqa: A002  # the schema's word
    arriving: bool = False,
    first: int = 50,
    after: str | None = None,
) -> Connection[Restatement]:
    question = reading.RestatementQuestion(
        period=None if period is None else period.meant(), filter=meant(filter), restated=None if arriving else True
    )
    wanted = page_size(first)
    parts = read_cursor(after, "restatements", _PLACE)
    place = None if parts is None else (parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6])
    async with info.context.ledger() as connection:
        rows = await reading.restatements(connection, question, first=wanted + 1, after=place)

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await reading.count_restatements(connection, question)

    return connection_of(
        rows, wanted, after, _restatement, lambda row: write_cursor("restatements", reading.place(row)), count
    )


def _restatement(row: reading.Restatement) -> Restatement:
    return Restatement(
        namespace=row.namespace,
        provider=row.provider,
        run_id=run_id(row.namespace, row.run_id),
        window_start=row.window_start,
        window_end=row.window_end,
        currency=row.billing_currency,
        at=row.at,
        restated=row.restated,
        inserted=RowsAndAmount(rows=BigInt(row.rows_inserted), amount=row.amount_inserted),
        changed=RowsAndAmount(rows=BigInt(row.rows_changed), amount=row.amount_changed),
        removed=RowsAndAmount(rows=BigInt(row.rows_removed), amount=row.amount_removed),
        net=row.net,
    )
