"""Figures that people enter for Providers of type `manual`: kept here with who and when, and never by a resource.

Every change is written to the audit log, with what was before and after, in its own transaction, and asks for a sync,
so that the charges follow at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text

from ledger import audit, requests
from ledger.database import Connection, WriterDB
from ledger.entry import Entry, Figure, Key
from ledger.errors import InvalidQuestion, NotFound
from ledger.requests import Asking
from ledger.runs import Request

MOST: Final = 10_000
"""Entries that are listed at once; a Provider has one for each month and service."""

_COLUMNS: Final = """
    namespace, provider, month, service, amount, currency, note, entered_at, entered_by, changed_at, changed_by
"""
_KEYED: Final = "namespace = :namespace and provider = :provider and month = :month and service = :service"
_KNOWN: Final = text("""
    select 1 from provider
    where namespace = :namespace and name = :provider and kind = 'Provider' and type = 'manual' and deleted_at is null
""")
_FIND: Final = text(f"select {_COLUMNS} from manual_entry where {_KEYED} for update")
_ADD: Final = text("""
    insert into manual_entry (namespace, provider, month, service, amount, currency, note, entered_at, entered_by)
    values (:namespace, :provider, :month, :service, :amount, :currency, :note, :at, :by)
    on conflict do nothing returning 1
""")
_EDIT: Final = text(f"""
    update manual_entry set amount = :amount, currency = :currency, note = :note, changed_at = :at, changed_by = :by
    where {_KEYED}
""")
_DELETE: Final = text(f"delete from manual_entry where {_KEYED}")
_OF_PROVIDER: Final = text(f"""
    select {_COLUMNS} from manual_entry where namespace = :namespace and provider = :provider order by month, service
""")
_CHOSEN: Final = """
    (cast(:namespace as text) is null or namespace = :namespace)
        and (cast(:provider as text) is null or provider = :provider)
"""
_LIST: Final = text(f"""
    select {_COLUMNS} from manual_entry
    where {_CHOSEN} and (
        cast(:after_month as date) is null or month < :after_month
        or (month = :after_month and (namespace, provider, service) > (:after_ns, :after_provider, :after_service))
    )
    order by month desc, namespace, provider, service limit :most
""")
_COUNT: Final = text(f"select count(*) from manual_entry where {_CHOSEN}")


class AlreadyEntered(InvalidQuestion):
    """There is a figure for this month and service; it is edited, not added."""


@dataclass(frozen=True, slots=True)
class Hand:
    """Whose hand it is, and when."""

    name: str
    kind: str
    at: datetime
    request_id: str = ""


async def add(connection: Connection, key: Key, figure: Figure, hand: Hand) -> None:
    """Enter a figure. Raises NotFound where no Provider takes entries, AlreadyEntered where there is one."""
    if (await connection.execute(_KNOWN, _named(key))).first() is None:
        raise NotFound(f"there is no Provider {key.provider} of type manual in namespace {key.namespace}")
    values = {**_named(key), **_told(figure), "at": hand.at, "by": hand.name}
    if (await connection.execute(_ADD, values)).first() is None:
        held = await _found(connection, key)
        raise AlreadyEntered(
            f"{said(key)} is entered already: {held.figure.told()['amount']} {held.figure.currency} by"
            f" {held.changed_by or held.entered_by}; edit it, or name another service",
            "month",
        )
    await _note(connection, "addCost", key, hand, {"after": figure.told()})


async def edit(connection: Connection, key: Key, change: Mapping[str, Any], hand: Hand) -> Figure:
    """Change fields of a figure; what it is now. Raises NotFound."""
    before = (await _found(connection, key)).figure
    after = Figure(**{"amount": before.amount, "currency": before.currency, "note": before.note, **change})
    await connection.execute(_EDIT, {**_named(key), **_told(after), "at": hand.at, "by": hand.name})
    await _note(connection, "editCost", key, hand, {"before": before.told(), "after": after.told()})
    return after


async def delete(connection: Connection, key: Key, hand: Hand) -> Figure:
    """Take a figure back; what it was. Raises NotFound."""
    before = (await _found(connection, key)).figure
    await connection.execute(_DELETE, _named(key))
    await _note(connection, "deleteCost", key, hand, {"before": before.told()})
    return before


async def of_provider(db: WriterDB, namespace: str, provider: str) -> Sequence[Entry]:
    """Every entry of a Provider, oldest month first."""
    async with db.statement() as connection:
        rows = await connection.execute(_OF_PROVIDER, {"namespace": namespace, "provider": provider})
        return [_entry(row) for row in rows]


async def listed(
    connection: Connection,
    namespace: str | None = None,
    provider: str | None = None,
    most: int = MOST,
    after: Key | None = None,
) -> Sequence[Entry]:
    """The entries that the connection may see, newest month first; those behind `after`, if there is one."""
    place = {
        "after_month": after and after.month,
        "after_ns": after and after.namespace,
        "after_provider": after and after.provider,
        "after_service": after and after.service,
    }
    values = {"namespace": namespace, "provider": provider, "most": most, **place}
    return [_entry(row) for row in await connection.execute(_LIST, values)]


async def count(connection: Connection, namespace: str | None = None, provider: str | None = None) -> int:
    """How many entries there are in all."""
    found = await connection.execute(_COUNT, {"namespace": namespace, "provider": provider})
    return int(found.scalar_one())


async def find(connection: Connection, key: Key) -> Entry:
    """The entry of that key. Raises NotFound."""
    return await _found(connection, key)


def said(key: Key) -> str:
    """The key in words."""
    return f"{key.provider} {key.month:%Y-%m}{f' ({key.service})' if key.service else ''}"


async def _found(connection: Connection, key: Key) -> Entry:
    row = (await connection.execute(_FIND, _named(key))).first()
    if row is None:
        raise NotFound(f"nothing is entered for {said(key)} in namespace {key.namespace}")
    return _entry(row)


async def _note(connection: Connection, action: str, key: Key, hand: Hand, detail: Mapping[str, Any]) -> None:
    """Tell the audit log, and have the charges follow."""
    entry = audit.Entry(
        at=hand.at,
        actor=hand.name,
        actor_kind=hand.kind,
        action=action,
        namespace=key.namespace,
        subject=key.provider,
        detail={"month": f"{key.month:%Y-%m}", **({"service": key.service} if key.service else {}), **detail},
        request_id=hand.request_id,
    )
    await audit.write(connection, entry)
    await requests.put(connection, Asking(key.namespace, key.provider, Request(None, None), hand.name, hand.at))


def _named(key: Key) -> dict[str, Any]:
    return {"namespace": key.namespace, "provider": key.provider, "month": key.month, "service": key.service}


def _told(figure: Figure) -> dict[str, Any]:
    return {"amount": figure.amount, "currency": figure.currency, "note": figure.note}


def _entry(row: Any) -> Entry:
    return Entry(
        key=Key(namespace=row.namespace, provider=row.provider, month=row.month, service=row.service),
        figure=Figure(amount=row.amount, currency=row.currency, note=row.note),
        entered_at=row.entered_at,
        entered_by=row.entered_by,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )
