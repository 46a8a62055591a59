"""Costhook's command: the one place that knows both sides, and puts them together.

Libraries that take long to import are imported where they are used, so that `costhook --help` answers at once.
The commands that only read are in api.terminal.commands.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.terminal.channels import Work
from api.terminal.channels import group_of as channel_commands
from api.terminal.commands import reading
from api.terminal.entering import cost
from api.terminal.migrating import migrating
from api.terminal.opening import in_force, last_watched, now, of_the_api, reader, show
from api.terminal.options import Authentication, Folder, From, Json, Listen, Namespace, StateDir, To, Url
from api.terminal.tokens import token
from api.terminal.trying import Outcome, command_of
from ledger.errors import InvalidQuestion, LedgerError
from ledger.state import Memory, State
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from api.settings import ConnectorInfo
    from ledger.database import ReaderDB
    from ledger.runs import Request
    from ledger.settings import Settings
    from ledger.window import Span
    from reconciler.host import Host
    from reconciler.operator import Access, Health

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"costhook {version('costhook')}")
        raise typer.Exit


@app.callback()
def costhook(
    _debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit")
    ] = False,
) -> None:
    """One trustworthy ledger of what a team spends on AI, SaaS and cloud vendors.

    Begin with `costhook up DIR`, where DIR holds manifests. Every command works whether or not `up` runs. Exit
    codes: 0; 1 when something is not Ready, not found or failed; 2 when the command was called wrongly.
    """


@app.command()
def up(
    *,
    directory: Folder,
    once: Annotated[bool, typer.Option("--once", help="Sync everything once and exit")] = False,
    as_json: Json = False,
    state: StateDir = None,
    listen: Listen = None,
    authentication: Authentication = None,
    database_url: Url = None,
) -> None:
    """Sync what the manifests in DIR declare, show it, serve the API, and watch for changes until Ctrl-C.

    With `--once` the exit code is 0 only when everything that is not suspended is Ready.

    Examples: `costhook up examples/quickstart`, `costhook up . --once --json`
    """
    from migrations.ready import ready

    settings = in_force(state=state, listen=listen, authentication=authentication, database_url=database_url)
    home = State(settings.state)
    memory = Memory(str(directory.resolve()), os.getpid(), settings.listen, own_database=settings.url() is None)
    with home.held(), ready(settings, make=True) as url:
        home.remember(memory)
        raise typer.Exit(asyncio.run(_up(settings, url, directory, once=once, as_json=as_json)))


@app.command()
def check(directory: Folder, as_json: Json = False) -> None:
    """Check the manifests in DIR without asking anybody: fields, types, names, connectors, Secrets.

    Each problem is one line, `file:line path: what to do`; the exit code is 1 if there is any.

    Example: `costhook check examples/quickstart`
    """
    from api.terminal.layout import write_json
    from reconciler.checks import check as problems_of

    problems = problems_of(directory)
    if as_json:
        write_json([{"place": each.place, "path": each.path, "message": each.message} for each in problems])
    else:
        typer.echo("\n".join(str(each) for each in problems) or f"{directory}: no problems")
    raise typer.Exit(1 if problems else 0)


@app.command()
def sync(
    name: Annotated[str, typer.Argument(help="Name of a Provider or ManualCost")],
    namespace: Namespace = None,
    first: From = None,
    after_last: To = None,
    state: StateDir = None,
    database_url: Url = None,
) -> None:
    """Sync one provider now, whether due or not, and show how it goes; with a period, read that period again.

    `costhook up` does the work where it runs. Where it does not, this command does, over the folder that `up` last
    watched with this state.

    Examples: `costhook sync openai`, `costhook sync openai --from 2026-10 --to 2026-11`
    """
    from ledger.runs import Request
    from migrations.ready import ready

    if after_last and (first is None or after_last <= first):
        raise InvalidQuestion("--to is the first day that is not part of the period: it needs an earlier --from")
    settings = in_force(state=state, database_url=database_url)
    with ready(settings) as url:
        raise typer.Exit(asyncio.run(_sync(settings, url, name, namespace, Request(first, after_last))))


async def _tried(file: Path, name: str | None, period: Span, witness: Any) -> Outcome:
    from reconciler.connectors.http import EgressPolicy
    from reconciler.trial import Wanted, tried

    settings = in_force()
    egress = EgressPolicy(settings.allowed_hosts, settings.allow_loopback)
    return await tried(Wanted(file=file, name=name, period=period, now=now(), egress=egress), witness)


app.command("try")(command_of(_tried))
app.add_typer(reading)
app.add_typer(cost, name="cost")


@app.command()
def serve(
    state: StateDir = None, listen: Listen = None, authentication: Authentication = None, database_url: Url = None
) -> None:
    """Serve the API alone, over a database that `up` or an operator fills, until Ctrl-C.

    Example: `costhook serve --database-url postgresql://reader:password@host/costs`
    """
    from migrations.ready import ready

    settings = in_force(state=state, listen=listen, authentication=authentication, database_url=database_url)
    with ready(settings) as url:
        asyncio.run(_serve(settings, url))


@app.command()
def operate(
    *,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Which cluster, and as whom; without it, the one whose pod this is"),
    ] = None,
    namespaces: Annotated[
        list[str] | None, typer.Option("--namespace", "-n", help="Serve only this one; may be repeated")
    ] = None,
    migrate: Annotated[bool, typer.Option("--migrate", help="Bring the database's schema up to date first")] = False,
    release: Annotated[
        bool, typer.Option("--release", help="Only let go of every resource that is held back for its data, and exit")
    ] = False,
    probes: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Answer /healthz and /readyz there; port 0 picks one")
    ] = None,
    state: StateDir = None,
    listen: Listen = None,
    database_url: Url = None,
) -> None:
    """Reconcile what a Kubernetes cluster declares, until Ctrl-C. With --listen, serve the API as well.

    Example: `costhook operate --kubeconfig ~/.kube/config --database-url postgresql://user:password@host/costs`
    """
    from migrations.ready import ready
    from reconciler.operator import Access, Health, let_go

    settings = in_force(state=state, listen=listen, database_url=database_url)
    access = Access(kubeconfig, tuple(namespaces or ()))
    if release:
        asyncio.run(let_go(access))
        return
    with ready(settings, make=migrate or settings.url() is None) as url:
        asyncio.run(_operate(settings, url, access, Health.at(probes), serving=listen is not None))


@app.command()
def connectors(as_json: Json = False) -> None:
    """List the connectors: what each gives, how far back it reaches, how long its figures move, and its guide.

    Example: `costhook connectors`
    """
    from api.terminal import house
    from reconciler.connectors.registry import broken

    found = _connectors()
    show(lambda _: house.connectors(found, broken()), house.connectors_json(found, broken()) if as_json else None)


async def _up(settings: Settings, url: str, folder: Path, *, once: bool, as_json: bool) -> int:
    from api.terminal.layout import console
    from api.terminal.stopping import first_of, stopped
    from api.terminal.up import View

    consoles = console(), console(stderr=True)
    async with reader(settings, url) as db, _host(settings, url, folder) as host:
        view = View(db, consoles, host.names, host.problems, now, as_json=as_json)
        if once:
            await view.during(host.once())
            return await view.report()
        stop, settled = stopped(), asyncio.Event()
        async with _listening(settings, db) as base, asyncio.TaskGroup() as tasks:
            tasks.create_task(host.run(stop, settled))
            await view.during(first_of(settled, stop))
            if not stop.is_set():
                await view.report()
                view.say_where(base)
                await view.watch(stop)
    return 0


async def _sync(settings: Settings, url: str, name: str, namespace: str | None, wish: Request) -> int:
    from api.terminal import asked as asking
    from api.terminal.layout import console

    async with reader(settings, url) as db:
        found = await asking.syncable(db, name, namespace)
        async with _worker(settings, url, db) as work:
            asked = await asking.ask(db, found, wish, now())
            return await asking.shown(db, asked, console(), work(found.kind, found.namespace, found.name))


@asynccontextmanager
async def _worker(settings: Settings, url: str, db: ReaderDB) -> AsyncIterator[Work]:
    """Who does what is asked by hand: the reconciler that runs, or else this process, over the folder last watched."""
    from ledger.requests import anyone_reconciles
    from reconciler.sources.base import Key

    if await anyone_reconciles(db):
        yield lambda *_: None
        return
    folder = last_watched(settings)
    with State(settings.state).held():
        async with _host(settings, url, folder) as host:
            yield lambda *named: host.once([Key(*named)])


app.add_typer(channel_commands(_worker), name="channel")
app.add_typer(token, name="token")
app.add_typer(migrating)


async def _serve(settings: Settings, url: str) -> None:
    from api.terminal.stopping import stopped

    stop = stopped()
    async with reader(settings, url) as db, _listening(settings, db) as base:
        typer.echo(f"GraphiQL: {base}/graphql   Ctrl-C stops", err=True)
        await stop.wait()


async def _operate(settings: Settings, url: str, access: Access, health: Health | None, *, serving: bool) -> None:
    from api.terminal.stopping import stopped
    from ledger.database import connect_writer
    from reconciler.connectors.http import EgressPolicy
    from reconciler.operator import Options
    from reconciler.operator import operate as reconcile

    options = Options(
        access=access,
        clock=now,
        workers=settings.workers,
        lease_ttl=timedelta(seconds=settings.lease_seconds),
        egress=EgressPolicy(settings.allowed_hosts, settings.allow_loopback),
        health=health,
    )
    stop = stopped()
    db = connect_writer(url, pool_size=2 * settings.workers + settings.connections)
    async with AsyncExitStack() as meanwhile:
        meanwhile.push_async_callback(db.close)
        if serving:
            reading_db = await meanwhile.enter_async_context(reader(settings, url))
            base = await meanwhile.enter_async_context(_listening(settings, reading_db))
            typer.echo(f"API: {base}   Ctrl-C stops", err=True)
        await reconcile(db, options, stop)


@asynccontextmanager
async def _host(settings: Settings, url: str, folder: Path) -> AsyncIterator[Host]:
    """The reconciler over a folder, under the name of the state, which one process at a time can hold."""
    from ledger.database import connect_writer
    from reconciler.connectors.http import EgressPolicy
    from reconciler.host import Options, hosted

    options = Options(
        holder=f"{socket.gethostname()}:{settings.state.resolve()}",
        clock=now,
        workers=settings.workers,
        lease_ttl=timedelta(seconds=settings.lease_seconds),
        egress=EgressPolicy(settings.allowed_hosts, settings.allow_loopback),
    )
    db = connect_writer(url, pool_size=2 * settings.workers + settings.connections)
    try:
        async with hosted(db, folder, options) as host:
            yield host
    finally:
        await db.close()


@asynccontextmanager
async def _listening(settings: Settings, db: ReaderDB) -> AsyncIterator[str]:
    """The API, served meanwhile; gives its base URL."""
    from api.app import create_app
    from api.server import listening
    from migrations.step import last

    api = create_app(of_the_api(settings, last()), db, _connectors())
    async with listening(api, *settings.address) as base:
        yield base


def _connectors() -> list[ConnectorInfo]:
    """What the installed connectors say of themselves, for the API, which does not know them."""
    from api.settings import ConnectorInfo
    from reconciler.connectors.registry import connectors as installed

    day = timedelta(days=1)
    same = ("type", "title", "gives", "grain", "rate_limit", "call_cost", "origin", "guide")
    return [
        ConnectorInfo(
            **{name: getattr(connector.traits, name) for name in same},
            reach_days=None if connector.traits.reach is None else connector.traits.reach.days,
            settling_days=connector.traits.settling / day,
            moving_days=connector.traits.moving / day,
        )
        for connector in installed().values()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command, and turns whatever went wrong into one line and an exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        app(given, prog_name="costhook")
    except Exception as error:
        if "--debug" in given:
            raise
        sys.exit(_told(error))


def _told(error: Exception) -> int:
    """Say in one line what went wrong; the exit code, 2 for what was asked in the wrong way."""
    from ledger.settings import InvalidSetting

    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.strerror:
        typer.echo(f"costhook: {error.filename or 'input or output'}: {error.strerror}", err=True)
        return 1
    if not isinstance(error, LedgerError | ReconcilerError):
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno}"
        typer.echo(
            f"costhook: unexpected {type(error).__name__} at {where}; `costhook --debug ...` tells more", err=True
        )
        return 1
    typer.echo(f"costhook: {error}", err=True)
    return 2 if isinstance(error, InvalidQuestion | InvalidSetting) else 1


if __name__ == "__main__":
    main()
