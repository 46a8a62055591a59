"""The directory source over real files: what an editor saves is told within two seconds."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from watchfiles import Change

from reconciler.errors import NeedsPerson
from reconciler.sources.base import Event, Key, SecretMissing, Source
from reconciler.sources.directory import DirectorySource, Sleep
from reconciler.sources.watching import concerns, edits
from tests.unit.sources.files import KINDS, manual, provider, secret, write

A = Key("Provider", "default", "a")
B = Key("Provider", "default", "b")
PROMISED = 2.0
"""Seconds within which an edit is told."""


async def at_once(_seconds: float) -> None:
    """What went is believed to be gone without waiting."""


def source_over(root: Path, sleep: Sleep = at_once) -> DirectorySource:
    return DirectorySource(root, KINDS, sleep=sleep)


async def next_of(changes: AsyncIterator[Key]) -> Key:
    async with asyncio.timeout(30):
        return await anext(changes)


async def some(changes: AsyncIterator[Key], count: int) -> set[Key]:
    return {await next_of(changes) for _ in range(count)}


async def spec_of(source: Source, key: Key) -> object:
    resource = await source.get(key)
    return resource and resource.spec


async def test_every_resource_is_told_once_and_then_what_changes(tmp_path: Path) -> None:
    """A reader hears of what exists, then of each edit, soon enough for a person who waits."""
    write(tmp_path / "x.yaml", provider("a"), provider("b"))
    async with source_over(tmp_path) as source:
        changes = source.changes()
        assert await some(changes, 2) == {A, B}
        assert source.keys() == [A, B]

        started = asyncio.get_running_loop().time()
        write(tmp_path / "x.yaml", provider("a"), provider("b", interval="1h"))
        assert await next_of(changes) == B
        assert asyncio.get_running_loop().time() - started < PROMISED
        assert await spec_of(source, B) == {"type": "other", "interval": "1h"}


async def test_new_folders_and_files_are_told(tmp_path: Path) -> None:
    """A folder that is made after the start is watched, too; what is no manifest is passed over."""
    async with source_over(tmp_path) as source:
        changes = source.changes()
        write(tmp_path / "data.csv", "a,b")
        write(tmp_path / "team/deep/x.yml", manual("m"))

        assert await next_of(changes) == Key("ManualCost", "default", "m")


async def test_a_removed_manifest_is_told_and_gone(tmp_path: Path) -> None:
    """A reader is told the key, and asking for the resource finds none."""
    write(tmp_path / "x.yaml", provider("a"))
    async with source_over(tmp_path) as source:
        changes = source.changes()
        await next_of(changes)
        (tmp_path / "x.yaml").unlink()

        assert await next_of(changes) == A
        assert await source.get(A) is None
        assert not source.unreadable("x.yaml:1")


async def test_a_file_that_is_empty_for_a_moment_takes_nothing_away(tmp_path: Path) -> None:
    """An editor that empties a file before it writes it does not delete what the file declares."""
    path = tmp_path / "x.yaml"
    write(path, provider("a"))

    async def written_meanwhile(seconds: float) -> None:
        assert seconds <= PROMISED / 2
        write(path, provider("a", interval="1h"))

    async with source_over(tmp_path, written_meanwhile) as source:
        changes = source.changes()
        await next_of(changes)
        path.write_text("")

        assert await next_of(changes) == A
        assert await spec_of(source, A) == {"type": "other", "interval": "1h"}


async def test_a_broken_file_is_told_and_keeps_its_resources(tmp_path: Path) -> None:
    """A reader is told that the resource is not as its file says, why, and that it is not gone."""
    write(tmp_path / "x.yaml", provider("a", interval="1h"))
    async with source_over(tmp_path) as source:
        changes = source.changes()
        await next_of(changes)
        write(tmp_path / "x.yaml", "]")

        assert await next_of(changes) == A
        assert await spec_of(source, A) == {"type": "other", "interval": "1h"}
        assert [problem.place for problem in source.problems()["x.yaml"]] == ["x.yaml:1"]
        assert source.problems_of(A) == source.problems()["x.yaml"]


async def test_what_a_broken_file_declares_is_not_gone_after_a_restart(tmp_path: Path) -> None:
    """A new source knows no last good state, and says of which places it cannot know."""
    write(tmp_path / "in/x.yaml", "]")
    write(tmp_path / "y.yaml", provider("b"))
    async with source_over(tmp_path) as source:
        assert await source.get(A) is None
        assert source.problems_of(A) == ()
        assert source.unreadable("in/x.yaml:7")
        assert not source.unreadable("y.yaml:1")
        assert not source.unreadable("gone.yaml:1")
        assert not source.unreadable(None)


async def test_secrets_are_read_from_manifests_and_files(tmp_path: Path) -> None:
    """Files lie over the manifest of the same name, lose the newline at their end, and serve every namespace."""
    write(tmp_path / "s.yaml", secret("key", "manifest"), secret("team-key", "x", namespace="team"))
    write(tmp_path / "secrets/key/token", "from a file\n")
    write(tmp_path / "secrets/files/apiKey", "over\r\n")
    write(tmp_path / "secrets/files/.hidden", "never")
    write(tmp_path / "secrets/Not_A_Name/apiKey", "never")
    async with source_over(tmp_path) as source:
        assert await source.read_secret("default", "key") == {"apiKey": "manifest", "token": "from a file"}
        assert await source.read_secret("team", "files") == {"apiKey": "over"}
        assert await source.read_secret("team", "team-key") == {"apiKey": "x"}


@pytest.mark.parametrize("name", ["absent", "team-key", "../s", "..", ".", "", "Not_A_Name"])
async def test_a_missing_secret_says_where_it_was_looked_for(tmp_path: Path, name: str) -> None:
    """A Secret that is nowhere, or in another namespace, or no name at all, is missing; no path leads outside."""
    write(tmp_path / "s.yaml", secret("team-key", "x", namespace="team"))
    write(tmp_path / "secrets/Not_A_Name/apiKey", "never")
    (tmp_path / "secrets/apiKey").write_text("never")
    async with source_over(tmp_path) as source:
        with pytest.raises(SecretMissing, match=r"in namespace default, and there is no file secrets/.*/KEY"):
            await source.read_secret("default", name)


async def test_a_secret_whose_manifest_is_wrong_says_where(tmp_path: Path) -> None:
    """A Secret that never could be read is missing, with its place."""
    write(tmp_path / "s.yaml", secret("key", "x").replace("'x'", "5"))
    async with source_over(tmp_path) as source:
        with pytest.raises(SecretMissing, match=r"the Secret key at s\.yaml:1 cannot be read"):
            await source.read_secret("default", "key")


@pytest.mark.parametrize(
    ("content", "said"), [(b"\xff", "not UTF-8 text"), (b"x" * (1024 * 1024 + 1), "larger than 1 MB")]
)
async def test_a_key_file_that_is_no_text_needs_a_person(tmp_path: Path, content: bytes, said: str) -> None:
    """The message names the file and repeats nothing of it."""
    path = tmp_path / "secrets/key/apiKey"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    async with source_over(tmp_path) as source:
        with pytest.raises(NeedsPerson, match=f"secrets/key/apiKey is {said}"):
            await source.read_secret("default", "key")


async def test_a_key_file_that_may_not_be_read_needs_a_person(tmp_path: Path) -> None:
    """What the system refuses is told by file."""
    (tmp_path / "secrets/key").mkdir(parents=True)
    (tmp_path / "secrets/key/apiKey").symlink_to("/proc/self/mem")  # a file that even root cannot read from its start
    async with source_over(tmp_path) as source:
        with pytest.raises(NeedsPerson, match="secrets/key/apiKey cannot be read: Input/output error"):
            await source.read_secret("default", "key")


async def test_a_rotated_key_file_is_told(tmp_path: Path) -> None:
    """Whoever names the Secret hears of the new key, and reads it."""
    write(tmp_path / "x.yaml", provider("a", secretRef="{name: key}"), provider("b"))
    write(tmp_path / "secrets/key/apiKey", "old")
    async with source_over(tmp_path) as source:
        changes = source.changes()
        await some(changes, 2)
        write(tmp_path / "secrets/key/apiKey", "newer")

        assert await next_of(changes) == A
        assert await source.read_secret("default", "key") == {"apiKey": "newer"}


async def test_every_reader_hears_everything(tmp_path: Path) -> None:
    """Two readers do not take changes away from one another, and one that left is forgotten."""
    write(tmp_path / "x.yaml", provider("a"))
    async with source_over(tmp_path) as source:
        first, second = source.changes(), source.changes()
        await next_of(first)
        await next_of(second)
        write(tmp_path / "x.yaml", provider("a", interval="1h"))

        assert await next_of(first) == await next_of(second) == A
        await first.aclose()
        assert len(source._readers) == 1


async def test_readers_end_with_the_source(tmp_path: Path) -> None:
    """Leaving the source ends every reader's loop."""
    async with source_over(tmp_path) as source:
        reading = asyncio.create_task(collect(source))
        await asyncio.sleep(0)

    assert await reading == []


