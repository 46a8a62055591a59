"""`costhook token`: API tokens for people and programs, made and taken back by whoever has the database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from api.terminal.opening import changed, in_force, now, show, who
from api.terminal.options import Json, Namespaces, StateDir, Url, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from ledger.tokens import Token

token = typer.Typer(no_args_is_help=True, help="Make, list and revoke API tokens.")


@token.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, as logs and the audit log show it")],
    *,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do: read, sync, alert, export, metrics; may be repeated; read if absent"),
    ] = None,
    namespace: Namespaces = None,
    expires: Annotated[
        timedelta | None, typer.Option(parser=until, metavar="90d", help="How long it is good; for ever if absent")
    ] = None,
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """Make a token and print it, for the only time. Without --namespace it opens all of them.

    Examples: `costhook token create grafana --scope metrics`,
    `costhook token create ci --scope read --scope export --namespace team-a --expires 90d`
    """
    from api.principal import SCOPES
    from ledger import tokens

    unknown = set(scope or ()) - SCOPES
    if unknown:
        raise typer.BadParameter(f"a token may {', '.join(sorted(SCOPES))}; not {', '.join(sorted(unknown))}")
    at = now()
    expires_at = None if expires is None else at + expires
    made = changed(
        in_force(state=state, database_url=database_url),
        lambda db: tokens.create(db, name, scope or ["read"], namespace, at, expires_at=expires_at, by=who()),
    )
    typer.echo(made)


@token.command(name="list")
def list_tokens(as_json: Json = False, state: StateDir = None, database_url: Url = None) -> None:
    """List the tokens there ever were: what each may do, how long, and when it was last used.

    Example: `costhook token list`
    """
    from ledger import tokens

    found = changed(in_force(state=state, database_url=database_url), tokens.every)
    show(lambda _: _table(found), [_json(each) for each in found] if as_json else None)


@token.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The part between the two underscores")],
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """Make a token open nothing any more, at once and for good.

    Example: `costhook token revoke 0123456789ab`
    """
    from ledger import tokens

    settings = in_force(state=state, database_url=database_url)
    changed(settings, lambda db: tokens.revoke(db, token_id, now(), by=who()))
    typer.echo(f"token {token_id} is revoked")


def _table(found: Sequence[Token]) -> RenderableType:
    from rich.text import Text

    from api.terminal.layout import Column, moment, table

    if not found:
        return Text("No tokens yet. `costhook token create NAME` makes one.")
    columns = [Column("ID", whole=True), *map(Column, ("Name", "May", "Namespaces", "Good until", "Last used"))]
    rows = [
        [each.id, each.name, ", ".join(sorted(each.scopes)), _namespaces(each), _good(each), moment(each.last_used_at)]
        for each in found
    ]
    return table(columns, [[Text(cell) for cell in row] for row in rows])


def _namespaces(each: Token) -> str:
    return "all" if each.namespaces is None else ", ".join(sorted(each.namespaces))


def _good(each: Token) -> str:
    from api.terminal.layout import moment

    if each.revoked_at is not None:
        return f"revoked {moment(each.revoked_at)}"
    return "for ever" if each.expires_at is None else moment(each.expires_at)


def _json(each: Token) -> dict[str, object]:
    moments: dict[str, datetime | None] = {
        "createdAt": each.created_at,
        "expiresAt": each.expires_at,
        "revokedAt": each.revoked_at,
        "lastUsedAt": each.last_used_at,
    }
    namespaces = None if each.namespaces is None else sorted(each.namespaces)
    return {"id": each.id, "name": each.name, "scopes": sorted(each.scopes), "namespaces": namespaces, **moments}
