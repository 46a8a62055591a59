"""Notices edits below a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Final

import structlog
from watchfiles import Change, awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from reconciler.sources import keyfiles
from reconciler.sources.folder import SUFFIXES

Told = AsyncGenerator[Any, None]

log = structlog.get_logger()

QUIET: Final = 100
"""Milliseconds without another edit after which edits are told; LONGEST_QUIET bounds the wait for them."""
LONGEST_QUIET: Final = 800
ANYWAY: Final = 5_000
"""Milliseconds after which an edit is supposed though none was told, as network file systems tell of none."""
UNTOLD: Final = 1.0
"""Seconds between supposed edits where the system tells of none at all."""


async def edits(root: Path, stop: asyncio.Event, told: Told | None = None) -> AsyncIterator[None]:
    """Comes once after each edit that may concern manifests, and now and then without one; ends with `stop`.

    `told` is how edits are heard of; by default the system tells them.
    """
    try:
        async with aclosing(told or _watched(root, stop)) as heard:
            async for _ in heard:
                yield
    except (OSError, WatchfilesRustInternalError) as error:  # such as too many watches on this machine
        log.warning("the system tells of no edits; they are looked for", seconds=UNTOLD, error=str(error))
        while not stop.is_set():
            yield
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), UNTOLD)


def _watched(root: Path, stop: asyncio.Event) -> Told:
    return awatch(
        root,
        watch_filter=lambda change, path: concerns(root, change, Path(path)),
        debounce=LONGEST_QUIET,
        step=QUIET,
        stop_event=stop,
        rust_timeout=ANYWAY,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )


def concerns(root: Path, change: Change, path: Path) -> bool:
    """Whether a change of `path` may change what the folder declares; `..data` is how Kubernetes mounts files."""
    below = path.relative_to(root).parts
    if any(part.startswith(".") and part != "..data" for part in below):
        return False
    if path.name.endswith(SUFFIXES) or below[:1] == (keyfiles.FOLDER,):
        return True
    return change is Change.deleted or not path.is_file()
