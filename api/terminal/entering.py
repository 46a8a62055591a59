"""`costhook cost`: figures of vendors without an API, entered, edited, taken back and listed."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from api.terminal.opening import answered, in_force, now, show, who
from api.terminal.options import Json, Namespace, StateDir, Url

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ledger.database import Connection, ReaderDB
    from ledger.entry import Entry, Figure, Key
    from ledger.manual_entries import Hand

cost = typer.Typer(no_args_is_help=True, help="Enter, edit, delete and list the figures of vendors without an API.")


def _month(text: str) -> date:
    """A month, by its first day."""
    if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
        return date.fromisoformat(f"{text}-01")
    raise typer.BadParameter("write a month as 2026-10")


Name = Annotated[str, typer.Argument(help="Name of a Provider of type manual")]
Month = Annotated[date, typer.Option(metavar="MONTH", parser=_month, help="Month of the figure, such as 2026-10")]
Service = Annotated[str, typer.Option(help="Service, where the vendor bills several; the vendor's own if absent")]
Note = Annotated[str | None, typer.Option(help="A word on it, such as the invoice's number")]


@cost.command()
def add(
    name: Name,
    *,
    month: Month,
    amount: Annotated[str, typer.Option(help="What it cost, in major units: 12.34; below 0 for a credit")],
    currency: Annotated[str, typer.Option(help="ISO 4217 code")] = "USD",
    service: Service = "",
    note: Note = None,
    namespace: Namespace = None,
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """Enter what a month cost at a vendor without an API. A month without costs is entered as 0.

    Example: `costhook cost add groq --month 2026-10 --amount 12.34`
    """
    from ledger import manual_entries
    from ledger.entry import figure

    entered = figure(amount, currency, note)

    async def change(connection: Connection, key: Key, hand: Hand) -> Figure:
        await manual_entries.add(connection, key, entered, hand)
        return entered

    _change(_Named(name, month, service, namespace), (state, database_url), change, "entered")


@cost.command()
def edit(
    name: Name,
    *,
    month: Month,
    amount: Annotated[str | None, typer.Option(help="What it cost, in major units; as it was if absent")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code; as it was if absent")] = None,
    service: Service = "",
    note: Note = None,
    namespace: Namespace = None,
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """Change a figure that was entered; what is not named stays, and `--note ""` takes the note away.

    Example: `costhook cost edit groq --month 2026-10 --amount 12.84`
    """
    from ledger import manual_entries
    from ledger.entry import figure

    checked = figure(amount or "0", currency or "USD", note)
    given = {"amount": amount, "currency": currency, "note": note}
    changes = {field: getattr(checked, field) for field, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("say what to change: --amount, --currency or --note")

    async def change(connection: Connection, key: Key, hand: Hand) -> Figure:
        return await manual_entries.edit(connection, key, changes, hand)

    _change(_Named(name, month, service, namespace), (state, database_url), change, "changed")


@cost.command()
def delete(
    name: Name,
    *,
    month: Month,
    service: Service = "",
    namespace: Namespace = None,
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """Take a figure back. The ledger keeps what was believed before, and the audit log who took it back.

    Example: `costhook cost delete groq --month 2026-10`
    """
    from ledger import manual_entries

    _change(_Named(name, month, service, namespace), (state, database_url), manual_entries.delete, "deleted")


@cost.command(name="list")
def list_entries(
    name: Annotated[str | None, typer.Argument(help="Name of a Provider of type manual; all of them if absent")] = None,
    *,
    namespace: Namespace = None,
    as_json: Json = False,
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """List the figures that were entered, the newest month first, with who entered and changed each.

    Example: `costhook cost list groq`
    """
    from ledger import manual_entries

    async def listed(db: ReaderDB) -> Sequence[Entry]:
        async with db.transaction(None) as connection:
            return await manual_entries.listed(connection, namespace, name)

    found = answered(in_force(state=state, database_url=database_url), listed)
    show(lambda to: _table(found, to), [_json(each) for each in found] if as_json else None)


class _Named(NamedTuple):
    """Which figure, as the command line says it."""

    name: str
    month: date
    service: str
    namespace: str | None


def _change(
    of: _Named,
    where: tuple[Any, Any],
    change: Callable[[Connection, Key, Hand], Awaitable[Figure]],
    done: str,
) -> None:
    """Make a change in one transaction, with who and when, and say what became of it."""
    from ledger.entry import Key, checked_key
    from ledger.manual_entries import Hand, said
    from ledger.requests import anyone_reconciles

    at = now()

    async def make(db: ReaderDB) -> str:
        namespace = await _namespace(db, of.name, of.namespace)
        key = Key(namespace=namespace, provider=of.name, month=of.month, service=of.service)
        async with db.transaction([key.namespace]) as connection:
            figure = (await change(connection, checked_key(key, at.date()), Hand(who(), "local", at))).told()
        heard = await anyone_reconciles(db)
        then = "it is synced now" if heard else "it counts once `costhook up` runs, or `costhook sync` was called"
        return f"{said(key)}: {figure['amount']} {figure['currency']} is {done}; {then}"

    state, database_url = where
    typer.echo(answered(in_force(state=state, database_url=database_url), make))


async def _namespace(db: ReaderDB, name: str, namespace: str | None) -> str:
    """The namespace of the one Provider of that name. Raises NotFound."""
    from ledger.errors import NotFound
    from ledger.reads.providers import ProviderFilter, providers

    async with db.transaction(None) as connection:
        manual = await providers(connection, ProviderFilter(types=("manual",)))
    known = [each for each in manual if each.kind == "Provider" and not each.removed]
    found = [each.namespace for each in known if each.name == name and namespace in (None, each.namespace)]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"there are several Providers {name}; say which with --namespace: {', '.join(found)}")
    others = ", ".join(f"{each.namespace}/{each.name}" for each in known) or "none"
    where = f" in namespace {namespace}" if namespace else ""
    raise NotFound(f"there is no Provider {name} of type manual{where}; known: {others}")


def _table(found: Sequence[Entry], console: Console) -> RenderableType:
    from rich.text import Text

    from api.terminal.layout import NONE, Column, blocks, fitting, moment, table
    from ledger.money import plain

    if not found:
        return Text("Nothing is entered. `costhook cost add NAME --month MONTH --amount AMOUNT` enters a figure.")
    columns = [
        *(Column("Month", whole=True), Column("Provider"), Column("Service"), Column("Amount", amount=True)),
        *(Column("Cur.", whole=True), Column("By"), Column("When", whole=True), Column("Note")),
    ]
    rows = [
        [
            Text(f"{each.key.month:%Y-%m}"),
            Text(f"{each.key.namespace}/{each.key.provider}"),
            Text(each.key.service or NONE),
            Text(plain(each.figure.amount)),
            Text(each.figure.currency),
            Text(each.changed_by or each.entered_by),
            Text(moment(each.changed_at or each.entered_at)),
            Text(each.figure.note or NONE),
        ]
        for each in found
    ]
    return fitting(console, table(columns, rows), blocks(columns, rows))


def _json(each: Entry) -> dict[str, Any]:
    return {
        "namespace": each.key.namespace,
        "provider": each.key.provider,
        "month": f"{each.key.month:%Y-%m}",
        "service": each.key.service or None,
        "amount": each.figure.amount,
        "currency": each.figure.currency,
        "note": each.figure.note,
        "enteredAt": each.entered_at,
        "enteredBy": each.entered_by,
        "changedAt": each.changed_at,
        "changedBy": each.changed_by,
    }
