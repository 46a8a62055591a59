"""A database to work on: the one that the settings name, else the embedded one; running, and at the newest step."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from ledger import embedded
from ledger.errors import NotFound
from ledger.settings import Settings
from ledger.state import State
from migrations.step import bring, require


@contextmanager
def ready(settings: Settings, *, make: bool = False) -> Iterator[str]:
    """The database's URL; the embedded server runs meanwhile.

    `make` makes what is missing. Without it, a database that the settings name must be at the newest step, and the
    state must hold data. Raises NotFound, SchemaBehind, and whatever keeps the server from starting.
    """
    url, state = settings.url(), State(settings.state)
    if url is not None:
        asyncio.run(bring(url) if make else require(url))
        yield url
        return
    if not make and not state.has_data():
        raise NotFound(_nothing(state))
    with embedded.running(state) as own:
        asyncio.run(bring(own))
        yield own


def _nothing(state: State) -> str:
    memory = state.recall()
    if memory is not None and not memory.own_database:
        return (
            f"{state.folder} has no data of its own: `up` last used a database named by --database-url; name it again"
        )
    return f"{state.folder} holds no data yet; begin with `costhook up DIR`, or name another with --state"
