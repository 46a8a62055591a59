"""Which files the FOCUS connector reads, and which it reads again when files change."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.connectors.focus import Focus, FocusSettings
from reconciler.errors import NeedsPerson
from tests.integration.connectors.focus_files import HISTORY, Desk, Opens, row, to_csv, watched_opens


@pytest.fixture
def opens() -> Iterator[Opens]:
    with watched_opens() as opens:
        yield opens


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class TestChanges:
    """Which files are read again, and what becomes of their charges."""

    async def test_unchanged_files_are_not_read(self, desk: Desk, opens: Opens) -> None:
        """A file whose size and times are as they were is not even opened."""
        path = desk.put("a.csv", to_csv([row()]))
        await desk.sync()
        assert opens.of[path] > 0
        opens.of.clear()
        await desk.sync()
        assert desk.read == []
        assert opens.of[path] == 0

    async def test_a_time_of_change_can_be_kept(self, desk: Desk) -> None:
        """A file of the same size and the same age, as tools that copy files make it, is told by its digest."""
        path = desk.put("a.csv", to_csv([row(cost="1")]))
        await desk.sync()
        stat = path.stat()
        path.write_bytes(to_csv([row(cost="2")]))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        while path.stat().st_ctime_ns == stat.st_ctime_ns:  # until the file system's clock ticks
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        await desk.sync()
        assert desk.costs == Counter(["2"])

    async def test_touched_files_are_not_read(self, desk: Desk, opens: Opens) -> None:
        """A file that was written again with the same content has not changed: its digest is all that is taken."""
        path = desk.put("a.csv", to_csv([row()]))
        await desk.sync()
        os.utime(path, ns=(1, 1))
        opens.of.clear()
        await desk.sync()
        assert desk.read == []
        assert opens.of[path] == 1

    async def test_a_window_for_each_month_newest_first(self, desk: Desk) -> None:
        """Files by the month are read month by month, so that this month is seen first."""
        for month in ("2026-01", "2026-02", "2026-03"):
            desk.put(f"{month}.csv", to_csv([row(f"{month}-01"), row(f"{month}-27")]))
        await desk.sync()
        assert desk.months == ["2026-03", "2026-02", "2026-01"]
        assert [str(window.seen_until)[:13] for window in desk.read] == [
            "2026-03-27 01",
            "2026-02-27 01",
            "2026-01-27 01",
        ]

    async def test_a_file_of_many_months_is_read_once(self, desk: Desk) -> None:
        """A file is never split between windows; files that overlap it are read with it, others are not."""
        desk.put("quarter.csv", to_csv([row("2025-10-01"), row("2025-12-31")]))
        desk.put("november.csv", to_csv([row("2025-11-01")]))
        desk.put("january.csv", to_csv([row("2026-01-01")]))
        await desk.sync()
        assert desk.months == ["2026-01", "2025-10..2025-12"]
        assert len(desk.stored) == 4

    async def test_a_change_reads_its_months_alone(self, desk: Desk) -> None:
        """A file that changed is read again with the others of its months; other months are left alone."""
        desk.put("january.csv", to_csv([row("2026-01-01", "1")]))
        desk.put("both.csv", to_csv([row("2026-01-02", "2"), row("2026-02-02", "20")]))
        desk.put("february.csv", to_csv([row("2026-02-01", "10")]))
        await desk.sync()
        desk.put("february.csv", to_csv([row("2026-02-01", "11"), row("2026-02-03", "12")]))
        await desk.sync()
        assert desk.months == ["2026-02"]
        assert desk.costs == Counter(["1", "2", "20", "11", "12"])

    async def test_rows_that_move_leave_where_they_were(self, desk: Desk) -> None:
        """A file whose rows are of another month by now leaves the old month and fills the new one."""
        desk.put("a.csv", to_csv([row("2026-01-01", "1")]))
        desk.put("b.csv", to_csv([row("2026-01-01", "2")]))
        await desk.sync()
        desk.put("a.csv", to_csv([row("2026-03-01", "3")]))
        await desk.sync()
        assert desk.months == ["2026-01..2026-03"]
        assert desk.costs == Counter(["2", "3"])
        await desk.sync()
        assert desk.read == []

    async def test_a_file_that_goes_takes_its_rows_along(self, desk: Desk) -> None:
        """What a removed file held leaves the ledger, and it is forgotten; the other files stay."""
        desk.put("a.csv", to_csv([row("2026-01-01", "1")]))
        gone = desk.put("b.csv", to_csv([row("2026-02-01", "2")]))
        await desk.sync()
        gone.unlink()
        await desk.sync()
        assert desk.months == ["2026-02"]
        assert desk.costs == Counter(["1"])
        assert list(desk.memory) == ["file:a.csv"]
        await desk.sync()
        assert desk.read == []

    async def test_an_emptied_month_is_known_no_further_than_the_files(self, desk: Desk) -> None:
        """A month without files is not called whole up to now: nothing says what was in it."""
        desk.put("a.csv", to_csv([row("2026-01-01")]))
        gone = desk.put("b.csv", to_csv([row("2026-02-01")]))
        await desk.sync()
        gone.unlink()
        await desk.sync()
        assert str(desk.read[0].seen_until) == "2026-01-01 01:00:00+00:00"

    @pytest.mark.parametrize("ends", [True, False])
    async def test_a_file_without_rows(self, desk: Desk, ends: bool) -> None:
        """A file of a header alone is read and holds nothing; filled later, it is read again."""
        desk.put("a.csv", to_csv([row()]).splitlines(keepends=ends)[0])
        assert await desk.sync() == []
        assert desk.read == []
        desk.put("a.csv", to_csv([row()]))
        await desk.sync()
        assert len(desk.stored) == 1

    async def test_settings_that_change_what_is_read(self, desk: Desk) -> None:
        """Another time zone makes every file read again, and no row is left behind where it was."""
        desk.put("a.csv", to_csv([row("2026-02-01", ChargePeriodStart="2026-02-01", ChargePeriodEnd="2026-02-02")]))
        await desk.sync()
        desk.settings = FocusSettings(files=("*.csv",), time_zone="Europe/Berlin")
        await desk.sync()
        assert [str(charge.charge_period_start) for charge in desk.stored] == ["2026-01-31 23:00:00+00:00"]
        assert len(desk.read) == 1
        await desk.sync()
        assert desk.read == []

    async def test_a_crash_resumes_where_it_stopped(self, desk: Desk) -> None:
        """Windows that were stored before a crash are not read again; the others are."""
        for month in ("2026-01", "2026-02", "2026-03"):
            desk.put(f"{month}.csv", to_csv([row(f"{month}-01")]))
        async with desk.opened() as focus:
            await desk.replace(focus, (await focus.windows([], HISTORY))[0])
        await desk.sync()
        assert desk.months == ["2026-02", "2026-01"]
        assert len(desk.stored) == 3


class TestFinding:
    """Which files a pattern means."""

    async def test_patterns(self, desk: Desk) -> None:
        """`**` stands for any folders, a file that two patterns match is read once, and hidden files never."""
        content = to_csv([row(cost="1")])
        for name in ("a.csv", "exports/b.csv", "exports/2026/03/c.csv", ".hidden.csv", ".state/d.csv"):
            desk.put(name, content)
        desk.settings = FocusSettings(files=("*.csv", "exports/**/*.csv", "**/a.csv"))
        await desk.sync()
        assert set(desk.memory) == {"file:a.csv", "file:exports/b.csv", "file:exports/2026/03/c.csv"}
        desk.settings = FocusSettings(files=("exports/**",))
        await desk.sync()
        assert set(desk.memory) == {"file:exports/b.csv", "file:exports/2026/03/c.csv"}

    async def test_names_that_are_no_text(self, desk: Desk) -> None:
        """A file whose name is not UTF-8 is read, under a name that can be stored."""
        desk.put(os.fsdecode(b"a\xff.csv"), to_csv([row()]))
        assert await desk.sync() == []
        assert list(desk.memory) == ["file:a\\udcff.csv"]

    async def test_links_within_the_folder(self, desk: Desk) -> None:
        """A link beside the file it leads to is that file, and is read once."""
        path = desk.put("a.csv", to_csv([row()]))
        (desk.folder / "b.csv").symlink_to(path)
        await desk.sync()
        assert len(desk.stored) == 1

    async def test_links_out_of_the_folder(self, desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A link cannot lead a manifest to files elsewhere on the machine."""
        elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.csv"
        elsewhere.write_bytes(to_csv([row()]))
        (desk.folder / "a.csv").symlink_to(elsewhere)
        with pytest.raises(NeedsPerson, match=r"a\.csv leads out of the manifest's folder"):
            await desk.sync()

    async def test_no_folder_in_a_cluster(self, desk: Desk) -> None:
        """Without a folder, patterns are refused with words that say what can be read instead."""
        async with desk.opened() as focus:
            cluster = Focus(desk.settings, replace(focus.context, folder=None))
            with pytest.raises(NeedsPerson, match="https://"):
                await cluster.check()

    async def test_check_says_how_many(self, desk: Desk) -> None:
        """`check` tells how many files there are."""
        desk.put("a.csv", b"")
        desk.put("b.csv", b"")
        async with desk.opened() as focus:
            assert (await focus.check()).notes == ("2 files",)
