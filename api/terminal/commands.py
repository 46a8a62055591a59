"""The commands that only read the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from api.terminal.opening import answered, in_force, now, show
from api.terminal.options import (
    AsOf,
    From,
    FromNeeded,
    Json,
    Listen,
    Namespaces,
    Providers,
    StateDir,
    To,
    ToNeeded,
    Url,
)

reading = typer.Typer()


@reading.command()
def providers(as_json: Json = False, state: StateDir = None, database_url: Url = None) -> None:
    """Show every provider: how its sync fares, through which day it is complete, and what it cost.

    Examples: `costhook providers`, `costhook providers --json | jq '.[] | select(.ready != "True")'`
    """
    from api.terminal import providers as table

    rows = answered(in_force(state=state, database_url=database_url), lambda db: table.overview(db, now()))
    show(lambda to: table.shown(rows, to), table.as_json(rows) if as_json else None)


@reading.command()
def costs(
    *,
    group_by: Annotated[
        list[str] | None,
        typer.Option(metavar="BY,...", help="Dimensions, `tag:KEY`, `label:KEY` or `allocation:DIMENSION`; at most 4"),
    ] = None,
    first: From = None,
    after_last: To = None,
    granularity: Annotated[
        Literal["total", "day", "week", "month", "quarter", "year"], typer.Option(help="How long a column is")
    ] = "total",
    metric: Annotated[
        Literal["billed", "effective", "list", "contracted"], typer.Option(help="Which cost is added up")
    ] = "billed",
    provider: Providers = None,
    namespace: Namespaces = None,
    top: Annotated[int, typer.Option(help="Groups shown one by one; the others are added up")] = 20,
    as_of: AsOf = None,
    as_json: Json = False,
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """Sum up costs over a period; this month where none is given. Currencies are never added together.

    Dimensions: namespace, provider, service, service-category, sub-account, model, token-type, region, resource,
    sku, charge-category, origin.

    Examples: `costhook costs --group-by provider,model`,
    `costhook costs --granularity day --from 2026-11-01 --to 2026-11-08`
    """
    from api.terminal import costs as table

    asked = table.Asked(
        group_by=group_by or (),
        first=first,
        after_last=after_last,
        granularity=granularity,
        metric=metric,
        providers=provider,
        namespaces=namespace,
        top=top,
        as_of=as_of,
    )
    question = table.question(asked, now().date())
    report = answered(in_force(state=state, database_url=database_url), lambda db: table.answer(db, question))
    show(lambda to: table.shown(report, to), table.as_json(report) if as_json else None)


@reading.command()
def budgets(
    namespace: Namespaces = None, as_json: Json = False, state: StateDir = None, database_url: Url = None
) -> None:
    """Show every budget: what is spent of it in its period, what is left, how fast, and where that leads.

    Example: `costhook budgets --json | jq '.[] | select(.standing.exhaustedOn != null) | .name'`
    """
    from api.terminal import budgets as table

    settings, at = in_force(state=state, database_url=database_url), now()
    found = answered(settings, lambda db: table.answer(db, namespace, at))
    show(lambda to: table.shown(found, to), table.as_json(found) if as_json else None)


@reading.command()
def alerts(
    *,
    firing: Annotated[
        bool, typer.Option("--firing", help="Only alerts that fire; the exit code is 1 if any does")
    ] = False,
    namespace: Namespaces = None,
    as_json: Json = False,
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """Show every alert: the levels that are not fine, on which figures, who was told, and who has taken them on.

    Examples: `costhook alerts`, `costhook alerts --firing --namespace team-a`
    """
    from api.terminal import alerts as table

    settings, at = in_force(state=state, database_url=database_url), now()
    found = answered(settings, lambda db: table.answer(db, namespace, at, firing=firing))
    show(lambda to: table.shown(found, to, at), table.as_json(found) if as_json else None)
    if firing and found:
        raise typer.Exit(1)


@reading.command()
def restatements(
    *,
    first: From = None,
    after_last: To = None,
    provider: Providers = None,
    namespace: Namespaces = None,
    arriving: Annotated[bool, typer.Option("--arriving", help="Also figures that were merely still arriving")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the latest first")] = 50,
    as_json: Json = False,
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """Show what vendors changed after the fact: per sync, window and currency, and by how much.

    Example: `costhook restatements --provider anthropic --from 2026-10 --to 2026-11`
    """
    from api.terminal import restatements as table

    asked = table.Asked(
        first=first, after_last=after_last, providers=provider, namespaces=namespace, arriving=arriving, limit=limit
    )
    found = answered(in_force(state=state, database_url=database_url), lambda db: table.answer(db, asked))
    show(lambda to: table.shown(found, to), table.as_json(found) if as_json else None)


@reading.command()
def export(
    *,
    what: Annotated[Literal["charges", "costs"], typer.Argument(help="Single charges, or sums per day")],
    first: FromNeeded,
    after_last: ToNeeded,
    form: Annotated[Literal["csv", "jsonl", "parquet"], typer.Option("--format", help="Format of the file")] = "csv",
    provider: Providers = None,
    namespace: Namespaces = None,
    as_of: AsOf = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Standard output if absent")
    ] = None,
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """Write charges or daily costs to a file, with the column names of FOCUS 1.2 and `x_` ones; amounts are exact.

    Examples: `costhook export charges --from 2026-10 --to 2026-11 -o october.csv`,
    `costhook export costs --from 2026-01 --to 2027-01 --format parquet -o 2026.parquet`
    """
    from api.terminal import exports

    asked = exports.Asked(
        what=what,
        first=first,
        after_last=after_last,
        form=form,
        target=output,
        providers=provider,
        namespaces=namespace,
        as_of=as_of,
    )
    answered(in_force(state=state, database_url=database_url), lambda db: exports.save(db, asked, now()))


@reading.command()
def settings(as_json: Json = False, state: StateDir = None, listen: Listen = None, database_url: Url = None) -> None:
    """Show every setting, its unit, its value and where that comes from; secrets are masked.

    Example: `COSTHOOK_LISTEN=127.0.0.1:9000 costhook settings`
    """
    from api.terminal import house
    from ledger.provenance import explain, unknown_variables

    flags = {"state": state, "listen": listen, "database_url": database_url}
    found, unknown = explain(in_force(**flags), flags), list(unknown_variables())
    show(lambda to: house.settings(found, unknown, to), house.settings_json(found) if as_json else None)
