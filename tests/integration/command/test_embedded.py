"""The embedded Postgres: shared by processes, stopped by the last one, and none the worse for a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger.database import connect_owner
from ledger.embedded import running
from ledger.programs import ServerFailed, is_postgres
from ledger.state import State
from tests.integration.command.conftest import open_folder

USE_IT = """
import sys
from pathlib import Path
from ledger.embedded import running
from ledger.state import State
with running(State(Path(sys.argv[1]))) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_user(state: State) -> Iterator[subprocess.Popen[str]]:
    """Another process inside its `running` block, until its standard input is closed."""
    with other_user(state) as process:
        try:
            yield process
        finally:
            assert process.stdin
            process.stdin.close()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def server_process(state: State) -> str | None:
    """The number of the server's process as its pid file says; None without one."""
    pidfile = state.postgres / "postmaster.pid"
    return pidfile.read_text().split()[0] if pidfile.exists() else None


def answer(url: str, question: str) -> object:
    """What the server answers, in a transaction of its own."""
    return asyncio.run(_answer(url, question))


async def _answer(url: str, question: str) -> object:
    engine = connect_owner(url)
    async with engine.begin() as connection:
        rows = await connection.execute(text(question))
        found: object = rows.scalar() if rows.returns_rows else None
    await engine.dispose()
    return found


def other_user(state: State) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", USE_IT, str(state.folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def state() -> Iterator[State]:
    """One state for all tests that leave its server stopped and whole."""
    with open_folder() as folder:
        yield State(folder / "state")


@pytest.fixture
def own_state(folder: Path) -> State:
    """A state of the test's own, to be damaged."""
    return State(folder / "state")


def test_the_data_survives_the_server(state: State) -> None:
    """What was stored is there when the server is started again, and nothing runs in between."""
    with running(state) as url:
        answer(url, "create view survived as select 1 as one")
        assert state.has_data()
    assert server_process(state) is None

    with running(state) as url:
        assert answer(url, "select one from survived") == 1


def test_it_listens_on_a_private_socket_only(state: State) -> None:
    """Nobody can reach the server over the network, and only its owner over the socket."""
    with running(state) as url:
        assert answer(url, "show listen_addresses") == ""
        (listening,) = state.folder.rglob(".s.PGSQL.*[0-9]")
        assert listening.is_socket()
        assert (listening.parent.stat().st_mode & 0o077, listening.stat().st_mode & 0o077) == (0, 0)


def test_the_last_process_stops_it(state: State) -> None:
    """A second process connects to the running server and leaves it to the first; the last one stops it."""
    with running(state) as mine:
        with another_user(state) as other:
            assert first_line(other) == mine
        assert answer(mine, "select 1") == 1

        with another_user(state) as other:
            first_line(other)
            server = server_process(state)
            assert server is not None
    assert server_process(state) is None
    assert not is_postgres(server)


def test_the_first_process_leaves_it_to_the_second(state: State) -> None:
    """The one that started the server may go first."""
    with running(state) as mine:
        other = other_user(state)
        url = first_line(other)
    assert url == mine
    assert answer(url, "select 1") == 1

    other.communicate()
    assert server_process(state) is None


def test_many_processes_at_once_get_one_server(own_state: State) -> None:
    """Whoever comes first makes and starts the server; the others wait for it."""
    users = [other_user(own_state) for _ in range(3)]

    assert len({first_line(user) for user in users}) == 1

    for user in users:
        user.communicate()
        assert user.returncode == 0
    assert server_process(own_state) is None


def test_a_killed_process_does_not_keep_it_alive(state: State) -> None:
    """After kill -9 of its only user the server still runs; the next user takes it over, data and all, and stops it."""
    with another_user(state) as other:
        url = first_line(other)
        answer(url, "create view killed as select 1 as one")
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert server_process(state) is not None

    with running(state) as url:
        assert answer(url, "select one from killed") == 1
    assert server_process(state) is None


def test_a_crashed_server_recovers(state: State) -> None:
    """After a crash of the server itself the next start replays its log."""
    with another_user(state) as other:
        url = first_line(other)
        answer(url, "create view crashed as select 1 as one")
        other.send_signal(signal.SIGKILL)
        other.wait()
    server = server_process(state)
    assert server
    os.kill(int(server), signal.SIGKILL)
    while is_postgres(server):
        os.sched_yield()

    with running(state) as url:
        assert answer(url, "select one from crashed") == 1


def test_a_number_that_another_program_has_now_is_no_server(state: State) -> None:
    """A pid file left by a machine that lost power is not believed when its number is another program's."""
    names = ("postmaster.pid", ".s.PGSQL.5432.lock")
    with running(state):
        files = {name: (state.postgres / name).read_text() for name in names}
    for name, content in files.items():
        (state.postgres / name).write_text(f"{os.getpid()}\n" + content.split("\n", 1)[1])

    with running(state) as url:
        assert answer(url, "select 1") == 1


def test_a_half_made_data_folder_is_made_again(own_state: State) -> None:
    """An interrupted first start leaves nothing that a later one takes for data."""
    own_state.make()
    half = own_state.folder / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    assert not own_state.has_data()

    with running(own_state) as url:
        assert answer(url, "select 1") == 1


@pytest.mark.parametrize("name", ["with space, comma and 'quote'", "long/" * 40])
def test_paths_that_no_socket_can_have(folder: Path, name: str) -> None:
    """Where the state's path is too long or too odd for a socket, the socket lies in a private temporary folder."""
    state = State(folder / name)
    with running(state) as url:
        assert answer(url, "select 1") == 1
        lies_in = Path(str(answer(url, "show unix_socket_directories")))
        assert lies_in != state.postgres
        assert lies_in.stat().st_mode & 0o077 == 0
    assert not lies_in.exists()


def test_variables_of_other_servers_mean_nothing(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libpq's variables, which may name another server, touch neither the server nor the connection."""
    for name, value in {"PGPORT": "9999", "PGHOST": "db.invalid", "PGDATA": "/nowhere", "PGDATABASE": "none"}.items():
        monkeypatch.setenv(name, value)

    with running(state) as url:
        assert answer(url, "show port") == "5432"


def test_data_of_another_version_is_left_alone(own_state: State) -> None:
    """Data made by another major version is neither touched nor hidden; the error says what to do."""
    own_state.postgres.mkdir(parents=True)
    (own_state.postgres / "PG_VERSION").write_text("12\n")

    with (
        pytest.raises(ServerFailed, match=r"made by Postgres 12 .* start with another --state"),
        running(own_state),
    ):
        pass


def test_a_server_that_cannot_start_says_why(own_state: State) -> None:
    """The error holds what the server itself logged."""
    with running(own_state):
        pass
    with (own_state.postgres / "postgresql.conf").open("a") as config:
        config.write("no_such_setting = 1\n")

    with pytest.raises(ServerFailed, match="no_such_setting"), running(own_state):
        pass
