"""The baseline of all writing: asyncpg's binary COPY of ready rows into a table like the ledger's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from ledger.charge import Charge
from ledger.encoding import pack, row_id
from ledger.focus import json_text
from ledger.schema import CHARGE_COLUMNS
from ledger.window import Window, month_start, next_month
from tests.bench.ground import NAMESPACE, PROVIDER, READ_AT, Ground

Row = tuple[Any, ...]


class RawCopy:
    """A table with the columns, the index and the months of `charge`, and rows that lie ready for it."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    async def make(self, window: Window) -> None:
        """Make the table with the partitions of a window."""
        owner = self.ground.owner
        await owner.execute(
            "create table raw_charge (like charge including all) partition by range (charge_period_start)"
        )
        for month in window.span.months():
            await owner.execute(f"""
                create table raw_charge_{month:%Y_%m} partition of raw_charge
                for values from ('{month_start(month):%Y-%m-%d} 00:00+00') to ('{next_month(month):%Y-%m-%d} 00:00+00')
            """)

    async def write(self, rows: Sequence[Row]) -> None:
        """COPY all rows in one transaction."""
        await self.ground.owner.copy_records_to_table("raw_charge", records=_each(rows), columns=CHARGE_COLUMNS)

    async def clear(self) -> None:
        await self.ground.owner.execute("truncate raw_charge")


def ready_rows(batches: Iterable[Sequence[Charge]]) -> list[Row]:
    """The charges as tuples of what asyncpg writes without asking: identity and documents are made beforehand."""
    return [_row(charge) for batch in batches for charge in batch]


async def _each(rows: Sequence[Row]) -> AsyncIterator[Row]:
    for row in rows:
        yield row


def _row(charge: Charge) -> Row:
    values: dict[str, Any] = charge._asdict()
    values |= {"tags": _text(charge.tags), "extra": _text(charge.extra), "copy": 0}
    values |= {"namespace": NAMESPACE, "provider": PROVIDER, "believed_from": READ_AT}
    values["row_id"] = UUID(row_id(pack(charge)))
    return tuple(values[name] for name in CHARGE_COLUMNS)


def _text(document: Mapping[str, Any] | None) -> str | None:
    return json_text(document) if document else None
