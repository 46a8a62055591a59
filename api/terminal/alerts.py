"""The table of alerts: the levels that are not fine, on which figures, and who was told and has taken them on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from api.terminal.layout import NONE, Column, blocks, count, fitting, moment, money, table
from ledger.alerts.book import Name
from ledger.database import ReaderDB
from ledger.reads.alerts import Alert, AlertFilter, LevelStanding, alerts, levels
from ledger.reads.filters import camel

_STYLES: Final = {"Firing": "red", "Pending": "yellow", "NoData": "yellow", "Ok": "green"}


@dataclass(frozen=True, slots=True)
class Row:
    """An alert and how its levels stand, the gravest first."""

    alert: Alert
    levels: Sequence[LevelStanding]

    @property
    def name(self) -> str:
        return f"{self.alert.namespace}/{self.alert.name}"

    @property
    def firing(self) -> bool:
        return any(level.state == "Firing" for level in self.levels)


async def answer(db: ReaderDB, namespaces: Sequence[str] | None, now: datetime, *, firing: bool) -> Sequence[Row]:
    """Every alert, by namespace and name, as it stands now; or only those that fire."""
    chosen = AlertFilter(namespaces=tuple(namespaces) if namespaces else None, states=("Firing",) if firing else None)
    async with db.transaction(None) as connection:
        found = await alerts(connection, chosen)
        held = await levels(connection, [Name(each.namespace, each.name) for each in found], now)
    return [Row(each, held.get(Name(each.namespace, each.name), ())) for each in found]


def shown(found: Sequence[Row], console: Console, now: datetime) -> RenderableType:
    """A line for each level that is not Ok, or one for an alert that is fine; under them what is not judged."""
    if not found:
        return Text("No alerts. A manifest of kind Alert declares one; docs/kinds/alert.md says how.")
    columns = [
        *(Column("Alert"), Column("Level", whole=True), Column("Severity", whole=True), Column("State", whole=True)),
        *(Column("Since (UTC)", whole=True), Column("Judged on"), Column("Told (UTC)", whole=True), Column("Kept by")),
    ]
    rows = [cells for row in found for cells in _cells(row, now)]
    notes = list(_notes(found))
    return Group(fitting(console, table(columns, rows), blocks(columns, rows)), *([Text("")] if notes else []), *notes)


def as_json(found: Sequence[Row]) -> list[dict[str, Any]]:
    """Alerts with all of their levels, as JSON values."""
    return [
        {
            "namespace": row.alert.namespace,
            "name": row.alert.name,
            "on": row.alert.on,
            "budget": row.alert.budget,
            "state": row.levels[0].state if row.levels else None,
            "place": row.alert.place,
            "levels": [_json(level) for level in row.levels],
        }
        for row in found
    ]


def _cells(row: Row, now: datetime) -> Iterator[list[Text]]:
    worth = [level for level in row.levels if level.state != "Ok"]
    if not worth:
        state = Text("Ok" if row.levels else NONE, style=_STYLES["Ok"] if row.levels else "")
        yield [Text(row.name), Text(NONE), Text(NONE), state, *([Text(NONE)] * 4)]
    for level in worth:
        subject = f" {level.subject}" if level.subject else ""
        yield [
            Text(row.name),
            Text(f"{level.level}{subject}"),
            Text(level.severity),
            Text(level.state, style=_STYLES.get(level.state, "")),
            Text(moment(level.since)),
            Text(_judged_on(level.figures)),
            Text(moment(level.notified_at)),
            Text(_kept(level, now)),
        ]


def _judged_on(figures: Mapping[str, Any]) -> str:
    """The figure that decides, in a few words."""
    currency = figures.get("currency") or ""
    if figures.get("changePercent") is not None:
        return f"{figures['changePercent']}% more"
    if figures.get("projected") is not None:
        return f"{money(Decimal(figures['projected']), currency)} {currency} projected"
    if figures.get("amount") is not None:
        return f"{money(Decimal(figures['amount']), currency)} {currency}"
    for name, one in (("failures", "failure"), ("lines", "line")):
        if figures.get(name) is not None:
            return count(figures[name], one)
    return f"whole through {figures.get('completeThrough') or 'no day'}"


def _kept(level: LevelStanding, now: datetime) -> str:
    """Who has taken it on, or until when it is silent."""
    until = level.acknowledged_until
    if level.acknowledged_at is not None and (until is None or now < until):
        return f"{level.acknowledged_by}{f' until {moment(until)}' if until else ''}"
    return NONE if level.silent_until is None else f"silent until {moment(level.silent_until)}"


def _notes(found: Sequence[Row]) -> Iterator[Text]:
    for row in found:
        ready = next((held for held in row.alert.conditions if held.type == "Ready"), None)
        if ready is not None and ready.status != "True":
            yield Text(f"{row.name}: {ready.reason}: {ready.message}", style="red")


def _json(level: LevelStanding) -> dict[str, Any]:
    held = asdict(level)
    period = held.pop("period")
    held["provider"] = held.pop("subject")
    days = None if period is None else {"from": period["first"], "to": period["after_last"]}
    return {**{camel(name): value for name, value in held.items()}, "period": days}