async def collect(source: DirectorySource) -> list[Key]:
    return [key async for key in source.changes()]


async def test_a_folder_that_is_not_there_needs_a_person(tmp_path: Path) -> None:
    """Starting over nothing says so instead of waiting for manifests for ever."""
    with pytest.raises(NeedsPerson, match=r"there is no folder .*nowhere; make it, or name another"):
        async with source_over(tmp_path / "nowhere"):
            pass


async def test_statuses_are_kept_and_events_told_in_the_log(tmp_path: Path) -> None:
    """A folder has no place for a status: it is kept until the resource is let go. Events become log lines."""
    async with source_over(tmp_path) as source:
        await source.write_status(A, {"observedGeneration": 1})
        with capture_logs() as lines:
            await source.record_event(A, Event("Warning", "Unauthorized", "the key is wrong"))
            await source.record_event(A, Event("Normal", "Succeeded", "all is well"))
        assert source.statuses == {A: {"observedGeneration": 1}}
        await source.release(A)
        await source.release(A)

    assert source.statuses == {}
    assert [(line["log_level"], line["reason"], line["resource"]) for line in lines] == [
        ("warning", "Unauthorized", "Provider default/a"),
        ("info", "Succeeded", "Provider default/a"),
    ]


async def test_files_that_kubernetes_mounts_are_told(tmp_path: Path) -> None:
    """A ConfigMap is mounted as links through ..data, and an update replaces that link."""
    for version, interval in (("..1", "1h"), ("..2", "2h")):
        write(tmp_path / version / "x.yaml", provider("a", interval=interval))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "x.yaml").symlink_to("..data/x.yaml")
    async with source_over(tmp_path) as source:
        changes = source.changes()
        assert await some(changes, 1) == {A}
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").rename(tmp_path / "..data")

        assert await next_of(changes) == A
        assert await spec_of(source, A) == {"type": "other", "interval": "2h"}


