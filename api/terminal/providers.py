"""The table of providers: how each stands, how far its data is whole, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from api.terminal.layout import NONE, Column, blocks, count, day, fitting, money, table
from ledger.database import ReaderDB
from ledger.reads.figures import Figures, figures
from ledger.reads.providers import Condition, Provider, ProviderFilter, SyncCost, VendorAccount, providers

DOUBLE_COUNTED: Final = "DoubleCounted"
"""The condition of a provider whose costs another one counts, too."""
_UNKNOWN: Final = Condition("Ready", "Unknown", "Pending", "it has not been looked at yet", None)
_STYLES: Final = {"True": "green", "False": "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """One provider with its figures, one for each currency."""

    provider: Provider
    figures: Sequence[Figures]

    @property
    def ready(self) -> Condition:
        return next((held for held in self.provider.conditions if held.type == "Ready"), _UNKNOWN)

    @property
    def turn(self) -> tuple[str, str]:
        """What is worth telling when it changes."""
        return self.ready.status, self.ready.reason

    @property
    def style(self) -> str:
        """The colour of how it stands."""
        return "dim" if self.provider.suspended else _STYLES.get(self.ready.status, "yellow")

    @property
    def fails(self) -> bool:
        """Whether it should be Ready and is not."""
        return not self.provider.suspended and self.ready.status != "True"


async def overview(db: ReaderDB, now: datetime) -> list[Row]:
    """Every provider there is, by namespace and name."""
    async with db.transaction(None) as connection:
        costs = await figures(connection, now.date())
        found = await providers(connection, ProviderFilter())
    return [Row(provider, costs.get((provider.namespace, provider.name), ())) for provider in found]


async def standing(db: ReaderDB) -> list[Row]:
    """Every provider there is, without its figures."""
    async with db.transaction(None) as connection:
        return [Row(provider, ()) for provider in await providers(connection, ProviderFilter())]


def shown(rows: Sequence[Row], console: Console) -> RenderableType:
    """The table, as wide as the console allows, and under it whatever needs a word."""
    if not rows:
        return Text("No providers yet. `costhook up DIR` syncs those that the manifests in DIR declare.")
    notes = list(_notes(rows))
    layout = fitting(console, _wide(rows), _narrow(rows), _tall(rows))
    return Group(layout, *([Text("")] if notes else []), *notes)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The table as JSON values; amounts are Decimals."""
    return [_json(row) for row in rows]


def reasons(rows: Sequence[Row]) -> Iterator[str]:
    """Why those that should be Ready are not."""
    names = _names(rows)
    for row in rows:
        if row.fails:
            place = f" ({row.provider.place})" if row.provider.place else ""
            yield f"{names(row)}: {row.ready.reason}: {row.ready.message}{place}"


