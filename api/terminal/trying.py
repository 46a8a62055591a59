"""The command `costhook try`. Who runs a manifest is passed in: this side knows no connector."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from api.terminal.opening import now, show
from api.terminal.options import From, Json, To
from ledger.errors import InvalidQuestion

if TYPE_CHECKING:
    from ledger.charge import Charge
    from ledger.window import Span, Window


class Outcome(Protocol):
    """What a trial came to."""

    @property
    def windows(self) -> Sequence[Window]: ...

    @property
    def charges(self) -> Sequence[Charge]: ...


Run = Callable[[Path, str | None, "Span", Any], Awaitable[Outcome]]
"""Reads a period by the Provider of that name in a file, and tells a witness of the talk."""


def command_of(run: Run) -> Callable[..., None]:
    """The command, around who runs a manifest."""

    def try_out(
        *,
        file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="File with a Provider")],
        name: Annotated[str | None, typer.Option(help="Which Provider, where the file holds several")] = None,
        first: From = None,
        after_last: To = None,
        as_json: Json = False,
    ) -> None:
        """Run a Provider's manifest once: show what it asks, what it is answered, and the charges. Stores nothing.

        Without a period it reads the last seven days that are over. Secrets are masked; they are read from FILE, or
        from files `secrets/NAME/KEY` beside it. A Provider that is suspended is tried too. With `--json` the talk goes
        to standard error.

        Example: `costhook try examples/connectors/http/runpod.yaml --from 2026-11-01 --to 2026-11-08`
        """
        from api.terminal import trial
        from api.terminal.layout import console
        from ledger.window import Span

        end = after_last or now().date()
        start = first or end - timedelta(days=7)
        if end <= start:
            raise InvalidQuestion("--to is the first day that is not part of the period: it needs an earlier --from")
        talk = trial.Transcript(console(stderr=as_json))
        found = asyncio.run(_awaited(run(file, name, Span.of_days(start, end), talk)))
        told = trial.as_json(found.windows, found.charges) if as_json else None
        show(lambda to: trial.shown(found.windows, found.charges, to), told)

    return try_out


async def _awaited(outcome: Awaitable[Outcome]) -> Outcome:
    return await outcome
