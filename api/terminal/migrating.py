"""`costhook migrate`: the schema of a database, brought up to date."""

from __future__ import annotations

import typer

from api.terminal.opening import in_force
from api.terminal.options import StateDir, Url

migrating = typer.Typer()


@migrating.command()
def migrate(state: StateDir = None, database_url: Url = None) -> None:
    """Bring a database's schema to the newest step that this program knows. `up` does it by itself.

    Example: `costhook migrate --database-url postgresql://owner:password@host/costs`
    """
    from migrations.ready import ready
    from migrations.step import last

    with ready(in_force(state=state, database_url=database_url), make=True):
        typer.echo(f"the schema is at step {last()}")