async def test_edits_are_looked_for_where_none_are_told(tmp_path: Path) -> None:
    """Where the system has no watch to give, an edit is supposed now and then until the end."""

    async def refused() -> AsyncGenerator[None, None]:
        yield
        raise OSError(errno.ENOSPC, "No space left on device")

    stop = asyncio.Event()
    with capture_logs() as lines:
        found = edits(tmp_path, stop, refused())
        for _ in range(3):
            await anext(found)
        stop.set()

        assert [edit async for edit in found] == []
    assert [line["log_level"] for line in lines] == ["warning"]


async def test_a_folder_may_go_and_come_back(tmp_path: Path) -> None:
    """Nothing is told of a folder that is unmounted for a while but what differs afterwards."""
    root, aside = tmp_path / "manifests", tmp_path / "aside"
    write(root / "x.yaml", provider("a"), provider("b"))
    async with source_over(root) as source:
        root.rename(aside)
        await source._take()
        assert source.keys() == [A, B]
        assert source.unreadable("x.yaml:1")
        shutil.copytree(aside, root)
        write(root / "x.yaml", provider("a"), provider("b", interval="1h"))
        await source._take()

        assert await spec_of(source, B) == {"type": "other", "interval": "1h"}
        assert not source.unreadable("x.yaml:1")


@pytest.mark.parametrize(
    ("path", "change", "concerned"),
    [
        ("x.yaml", Change.modified, True),
        ("deep/x.yml", Change.added, True),
        ("secrets/name/KEY", Change.modified, True),
        ("made", Change.added, True),
        ("gone.d", Change.deleted, True),
        ("..data", Change.added, True),
        ("data.csv", Change.modified, False),
        (".costhook/x.yaml", Change.modified, False),
        (".x.yaml", Change.modified, False),
    ],
)
def test_only_what_may_declare_something_is_looked_at(
    tmp_path: Path, path: str, change: Change, concerned: bool
) -> None:
    """Exports that grow, and the state folder, cause no look; whole folders that come or go do."""
    (tmp_path / "data.csv").touch()

    assert concerns(tmp_path, change, Path(os.path.join(tmp_path, path))) is concerned  # noqa: PTH118
