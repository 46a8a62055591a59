"""Where a planted key must not be: any object but its Secret, any log, any metric, any table."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
from sqlalchemy import text

from ledger.database import connect_owner
from tests.e2e.controlplane import ControlPlane
from tests.e2e.operating import probes
from tests.e2e.process import Process
from tests.e2e.team import KEY, Ledger
from tests.loopback import PLAIN

FORMS = (KEY, base64.b64encode(KEY.encode()).decode())
KINDS = "costhook,events,configmaps,deployments,pods,jobs,leases"


def leaked(plane: ControlPlane, ledger: Ledger, process: Process) -> Iterator[str]:
    """Every place where the key shows though it must not."""
    places = {"objects": plane.kubectl("get", KINDS, "-A", "-o", "yaml"), "log": process.said()}
    places |= {"metrics": httpx.get(f"{probes(process)}/metrics", verify=PLAIN).text}
    places |= {path.name: path.read_text(errors="replace") for path in _logs(plane.folder)}
    places |= asyncio.run(_tables(ledger))
    return (place for place, text in places.items() if any(form in text for form in FORMS))


async def _tables(ledger: Ledger) -> dict[str, str]:
    """The rows of every table in which the key shows."""
    found = {}
    engine = connect_owner(ledger.url)
    async with engine.connect() as connection:
        names = await connection.execute(text("select tablename from pg_tables where schemaname = current_schema()"))
        for name in names.scalars().all():
            asked = text(f'select t::text from "{name}" t where t::text like :key')
            rows = await connection.execute(asked, {"key": f"%{KEY}%"})
            found[f"table {name}"] = str(rows.scalars().all())
    await engine.dispose()
    return found


def _logs(folder: Path) -> Iterator[Path]:
    return folder.glob("team-*.log")
