"""Conformance: a damaged or missing file fails its windows and says where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.connectors.conformance.harness import Hooks, Line
from reconciler.connectors.scripted import ScriptedServer
from reconciler.errors import Bug, NeedsPerson


class FileFaults(Hooks):
    """What holds for every connector that reads files beside the manifest."""

    pytestmark = pytest.mark.asyncio

    def set_up(self, server: ScriptedServer, folder: Path, lines: Sequence[Line]) -> None:
        """Have the vendor know `lines`: in files."""
        self.place(folder, lines)

    async def test_check_of_good_files(self, tmp_path: Path) -> None:
        """`check` is content with files it can read."""
        async with self.stage(tmp_path, self.some_lines()) as stage, stage.opened() as connector:
            await connector.check()

    async def test_a_damaged_row(self, tmp_path: Path) -> None:
        """A row that cannot be read fails the sync with an error for a person, and nothing of it is stored."""
        async with self.stage(tmp_path, self.some_lines()) as stage:
            self.damage(tmp_path)
            assert isinstance(await stage.failed_sync(), NeedsPerson | Bug)
            assert not stage.stored

    async def test_a_damaged_row_after_a_good_state(self, tmp_path: Path) -> None:
        """What was read before the file was damaged stays."""
        lines = self.some_lines()
        async with self.stage(tmp_path, lines) as stage:
            await stage.sync()
            self.damage(tmp_path)
            await stage.failed_sync()
            assert stage.totals() == stage.expected(lines)

    async def test_no_file_at_all(self, tmp_path: Path) -> None:
        """Settings that name no existing file need a person; they do not mean that there are no charges."""
        async with self.stage(tmp_path, self.some_lines()) as stage:
            _empty(tmp_path)
            assert isinstance(await stage.failed_sync(), NeedsPerson)


def _empty(folder: Path) -> None:
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        file.unlink()
