"""FOCUS files behind URLs: read once, told apart by what the server says, and never half."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.connectors.focus import FocusSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import NeedsPerson, RetryLater
from tests.integration.connectors.focus_files import HISTORY, Desk, Row, row, to_csv, to_parquet

NONE: Mapping[str, str] = {}


@dataclass
class Shelf:
    """Files on a web server, and a desk whose settings name them."""

    server: ScriptedServer
    desk: Desk
    files: dict[str, tuple[bytes, Mapping[str, str]]] = field(default_factory=dict)

    def put(self, name: str, content: bytes, headers: Mapping[str, str] = NONE) -> None:
        """Serve `content`; the settings name every file that was ever put."""
        self.files[name] = (content, headers)
        self.desk.settings = FocusSettings(files=tuple(f"{self.server.url}/{name}" for name in self.files))

    def answer(self, request: Request) -> Reply:
        content, headers = self.files.get(request.target.lstrip("/"), (b"", NONE))
        return Reply(200 if content else 404, content, headers)

    async def received(self) -> int:
        """Bytes of bodies that a sync reads."""
        before = self.desk.meter.bytes
        assert await self.desk.sync() == []
        return self.desk.meter.bytes - before


@pytest.fixture
async def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelf]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    async with ScriptedServer() as server:
        shelf = Shelf(server, Desk(tmp_path))
        server.route("GET", "/*", shelf.answer)
        yield shelf


def rows(*costs: int, month: str = "2026-01") -> Sequence[Row]:
    return [row(f"{month}-01", str(cost)) for cost in costs]


@pytest.mark.parametrize(
    "headers", [{"ETag": '"v1"'}, {"ETag": 'W/"v1"'}, {"Last-Modified": "Sat, 21 Nov 2026 12:00:00 GMT"}]
)
async def test_an_unchanged_file_is_not_read(shelf: Shelf, headers: Mapping[str, str]) -> None:
    """As long as the server says it is the same file, none of it is read again, let alone stored again."""
    shelf.put("a.csv", to_csv(rows(*range(20000))), headers)
    whole = await shelf.received()
    assert whole > 1_000_000
    assert len(shelf.desk.stored) == 20000
    assert await shelf.received() < whole / 2
    assert shelf.desk.read == []


async def test_a_server_that_says_nothing(shelf: Shelf) -> None:
    """Without ETag and Last-Modified the file is brought each time, and read only if its bytes differ."""
    shelf.put("a.csv", to_csv(rows(1)))
    await shelf.desk.sync()
    await shelf.desk.sync()
    assert shelf.desk.read == []
    shelf.put("a.csv", to_csv(rows(2)))
    await shelf.desk.sync()
    assert shelf.desk.costs == Counter(["2"])


async def test_a_changed_file(shelf: Shelf) -> None:
    """Another ETag makes the file's months be read again, with what other files have there."""
    shelf.put("a.csv", to_csv(rows(1)), {"ETag": '"a1"'})
    shelf.put("b.parquet", to_parquet(rows(2)), {"ETag": '"b1"'})
    shelf.put("c.csv.gz", gzip.compress(to_csv(rows(3, month="2026-02"))), {"ETag": '"c1"'})
    assert await shelf.desk.sync() == []
    assert shelf.desk.costs == Counter(["1", "2", "3"])
    shelf.put("a.csv", to_csv(rows(10)), {"ETag": '"a2"'})
    assert await shelf.desk.sync() == []
    assert shelf.desk.months == ["2026-01"]
    assert shelf.desk.costs == Counter(["10", "2", "3"])


