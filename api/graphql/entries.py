"""Figures of vendors without an API: the list of them, and entering, editing and deleting one."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry

from api.graphql.context import Context, Resolving
from api.graphql.errors import Code, PublicError
from api.graphql.inputs import text
from api.graphql.mutations import NotFoundProblem, StateProblem, allowed, not_found
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from ledger import manual_entries
from ledger.entry import Entry, Figure, Key, checked_key, figure
from ledger.errors import NotFound
from ledger.manual_entries import AlreadyEntered, Hand


@strawberry.type(description="What one service of a vendor without an API cost in a month, as a person entered it.")
class CostEntry:
    namespace: str
    provider: str
    month: str = strawberry.field(description="YYYY-MM.")
    service: str | None
    amount: Decimal
    currency: str
    note: str | None
    entered_at: datetime
    entered_by: str
    changed_at: datetime | None
    changed_by: str | None


@strawberry.type(description="The figure is entered, and a sync is asked for.")
class CostEntered:
    entry: CostEntry


@strawberry.type(description="The figure is changed, and a sync is asked for.")
class CostEdited:
    entry: CostEntry


@strawberry.type(description="The figure is taken back, and a sync is asked for.")
class CostDeleted:
    amount: Decimal = strawberry.field(description="What it was.")
    currency: str


AddCostResult = Annotated[CostEntered | NotFoundProblem | StateProblem, strawberry.union("AddCostResult")]
EditCostResult = Annotated[CostEdited | NotFoundProblem, strawberry.union("EditCostResult")]
DeleteCostResult = Annotated[CostDeleted | NotFoundProblem, strawberry.union("DeleteCostResult")]


async def cost_entries(
    info: Resolving,
    *,
    namespace: str | None = None,
    provider: str | None = None,
    first: int = 50,
    after: str | None = None,
) -> Connection[CostEntry]:
    chosen = (namespace and text(namespace, "namespace"), provider and text(provider, "provider"))
    wanted = page_size(first)
    async with info.context.ledger() as connection:
        rows = await manual_entries.listed(connection, *chosen, most=wanted + 1, after=_place(after))

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await manual_entries.count(connection, *chosen)

    return connection_of(rows, wanted, after, _shown, _cursor, count)


async def add_cost(
    info: Resolving,
    *,
    namespace: str,
    provider: str,
    month: str,
    amount: Decimal,
    currency: str = "USD",
    service: str | None = None,
    note: str | None = None,
) -> AddCostResult:
    context, key = _named(info, namespace, provider, month, service)
    entered = figure(amount, currency, note)
    try:
        async with context.ledger() as connection:
            await manual_entries.add(connection, key, entered, _hand(context))
            return CostEntered(entry=_shown(await manual_entries.find(connection, key)))
    except AlreadyEntered as error:
        return StateProblem(code="ALREADY_ENTERED", message=_sentence(error), field="month")
    except NotFound:
        return not_found("There is no Provider of type manual of this name.", "provider")


async def edit_cost(
    info: Resolving,
    *,
    namespace: str,
    provider: str,
    month: str,
    service: str | None = None,
    amount: Decimal | None = None,
    currency: str | None = None,
    note: str | None = strawberry.UNSET,
) -> EditCostResult:
    context, key = _named(info, namespace, provider, month, service)
    checked = figure(amount or Decimal(0), currency or "USD", note or None)
    changes: dict[str, Any] = {} if amount is None else {"amount": checked.amount}
    changes |= {} if currency is None else {"currency": checked.currency}
    changes |= {} if note is strawberry.UNSET else {"note": checked.note}
    if not changes:
        raise PublicError(Code.BAD_INPUT, "Say what to change: amount, currency or note.", field="amount")
    try:
        async with context.ledger() as connection:
            await manual_entries.edit(connection, key, changes, _hand(context))
            return CostEdited(entry=_shown(await manual_entries.find(connection, key)))
    except NotFound:
        return not_found("Nothing is entered for this month and service.", "month")


async def delete_cost(
    info: Resolving, *, namespace: str, provider: str, month: str, service: str | None = None
) -> DeleteCostResult:
    context, key = _named(info, namespace, provider, month, service)
    try:
        async with context.ledger() as connection:
            was: Figure = await manual_entries.delete(connection, key, _hand(context))
            return CostDeleted(amount=was.amount, currency=was.currency)
    except NotFound:
        return not_found("Nothing is entered for this month and service.", "month")


def _named(info: Resolving, namespace: str, provider: str, month: str, service: str | None) -> tuple[Context, Key]:
    """The entry that is meant, by a caller who may change it. Raises PublicError and InvalidQuestion."""
    context = allowed(info)
    key = Key(
        namespace=text(namespace, "namespace"),
        provider=text(provider, "provider"),
        month=_month(month),
        service=service or "",
    )
    if context.principal.sees(namespace) and not context.principal.may_sync(namespace):
        raise PublicError(Code.FORBIDDEN, "You may see this namespace, and not enter costs in it.")
    return context, checked_key(key, context.now.date())


def _month(written: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", written, re.ASCII) or written.startswith("0000"):
        raise PublicError(Code.BAD_INPUT, "Write a month as 2026-10.", field="month")
    return date.fromisoformat(f"{written}-01")


def _hand(context: Context) -> Hand:
    return Hand(context.principal.name, context.principal.kind, context.now, context.request_id)


def _shown(entry: Entry) -> CostEntry:
    return CostEntry(
        namespace=entry.key.namespace,
        provider=entry.key.provider,
        month=f"{entry.key.month:%Y-%m}",
        service=entry.key.service or None,
        amount=entry.figure.amount,
        currency=entry.figure.currency,
        note=entry.figure.note,
        entered_at=entry.entered_at,
        entered_by=entry.entered_by,
        changed_at=entry.changed_at,
        changed_by=entry.changed_by,
    )


def _cursor(entry: Entry) -> str:
    key = entry.key
    return write_cursor("costEntries", (f"{key.month:%Y-%m}", key.namespace, key.provider, key.service))


def _place(after: str | None) -> Key | None:
    parts = read_cursor(after, "costEntries", (str, str, str, str))
    if parts is None:
        return None
    return Key(month=_month(parts[0]), namespace=parts[1], provider=parts[2], service=parts[3])


def _sentence(error: Exception) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."
