"""The state folder (`.costhook` unless told otherwise): what lies where, who uses it, what is remembered.

    postgres/        the embedded server's data, see ledger.embedded
    postgres.gate    locked while the server is started or stopped
    postgres.users   locked, shared, by every process that uses the server
    up.lock          locked by the one `costhook up` that runs on this state
    up.json          what `costhook up` last watched, and where it listens

Locks are the kernel's (flock), so whatever way a process ends, its locks end with it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from ledger.errors import NeedsPerson


class StateInUse(NeedsPerson):
    """Another `costhook up` runs on this state folder."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What `costhook up` last did with a state: the folder it watched, its process, and where it listens."""

    folder: str
    process: int
    listen: str
    own_database: bool
    """Whether the data lies in the state folder; otherwise in a database that was named by its URL."""


@dataclass(frozen=True, slots=True)
class State:
    """One state folder. Nothing is made on disk before something has to be kept there."""

    folder: Path

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def gate(self) -> Path:
        return self.folder / "postgres.gate"

    @property
    def users(self) -> Path:
        return self.folder / "postgres.users"

    def make(self) -> None:
        """Make the folder, invisible to git. Raises NeedsPerson where that is not allowed."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise _unusable(self.folder, error) from None

    def has_data(self) -> bool:
        """Whether an embedded server has ever kept anything here. Raises NeedsPerson where that cannot be seen."""
        try:
            return (self.postgres / "PG_VERSION").exists()
        except OSError as error:
            raise _unusable(self.postgres, error) from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one `costhook up` of this state. Raises StateInUse."""
        self.make()
        with opened(self.folder / "up.lock") as lock:
            if not try_exclusive(lock):
                raise StateInUse(self._in_use())
            yield

    def is_held(self) -> bool:
        """Whether a `costhook up` runs on this state."""
        if not (self.folder / "up.lock").exists():
            return False
        with opened(self.folder / "up.lock") as lock:
            return not try_exclusive(lock)

    def remember(self, memory: Memory) -> None:
        """Keep `memory` for the commands that come later. Never holds a database URL, which may hold a password."""
        fresh = self.folder / "up.json.new"
        fresh.write_text(json.dumps(asdict(memory)))
        fresh.replace(self.folder / "up.json")

    def recall(self) -> Memory | None:
        """What was remembered last; None where nothing was, or nothing that can be read."""
        try:
            memory = json.loads((self.folder / "up.json").read_text())
            return Memory(**memory)
        except (OSError, ValueError, TypeError):
            return None

    def _in_use(self) -> str:
        memory = self.recall()
        by = f" (process {memory.process}, watching {memory.folder})" if memory else ""
        return f"another `costhook up`{by} runs on the state in {self.folder}; stop it, or choose another with --state"


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """A lock file, made if missing. Its locks end with the block. Raises NeedsPerson."""
    try:
        file = path.open("a")
    except OSError as error:
        raise _unusable(path, error) from None
    with file:
        yield file


def try_exclusive(file: IO[str]) -> bool:
    """Take the file's lock for this process alone; False when another process has it, alone or shared."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of `path` alone, waiting for whoever has it."""
    with opened(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def share(file: IO[str]) -> None:
    """Take the file's lock together with others, waiting for whoever has it alone."""
    fcntl.flock(file, fcntl.LOCK_SH)


def _unusable(path: Path, error: OSError) -> NeedsPerson:
    owner = ""
    if isinstance(error, PermissionError):
        owner = f" by user {os.geteuid()}"
    return NeedsPerson(f"{path} cannot be used{owner}: {error.strerror}; choose another state folder with --state")
