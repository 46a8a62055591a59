"""The most memory that a process takes on the whole: each thing is done once, by a fresh process of its own."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.bill import Bill, made, one_in_a_hundred
from tests.bench.figure import Figure
from tests.bench.files import read_file, write_file
from tests.bench.ground import Ground, ground, synced

KILO: Final = 1024
LIMITS: Final[Mapping[str, int]] = {"first": 256, "unchanged": 256, "restated": 256, "file": 400}
"""MiB that each may take."""


async def figures(server_url: str, rows: int, folder: Path) -> AsyncIterator[Figure]:
    """Peak memory in MiB of syncs of a bill of `rows` charges, and of a FOCUS file of as many."""
    write_file(folder / "bill.parquet", Bill(rows))
    async with ground(server_url) as held:
        for what, limit in LIMITS.items():
            peak = await _peak(what, held, rows, folder)
            yield Figure(name=f"{what}_peak_mib", ratio=peak, goal=limit, at_most=True)


async def _peak(what: str, held: Ground, rows: int, folder: Path) -> float:
    return float(await told("tests.bench.memory", what, held.url, str(rows), str(folder))) / KILO


async def told(module: str, *arguments: str) -> Any:
    """What a fresh process of a module says, which is JSON."""
    command = [sys.executable, "-m", module, *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, f"{module} failed"
    return json.loads(out)


def peak_kib(process: int | str = "self") -> int:
    """The most that a process has held. By the kernel's note of the process itself, where it keeps one.

    `ru_maxrss` of a child begins with what its parent held when it was started.
    """
    status = Path(f"/proc/{process}/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size // KILO if sys.platform == "darwin" else size


async def _work(what: str, url: str, rows: int, folder: str) -> None:
    from ledger.database import connect_writer

    bill = Bill(rows)
    db = connect_writer(url)
    works: Mapping[str, Callable[[], Awaitable[object]]] = {
        "first": lambda: synced(db, bill.window, made(bill.batches())),
        "unchanged": lambda: synced(db, bill.window, made(bill.batches())),
        "restated": lambda: synced(db, bill.window, made(bill.batches(one_in_a_hundred))),
        "file": lambda: read_file(db, Path(folder)),
    }
    await works[what]()
    await db.close()


def main(arguments: Sequence[str]) -> None:
    what, url, rows, folder = arguments
    asyncio.run(_work(what, url, int(rows), folder))
    sys.stdout.write(json.dumps(peak_kib()))


if __name__ == "__main__":
    main(sys.argv[1:])