async def test_a_neighbour_that_changes_meanwhile(shelf: Shelf) -> None:
    """A file that is needed for its neighbour's sake, and changed since it was looked at, is waited for."""
    shelf.put("a.csv", to_csv(rows(1)), {"ETag": '"a1"'})
    shelf.put("b.csv", to_csv(rows(2)), {"ETag": '"b1"'})
    await shelf.desk.sync()
    shelf.put("a.csv", to_csv(rows(10)), {"ETag": '"a2"'})
    async with shelf.desk.opened() as focus:
        [window] = await focus.windows([], HISTORY)
        shelf.put("b.csv", to_csv(rows(20)), {"ETag": '"b2"'})
        with pytest.raises(RetryLater, match=r"b\.csv changed while it was read"):
            await shelf.desk.replace(focus, window)
    assert shelf.desk.costs == Counter(["1", "2"])


async def test_a_body_that_breaks_off(shelf: Shelf) -> None:
    """Half a file is no file: nothing of it is stored, and what was stored stays."""
    shelf.put("a.csv", to_csv(rows(1)))
    await shelf.desk.sync()
    shelf.put("a.csv", to_csv(rows(2, 3, 4)))
    shelf.server.fail(Reply(200, to_csv(rows(2, 3, 4)), cut=150))
    with pytest.raises(RetryLater):
        await shelf.desk.sync()
    assert shelf.desk.costs == Counter(["1"])
    shelf.server.heal()
    await shelf.desk.sync()
    assert shelf.desk.costs == Counter(["2", "3", "4"])


@pytest.mark.parametrize(("status", "kind"), [(404, NeedsPerson), (403, NeedsPerson), (503, RetryLater)])
async def test_a_file_that_cannot_be_had(shelf: Shelf, status: int, kind: type[Exception]) -> None:
    """A file that the server does not give keeps its rows; other files are read first."""
    shelf.put("a.csv", to_csv(rows(1)))
    await shelf.desk.sync()
    shelf.put("b.csv", to_csv(rows(2, month="2026-02")))
    shelf.server.fail(lambda request: Reply(status) if request.path == "/a.csv" else shelf.answer(request))
    with pytest.raises(kind, match=r"/a\.csv"):
        await shelf.desk.sync()
    assert shelf.desk.costs == Counter(["1", "2"])


async def test_a_login_page(shelf: Shelf) -> None:
    """A page for people in place of the file is told from FOCUS data."""
    shelf.put("a.csv", b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})
    [error] = await shelf.desk.sync()
    assert "/a.csv has no column BilledCost" in str(error)


async def test_signatures_stay_secret(shelf: Shelf) -> None:
    """What follows the question mark may be a signature: it is neither remembered nor shown, but tells files apart."""
    shelf.put("a.csv?sig=SECRET1", to_csv(rows(1)))
    shelf.put("a.csv?sig=SECRET2", to_csv(rows(2)))
    await shelf.desk.sync()
    assert shelf.desk.costs == Counter(["1", "2"])
    assert "SECRET" not in json.dumps(shelf.desk.memory)
    await shelf.desk.sync()
    assert shelf.desk.read == []
    shelf.put("a.csv?sig=SECRET2", to_csv([row(BillingCurrency=None)]))
    [error] = await shelf.desk.sync()
    assert "SECRET" not in str(error)


async def test_no_copy_is_left_behind(shelf: Shelf) -> None:
    """The temporary copies go when the connector does."""
    shelf.put("a.csv", to_csv(rows(1)))
    async with shelf.desk.opened() as focus:
        [window] = await focus.windows([], HISTORY)
        assert any(Path(tempfile.gettempdir()).rglob("*"))
        await shelf.desk.replace(focus, window)
        del focus
    assert not any(Path(tempfile.gettempdir()).iterdir())


async def test_no_room_for_a_copy(shelf: Shelf) -> None:
    """When the temporary copy cannot be made, that is what the error says, and it is tried again."""
    shelf.put("a.csv", to_csv(rows(1)))
    async with shelf.desk.opened() as focus:
        focus._scratch.rmdir()
        [window] = await focus.windows([], HISTORY)
        with pytest.raises(RetryLater, match=r"a\.csv cannot be copied to a temporary file") as caught:
            await shelf.desk.replace(focus, window)
    assert caught.value.reason == "NoSpace"
