"""Connectors and settings, to be read by people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from api.settings import ConnectorInfo
from api.terminal.layout import NONE, Column, blocks, fitting, table
from ledger.provenance import Setting


def connectors(found: Sequence[ConnectorInfo], broken: Mapping[str, str]) -> RenderableType:
    """Each connector as a block, then those that cannot be loaded and why."""
    titles = ("Type", "Vendor", "Gives", "Grain", "History", "Whole after", "May change", "Rate limit", "Call costs")
    rows = [[*_traits(each), Text(each.guide)] for each in found]
    made: list[RenderableType] = [blocks([Column(title) for title in (*titles, "Guide")], rows)]
    made += [Text(f"\n{type_} cannot be loaded: {why}", style="red") for type_, why in broken.items()]
    return Group(*made)


def connectors_json(found: Sequence[ConnectorInfo], broken: Mapping[str, str]) -> dict[str, Any]:
    """The same as JSON values; periods in days."""
    return {"connectors": [_camel(asdict(each)) for each in found], "broken": dict(broken)}


def settings(found: Sequence[Setting], unknown: Sequence[tuple[str, str | None]], console: Console) -> RenderableType:
    """Each setting with its value and where it came from; then variables that are none."""
    columns = [Column("Setting", whole=True), Column("Value"), Column("From", whole=True), Column("What it is")]
    rows = [[Text(_with_unit(each)), Text(each.value or NONE), Text(each.origin), Text(each.says)] for each in found]
    made: list[RenderableType] = [fitting(console, table(columns, rows), blocks(columns, rows))]
    for name, meant in unknown:
        hint = f"; did you mean {meant}?" if meant else ""
        made.append(Text(f"\n{name} is no setting{hint}", style="yellow"))
    return Group(*made)


def settings_json(found: Sequence[Setting]) -> list[dict[str, Any]]:
    """The same as JSON values."""
    return [_camel(asdict(each)) for each in found]


def _traits(each: ConnectorInfo) -> list[RenderableType]:
    return [
        Text(each.type, style="bold"),
        Text(f"{each.title} (origin: {each.origin})"),
        Text(each.gives),
        Text(each.grain),
        Text("without limit" if each.reach_days is None else _days(each.reach_days)),
        Text(_days(each.settling_days)),
        Text("never" if not each.moving_days else f"for {_days(each.moving_days)}"),
        Text(each.rate_limit or NONE),
        Text(each.call_cost or "nothing"),
    ]


def _days(days: float) -> str:
    if not days:
        return "at once"
    if days < 2 and (days * 24).is_integer():
        return f"{days * 24:g} h"
    return f"{days:g} d"


def _with_unit(each: Setting) -> str:
    return each.name.replace("_", "-")


def _camel(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_camel_name(name): value for name, value in values.items()}


def _camel_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
