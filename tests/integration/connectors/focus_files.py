"""FOCUS files as vendors write them, and a desk on which a sync of them is played as the reconciler plays it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from ledger.charge import Charge
from ledger.focus import COLUMNS, json_text
from ledger.money import plain
from ledger.window import Span, Window
from reconciler.connectors.base import Context, Credentials
from reconciler.connectors.focus import Focus, FocusSettings
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient
from reconciler.errors import BadData, Bug, ReconcilerError

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
HISTORY = Span(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 21, tzinfo=UTC))
EXACT = pa.decimal128(38, 18)

Row = Mapping[str, Any]
"""Texts, Decimals (as text, too, where the format has no numbers), datetimes, JSON objects and None by column."""


def row(day: str = "2026-03-01", cost: str | None = "1.00", **columns: Any) -> Row:
    """A row of a FOCUS 1.2 file for one day of usage."""
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    return {
        "BilledCost": None if cost is None else Decimal(cost),
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargePeriodEnd": start.replace(hour=1),
        "ChargePeriodStart": start,
        "ProviderName": "Acme",
        "ServiceName": "Widgets",
        **columns,
    }


def to_csv(rows: Sequence[Row], null: str = "") -> bytes:
    text = io.StringIO(newline="")
    names = _names(rows)
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([null if row.get(name) is None else _cell(row[name]) for name in names] for row in rows)
    return text.getvalue().encode()


def to_jsonl(rows: Sequence[Row]) -> bytes:
    lines = [json_text({name: _json(value) for name, value in row.items()}) for row in rows]
    return "".join(f"{line}\n" for line in lines).encode()


def to_parquet(rows: Sequence[Row], **types: pa.DataType) -> bytes:
    """Amounts as decimals, times as timestamps; `types` says otherwise for a column."""
    columns = {name: _array(name, [row.get(name) for row in rows], types.get(name)) for name in _names(rows)}
    file = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), file)
    return file.getvalue()


FORMATS: Mapping[str, Callable[[Sequence[Row]], bytes]] = {
    "rows.csv": to_csv,
    "rows.jsonl": to_jsonl,
    "rows.parquet": to_parquet,
    "rows.csv.gz": lambda rows: gzip.compress(to_csv(rows)),
    "rows.jsonl.gz": lambda rows: gzip.compress(to_jsonl(rows)),
    "rows.parquet.gz": lambda rows: gzip.compress(to_parquet(rows)),
}
"""How to write each kind of file, by a name that such files have."""


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows or [row()] for name in row))


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, dict):
        return json_text(value)
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _json(value: Any) -> Any:
    return _cell(value) if isinstance(value, datetime) else value


def _array(name: str, values: Sequence[Any], kind: pa.DataType | None) -> pa.Array:
    stated = next((value for value in values if value is not None), None)
    column = COLUMNS.get(name)
    if kind is not None:
        return pa.array(values, kind)
    if isinstance(stated, Decimal) or (column and column.kind == "decimal"):
        return pa.array(values, EXACT)
    if isinstance(stated, datetime):
        return pa.array(values, pa.timestamp("us", "UTC"))
    return pa.array([value if value is None else _cell(value) for value in values], pa.string())


@dataclass
class Desk:
    """A ledger of the simplest kind: windows are read whole and replaced whole, each by itself."""

    folder: Path
    settings: FocusSettings = field(default_factory=lambda: FocusSettings(files=("**/*",)))
    memory: dict[str, Any] = field(default_factory=dict)
    stored: list[Charge] = field(default_factory=list)
    read: list[Window] = field(default_factory=list)
    """The windows of the last sync that were stored, in their order."""
    meter: Meter = field(default_factory=Meter)
    waits: list[float] = field(default_factory=list)
    puts: int = 0

    def put(self, name: str, content: bytes) -> Path:
        """Write a file below the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.puts += 1  # a file system's clock may tick too slowly to tell two writes apart
        os.utime(path, (self.puts, self.puts))
        return path

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Focus]:
        """A connector with the memory of earlier syncs."""
        async with VendorClient(
            base_url=None,
            policy=EgressPolicy(allow_loopback=True),
            meter=self.meter,
            sleep=self._wait,
            random=lambda: 0.5,
        ) as http:
            memory = json.loads(json.dumps(self.memory))
            yield Focus(self.settings, Context(http, Credentials({}), NOW, memory, self.folder))

    async def sync(self) -> list[ReconcilerError]:
        """One sync as the reconciler does it; returns the errors of windows. Other errors end it, and are raised."""
        self.read = []
        errors: list[ReconcilerError] = []
        async with self.opened() as focus:
            for window in await focus.windows([], HISTORY):
                try:
                    await self.replace(focus, window)
                except (BadData, Bug) as error:
                    errors.append(error)
        return errors

    async def replace(self, focus: Focus, window: Window) -> None:
        """Read a window and store it, with what it wants remembered."""
        rows = []
        async for batch in focus.charges(window):
            for charge in batch:
                assert window.start <= charge.charge_period_start < window.end
                rows.append(charge)
        kept = [charge for charge in self.stored if not window.start <= charge.charge_period_start < window.end]
        self.stored = kept + rows
        self.memory = {k: v for k, v in {**self.memory, **window.remember}.items() if v is not None}
        self.read.append(window)

    @property
    def months(self) -> list[str]:
        """The months that the last sync read, as windows, such as `2026-01..2026-03`."""
        return [_shown(window.span) for window in self.read]

    @property
    def costs(self) -> Counter[str]:
        """The billed costs that are stored, plainly."""
        return Counter(plain(charge.billed_cost) for charge in self.stored if charge.billed_cost is not None)

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def _shown(span: Span) -> str:
    first, *_, last = [f"{month:%Y-%m}" for month in span.months()] * 2
    return first if first == last else f"{first}..{last}"


class Opens:
    """How often each file was opened, and what is to happen just before a file is opened for the nth time."""

    def __init__(self) -> None:
        self.of: Counter[Path] = Counter()
        self._then: dict[tuple[Path, int], Callable[[], object]] = {}

    def before(self, path: Path, nth: int, act: Callable[[], object]) -> None:
        self._then[path, nth] = act

    def note(self, path: Path) -> None:
        self.of[path] += 1
        self._then.pop((path, self.of[path]), lambda: None)()


_watching: list[Opens] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _watching and isinstance(arguments[0], str):
        _watching[-1].note(Path(arguments[0]))


sys.addaudithook(_note)


@contextmanager
def watched_opens() -> Iterator[Opens]:
    """Every file that this process opens from here on."""
    _watching.append(Opens())
    try:
        yield _watching[-1]
    finally:
        _watching.pop()
