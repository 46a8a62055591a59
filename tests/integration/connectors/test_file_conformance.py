"""The conformance suite for files finds what is wrong: connectors that gloss over damage fail."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ledger.charge import Charge
from ledger.money import InvalidAmount, amount
from ledger.window import DAY, Window, midnight
from reconciler.connectors.base import Account, Connector, Settings, Traits
from reconciler.connectors.conformance import FileConformance, Line
from reconciler.errors import BadData, NeedsPerson
from tests.integration.connectors.faulty import fails, traits


class FileSettings(Settings):
    """Settings of connectors that read files."""

    file: str = "bill.csv"


class Filing(Connector[FileSettings]):
    """Reads a file beside the manifest."""

    Settings = FileSettings
    traits: ClassVar[Traits] = traits("filing")

    async def check(self) -> Account:
        self.lines()
        return Account()

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        found = [self.charge(line) for line in self.lines()]
        yield [charge for charge in found if window.start <= charge.charge_period_start < window.end]

    def lines(self) -> list[list[str]]:
        assert self.context.folder is not None
        try:
            with (self.context.folder / self.settings.file).open(newline="") as file:
                return list(csv.reader(file))
        except FileNotFoundError:
            raise NeedsPerson(f"there is no file {self.settings.file}") from None

    def charge(self, line: Sequence[str]) -> Charge:
        try:
            start = midnight(date.fromisoformat(line[0]))
            return Charge(start, start + DAY, "USD", amount(line[1]), "api", line[2], "Vendor")
        except (ValueError, InvalidAmount, IndexError):
            raise BadData(f"{self.settings.file}: a row cannot be read") from None


class Skipping(Filing):
    """Leaves out what it cannot read."""

    def lines(self) -> list[list[str]]:
        return [line for line in super().lines() if len(line) == 3]


class Unworried(Filing):
    """Takes a missing file for an empty one."""

    def lines(self) -> list[list[str]]:
        try:
            return super().lines()
        except NeedsPerson:
            return []


class FilingSuite(FileConformance):
    """The files of the connectors above."""

    connector: ClassVar[type[Connector[Any]]] = Filing

    def settings(self, base_url: str) -> FileSettings:
        return FileSettings()

    def place(self, folder: Path, lines: Sequence[Line]) -> None:
        rows = [f"{line.day},{line.amount},{line.item}\n" for line in lines]
        (folder / "bill.csv").write_text("".join(rows))

    def damage(self, folder: Path) -> None:
        with (folder / "bill.csv").open("a") as file:
            file.write("2026-03-02,half a r")


class TestFiling(FilingSuite):
    """What is sound passes all of the suite for files."""


@pytest.mark.parametrize(
    ("faulty", "test"),
    [
        (Skipping, "a_damaged_row"),
        (Skipping, "a_damaged_row_after_a_good_state"),
        (Unworried, "no_file_at_all"),
    ],
)
async def test_a_fault_with_files_is_found(faulty: type[Filing], test: str, tmp_path: Path) -> None:
    """A connector that glosses over damage does not pass the test that is there to find it."""
    suite = type("Suite", (FilingSuite,), {"connector": faulty})()
    (sound := tmp_path / "sound").mkdir()

    assert not await fails(getattr(FilingSuite(), f"test_{test}"), {}, sound)
    assert await fails(getattr(suite, f"test_{test}"), {}, tmp_path)