class _Namer:
    """Names providers, with their namespace where there are several."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._one = len({row.provider.namespace for row in rows}) <= 1

    def __call__(self, row: Row) -> str:
        return row.provider.name if self._one else f"{row.provider.namespace}/{row.provider.name}"


_names = _Namer


def _wide(rows: Sequence[Row]) -> RenderableType:
    columns = [
        *(Column("Provider"), Column("Type"), Column("Ready"), Column("Complete\nthrough", whole=True)),
        *(Column("First day", whole=True), Column("Last day", whole=True), Column("Total", amount=True)),
        *(Column("Month\nto date", amount=True), Column("Last\n30 days", amount=True)),
        *(Column("Cur.", whole=True), Column("Origin")),
    ]
    return table(columns, [cells for row in _cells(rows) for cells in row])


def _narrow(rows: Sequence[Row]) -> RenderableType:
    columns = [
        *(Column("Provider\nType"), Column("Ready\nReason"), Column("Complete\nthrough", whole=True)),
        *(Column("First day\nLast day", whole=True), Column("Total\nOrigin", amount=True)),
        Column("Month\n30 days", amount=True),
    ]
    return table(columns, [_stacked(cells) for row in _cells(rows) for cells in row])


def _stacked(cells: Sequence[Text]) -> list[Text]:
    """The cells of a wide row on two lines."""
    name, type_, ready, through, first, last, total, month, recent, currency, origins = cells
    amount = total if total.plain == NONE else Text.assemble(total, " ", currency)
    return [
        _below(name, type_),
        Text("\n").join(ready.split(" ")),
        through,
        _below(first, last),
        _below(amount, origins),
        month if month.plain == NONE else Text.assemble(month, "\n", recent),
    ]


def _below(upper: Text, lower: Text) -> Text:
    if lower.plain in ("", NONE):
        return upper
    return Text.assemble(upper, "\n", (lower.plain, "dim"))


def _tall(rows: Sequence[Row]) -> RenderableType:
    titles = ("Provider", "Type", "Ready", "Complete through", "First day", "Last day", "Total")
    columns = [Column(title) for title in (*titles, "Month to date", "Last 30 days", "Currency", "Origin")]
    return blocks(columns, [[*row[0][:3], *cells[3:]] for row in _cells(rows) for cells in row])


def _cells(rows: Sequence[Row]) -> Iterator[list[list[Text]]]:
    """For each provider a line of cells for each currency; the provider itself is named on the first."""
    names = _names(rows)
    for row in rows:
        head = [Text(names(row)), Text(row.provider.type), _ready(row)]
        lines = [[*_through(row, held), *_amounts(held), _currency(held), _origins(held)] for held in row.figures]
        first, *others = lines or [[*_through(row, None), *_amounts(None), _currency(None), _origins(None)]]
        yield [[*head, *first], *([Text("")] * 3 + line for line in others)]


def _ready(row: Row) -> Text:
    return Text(f"{row.ready.status} {row.ready.reason}", style=row.style)


def _through(row: Row, held: Figures | None) -> tuple[Text, Text, Text]:
    first, last = (None, None) if held is None else (held.first_day, held.last_day)
    return Text(day(row.provider.complete_through)), Text(day(first)), Text(day(last))


def _amounts(held: Figures | None) -> tuple[Text, Text, Text]:
    if held is None:
        return Text(NONE), Text(NONE), Text(NONE)
    total, month, recent = (money(each, held.currency) for each in (held.total, held.month_to_date, held.recent))
    return total, month, recent


def _currency(held: Figures | None) -> Text:
    return Text(NONE if held is None else held.currency)


def _origins(held: Figures | None) -> Text:
    return Text(NONE if held is None else ", ".join(held.origins))


def _notes(rows: Sequence[Row]) -> Iterator[Text]:
    names = _names(rows)
    for reason in reasons(rows):
        yield Text(reason, style="red")
    yield from _doubles(rows)
    for row in rows:
        unpriced = sum(held.unpriced for held in row.figures)
        if unpriced:
            said = count(unpriced, "charge has no known price and is", "charges have no known price and are")
            yield Text(f"{names(row)}: {said} in no sum", style="yellow")
    for row in rows:
        if (cost := row.provider.sync_cost) is not None:
            month = money(cost.per_month, cost.currency).plain
            yield Text(f"{names(row)}: its syncs cost about {month} {cost.currency} a month", style="dim")


def _doubles(rows: Sequence[Row]) -> Iterator[Text]:
    names = _names(rows)
    for row in rows:
        for held in row.provider.conditions:
            if held.type == DOUBLE_COUNTED:
                yield Text(f"{names(row)}: {held.reason}: {held.message}", style="yellow")


def _json_account(held: VendorAccount | None) -> dict[str, Any] | None:
    if held is None:
        return None
    return {"id": held.id, "name": held.name, "notes": list(held.notes), "checkedAt": held.checked_at}


def _json_sync_cost(held: SyncCost | None) -> dict[str, Any] | None:
    if held is None:
        return None
    prices = {"perSync": held.per_sync, "perMonth": held.per_month, "currency": held.currency}
    return {"calls": held.calls, **prices}


def _json(row: Row) -> dict[str, Any]:
    held = row.provider
    return {
        "namespace": held.namespace,
        "name": held.name,
        "kind": held.kind,
        "type": held.type,
        "suspended": held.suspended,
        "ready": row.ready.status,
        "reason": row.ready.reason,
        "message": row.ready.message,
        "conditions": [
            {"type": each.type, "status": each.status, "reason": each.reason, "message": each.message}
            for each in held.conditions
        ],
        "place": held.place,
        "account": _json_account(held.account),
        "syncCost": _json_sync_cost(held.sync_cost),
        "completeThrough": held.complete_through,
        "lastSyncTime": held.last_sync_at,
        "nextSyncTime": held.next_sync_at,
        "figures": [_json_figures(each) for each in row.figures],
    }


def _json_figures(held: Figures) -> dict[str, Any]:
    names = {"first_day": "firstDay", "last_day": "lastDay", "month_to_date": "monthToDate", "recent": "last30Days"}
    return {names.get(name, name): value for name, value in asdict(held).items()}
