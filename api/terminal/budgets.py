"""The table of budgets: what each is, how much of it is spent, and where that leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from api.terminal.layout import NONE, Column, blocks, day, fitting, money, table
from ledger.database import ReaderDB
from ledger.reads.budgets import Budget, BudgetFilter, budgets
from ledger.reads.filters import camel


async def answer(db: ReaderDB, namespaces: Sequence[str] | None, now: datetime) -> Sequence[Budget]:
    """Every budget, by namespace and name, as it stands now."""
    chosen = BudgetFilter(namespaces=tuple(namespaces) if namespaces else None)
    async with db.transaction(None) as connection:
        return await budgets(connection, chosen, now.date())


def shown(found: Sequence[Budget], console: Console) -> RenderableType:
    """The table, and under it what is not Ready, and what is in other currencies."""
    if not found:
        return Text("No budgets yet. A manifest of kind Budget declares one; docs/kinds/budget.md says how.")
    columns = [
        *(Column("Budget"), Column("From", whole=True), Column("Amount", amount=True), Column("Spent", amount=True)),
        *(Column("Used", amount=True), Column("Remaining", amount=True), Column("A day", amount=True)),
        *(Column("Projected", amount=True), Column("Used up", whole=True), Column("Complete\nthrough", whole=True)),
        Column("Cur.", whole=True),
    ]
    one = len({each.namespace for each in found}) == 1
    rows = [_cells(each, each.name if one else f"{each.namespace}/{each.name}") for each in found]
    notes = list(_notes(found))
    return Group(fitting(console, table(columns, rows), blocks(columns, rows)), *([Text("")] if notes else []), *notes)


def as_json(found: Sequence[Budget]) -> list[dict[str, Any]]:
    """The budgets as JSON values; amounts are Decimals."""
    return [_json(each) for each in found]


def _cells(each: Budget, name: str) -> list[Text]:
    if each.terms is None or each.stood is None:
        return [Text(name, style="red"), *([Text(NONE)] * 10)]
    held, currency = each.stood.standing, each.terms.currency
    over = held.share is not None and held.share >= 1
    return [
        Text(name),
        Text(day(held.period.first)),
        money(each.terms.amount, currency),
        money(held.spent, currency),
        Text(NONE if held.share is None else f"{held.share * 100:.1f}%", style="red" if over else ""),
        money(held.remaining, currency),
        _amount(held.burn_rate, currency),
        _amount(held.projected, currency),
        Text(day(held.exhausted_on), style="" if held.exhausted_on is None else "yellow"),
        Text(day(held.complete_through)),
        Text(currency),
    ]


def _amount(amount: Decimal | None, currency: str) -> Text:
    return Text(NONE) if amount is None else money(amount, currency)


def _notes(found: Sequence[Budget]) -> Iterator[Text]:
    for each in found:
        ready = next((held for held in each.conditions if held.type == "Ready"), None)
        if ready is not None and ready.status != "True":
            yield Text(f"{each.namespace}/{each.name}: {ready.reason}: {ready.message}", style="red")
        elif ready is not None and ready.reason in ("OtherCurrencies", "NoProviders"):
            yield Text(f"{each.namespace}/{each.name}: {ready.message}", style="yellow")


def _json(each: Budget) -> dict[str, Any]:
    head: dict[str, Any] = {"namespace": each.namespace, "name": each.name, "place": each.place}
    if each.terms is None or each.stood is None:
        return {**head, "amount": None, "currency": None, "period": None, "metric": None, "standing": None}
    terms, held = each.terms, asdict(each.stood.standing)
    period = held.pop("period")
    standing = {"from": period["first"], "to": period["after_last"], **{camel(name): held[name] for name in held}}
    standing["otherCurrencies"] = [{"amount": cost, "currency": code} for code, cost in each.stood.others.items()]
    standing["days"] = [{"day": at, "amount": cost} for at, cost in each.stood.days.items()]
    said = {name: getattr(terms, name) for name in ("amount", "currency", "period", "metric")}
    return {**head, **said, "scope": terms.scope.document(), "standing": standing}
