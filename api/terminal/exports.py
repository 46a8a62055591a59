"""Writing an export to a file or to standard output, with a bar where a person waits for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from api.terminal.layout import console, count, money
from api.terminal.opening import who
from ledger import audit
from ledger.database import ReaderDB
from ledger.errors import NeedsPerson
from ledger.reads.export import Export, Format, export
from ledger.reads.filters import ChargeFilter
from ledger.reads.manifests import ExportQuestion, Manifest, What
from ledger.reads.periods import Period

BINARY: Final[Format] = "parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked on the command line; `target` of None is standard output."""

    what: What
    first: date
    after_last: date
    form: Format
    target: Path | None = None
    providers: Sequence[str] | None = None
    namespaces: Sequence[str] | None = None
    as_of: datetime | None = None

    def question(self) -> ExportQuestion:
        """As the ledger understands it. Raises InvalidQuestion."""
        chosen = ChargeFilter(
            providers=tuple(self.providers) if self.providers else None,
            namespaces=tuple(self.namespaces) if self.namespaces else None,
        )
        period = Period(self.first, self.after_last)
        return ExportQuestion(what=self.what, period=period, filter=chosen, as_of=self.as_of)


async def save(db: ReaderDB, asked: Asked, now: datetime) -> None:
    """Write what was asked for, whole or not at all, and note it in the audit log. Raises NeedsPerson."""
    question = asked.question()
    detail = {
        "format": asked.form,
        "from": asked.first.isoformat(),
        "to": asked.after_last.isoformat(),
        "filter": question.filter.document(),
        "asOf": asked.as_of and asked.as_of.isoformat(),
    }
    entry = audit.Entry(at=now, actor=who(), actor_kind="local", action="export", subject=asked.what, detail=detail)
    async with db.transaction(()) as connection:
        await audit.write(connection, entry)
    async with export(db, None, question, asked.form, now) as file:
        await _write(file, asked.form, asked.target, console(stderr=True))


async def _write(file: Export, form: Format, target: Path | None, to: Console) -> None:
    if target is None:
        _refuse_noise(form)
        with _standard_output() as sink:
            async for chunk in file.chunks:
                sink.write(chunk)
        return
    with _replacing(target) as sink, _bar(to) as progress:
        task = progress.add_task(target.name, total=file.manifest.rows if form != BINARY else None)
        async for chunk in file.chunks:
            sink.write(chunk)
            progress.advance(task, chunk.count(b"\n"))
        progress.update(task, total=file.manifest.rows, completed=file.manifest.rows)
    to.print(_summary(file.manifest, target))


def _refuse_noise(form: Format) -> None:
    if form == BINARY and sys.stdout.isatty():
        raise NeedsPerson("Parquet is not for terminals; write it to a file with -o FILE")


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    """Standard output; whoever reads it may have had enough, which is nobody's fault."""
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except OSError as error:
        raise NeedsPerson(f"standard output cannot be written: {error.strerror or error}") from None


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `target` when the block ends well, and is gone when it does not."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            yield file
        fresh.replace(target)
    except OSError as error:
        raise NeedsPerson(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        fresh.unlink(missing_ok=True)


def _bar(to: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
        console=to,
        transient=True,
        disable=not to.is_terminal,
        expand=True,
    )


def _summary(manifest: Manifest, target: Path) -> Text:
    sums = [Text.assemble(money(total.billed_cost, total.currency), " ", total.currency) for total in manifest.totals]
    return Text.assemble(f"{target}: {count(manifest.rows, 'row')}", *(Text.assemble(", ", each) for each in sums))
