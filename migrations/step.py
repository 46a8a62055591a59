"""How far a database's schema is, and bringing it to the newest step, without Alembic unless there is work for it.

Every step is a file `NNNN_what_it_does.py` in `versions`; the number is its revision. Importing Alembic takes
longer than finding out that nothing is to be done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.database import connect_owner, translated
from ledger.errors import NeedsPerson, SchemaBehind
from ledger.reads.health import schema_step

NOT_PERMITTED: Final = "42501"
"""Postgres' code for a right that is missing."""


def last() -> str:
    """The revision of the newest step there is."""
    return max(_steps())


async def bring(url: str) -> None:
    """Run the steps that are missing. Raises SchemaBehind on a database that a newer program made."""
    engine = connect_owner(url)
    try:
        at = await _at(engine)
        if at is not None and at not in _steps():
            raise SchemaBehind(f"the database's schema is at step {at}, which this program does not know: update it")
        if at != last():
            from migrations.upgrade import upgrade

            async with _permitted():
                await upgrade(engine)
    finally:
        await engine.dispose()


async def require(url: str) -> None:
    """Raise SchemaBehind unless the database is at the newest step."""
    engine = connect_owner(url)
    try:
        at = await _at(engine)
    finally:
        await engine.dispose()
    if at is None:
        raise SchemaBehind("the database has no Costhook schema; run `costhook migrate --database-url URL`")
    if at != last():
        raise SchemaBehind(
            f"the database's schema is at step {at}, this program needs {last()}; "
            "run `costhook migrate`, or update the program"
        )


async def _at(engine: AsyncEngine) -> str | None:
    async with _permitted(), engine.connect() as connection:
        return await schema_step(connection)


@asynccontextmanager
async def _permitted() -> AsyncIterator[None]:
    """Tell a login that lacks rights, besides a database that cannot be reached, from all other faults."""
    async with translated():
        try:
            yield
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != NOT_PERMITTED:
                raise
            cause = error.orig.__cause__ if error.orig is not None else None
            raise NeedsPerson(f"the database's login lacks a right: {cause}") from error


def _steps() -> set[str]:
    return {path.name.partition("_")[0] for path in (Path(__file__).parent / "versions").glob("[0-9]*_*.py")}
