"""What vendors changed after the fact, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from api.terminal.layout import Column, blocks, day, fitting, moment, money, table
from ledger.database import ReaderDB
from ledger.reads.filters import ChargeFilter
from ledger.reads.periods import EARLIEST, LATEST, Period
from ledger.reads.restatements import Restatement, RestatementQuestion, restatements


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked on the command line. `arriving` also asks for figures that were merely still arriving."""

    first: date | None = None
    after_last: date | None = None
    providers: Sequence[str] | None = None
    namespaces: Sequence[str] | None = None
    arriving: bool = False
    limit: int = 50


async def answer(db: ReaderDB, asked: Asked) -> Sequence[Restatement]:
    """What the ledger says, the latest first. Raises InvalidQuestion."""
    period = None
    if asked.first or asked.after_last:
        period = Period(asked.first or EARLIEST, asked.after_last or LATEST)
    chosen = ChargeFilter(
        providers=tuple(asked.providers) if asked.providers else None,
        namespaces=tuple(asked.namespaces) if asked.namespaces else None,
    )
    question = RestatementQuestion(period=period, filter=chosen, restated=None if asked.arriving else True)
    async with db.transaction(None) as connection:
        return await restatements(connection, question, first=asked.limit)


def shown(found: Sequence[Restatement], console: Console) -> RenderableType:
    """Restatements in their order; rows and amounts as added, changed and removed."""
    if not found:
        return Text("No restatements: nothing that was whole has changed since.")
    columns = [
        *(Column("Seen (UTC)", whole=True), Column("Provider"), Column("First day", whole=True)),
        *(Column("Last day", whole=True), Column("Rows", amount=True), Column("Added", amount=True)),
        *(Column("Changed", amount=True), Column("Removed", amount=True), Column("Net", amount=True)),
        Column("", whole=True),
    ]
    rows = [_cells(each) for each in found]
    narrow = [Column("Seen (UTC)\nProvider"), Column("First day\nLast day", whole=True), Column("Rows", amount=True)]
    narrow += [Column("Added\nRemoved", amount=True), Column("Changed\nNet", amount=True), Column("", whole=True)]
    return fitting(console, table(columns, rows), table(narrow, [_stacked(row) for row in rows]), blocks(columns, rows))


def as_json(found: Sequence[Restatement]) -> list[dict[str, Any]]:
    """Restatements as JSON values; amounts are Decimals."""
    return [{_camel(field.name): getattr(each, field.name) for field in fields(each)} for each in found]


def _cells(each: Restatement) -> list[Text]:
    currency = each.billing_currency
    name = Text(f"{each.namespace}/{each.provider}")
    if not each.restated:
        name.append(" (arriving)", style="dim")
    last = (each.window_end - timedelta(microseconds=1)).date()
    rows = f"+{each.rows_inserted} ~{each.rows_changed} -{each.rows_removed}"
    amounts = (each.amount_inserted, each.amount_changed, each.amount_removed, each.net)
    return [
        *(Text(moment(each.at)), name, Text(day(each.window_start.date())), Text(day(last)), Text(rows)),
        *(money(amount, currency) for amount in amounts),
        Text(currency),
    ]


def _stacked(row: Sequence[Text]) -> list[Text]:
    at, name, first, last, rows, added, changed, removed, net, currency = row
    pairs = ((at, name), (first, last), (rows, Text("")), (added, removed), (changed, net), (currency, Text("")))
    return [Text.assemble(upper, "\n", lower) for upper, lower in pairs]


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
