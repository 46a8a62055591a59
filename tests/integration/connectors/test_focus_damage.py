"""What the FOCUS connector says of files that are broken, and what stays when one is."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest

from reconciler.errors import NeedsPerson, RetryLater
from tests.integration.connectors.focus_files import (
    FORMATS,
    HISTORY,
    Desk,
    row,
    to_csv,
    to_jsonl,
    to_parquet,
    watched_opens,
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class TestDamage:
    """One bad file, however bad, fails the windows it touches and no others."""

    async def test_a_bad_cell_says_where_it_is(self, desk: Desk) -> None:
        """The error names file, line, column, the value and what would be right."""
        rows = [row(cost="1", ChargeDescription="two\nlines"), row(cost="2"), row(cost="3")]
        desk.put("exports/a.csv", to_csv(rows).replace(b"\r\n2,", b'\r\n\r\n"2,00",'))
        [error] = await desk.sync()
        assert error.reason == "BadRow"
        assert str(error) == (
            "exports/a.csv, line 5: BilledCost is '2,00', where a decimal number such as 12.34 is expected"
        )

    @pytest.mark.parametrize(("name", "place"), [("rows.jsonl", "line 2"), ("rows.parquet", "row 2")])
    async def test_a_bad_cell_of_other_formats(self, desk: Desk, name: str, place: str) -> None:
        """Lines and rows count from one, as people do; long values are shortened."""
        desk.put(name, FORMATS[name]([row(), row(ChargeCategory="R" * 5000)]))
        [error] = await desk.sync()
        assert str(error).startswith(f"{name}, {place}: ChargeCategory is 'RRR")
        assert len(str(error)) < 250

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"BillingCurrency": None}, "BillingCurrency is empty, where a currency code such as USD is expected"),
            ({"BillingCurrency": "US Dollars"}, "BillingCurrency is 'US Dollars'"),
            ({"ChargePeriodStart": None}, "ChargePeriodStart is empty"),
            ({"ChargePeriodEnd": "2026-03-01"}, "where a time after ChargePeriodStart"),
            ({"ChargePeriodEnd": "soon"}, "ChargePeriodEnd is 'soon'"),
            ({"ChargePeriodStart": "1900-01-01"}, "ChargePeriodStart is '1900-01-01'"),
            ({"BilledCost": "NaN"}, "BilledCost is 'NaN'"),
            ({"ListCost": "1e999999"}, "ListCost is '1e999999'"),
            ({"ProviderName": None}, "ServiceProviderName is empty"),
            ({"ResourceId": "r" * 9000}, "where a text of at most 8192 characters is expected"),
        ],
    )
    async def test_what_a_row_cannot_do_without(self, desk: Desk, changes: dict[str, str | None], says: str) -> None:
        """A row without period, currency or provider, or with figures that are none, fails its window."""
        desk.put("a.csv", to_csv([row(), {**row(), **changes}]))
        [error] = await desk.sync()
        assert "a.csv, line 3: " in str(error)
        assert says in str(error)
        assert desk.stored == []

    async def test_other_months_are_read(self, desk: Desk) -> None:
        """A bad row leaves its month as it was, also what good files say of it; other months are read."""
        desk.put("january.csv", to_csv([row("2026-01-01", "1")]))
        desk.put("february.csv", to_csv([row("2026-02-01", "2")]))
        await desk.sync()
        desk.put("january.csv", to_csv([row("2026-01-01", "10"), row("2026-01-01", BillingCurrency=None)]))
        desk.put("more.csv", to_csv([row("2026-01-01", "11")]))
        desk.put("february.csv", to_csv([row("2026-02-01", "20")]))
        assert len(await desk.sync()) == 1
        assert desk.costs == Counter(["1", "20"])
        desk.put("january.csv", to_csv([row("2026-01-01", "10")]))
        assert await desk.sync() == []
        assert desk.costs == Counter(["10", "11", "20"])

    async def test_a_bad_time_leaves_the_months_as_they_were(self, desk: Desk) -> None:
        """A file with a time that is none keeps what it held before, in all its months."""
        desk.put("a.csv", to_csv([row("2026-01-01", "1"), row("2026-02-01", "2")]))
        await desk.sync()
        desk.put("a.csv", to_csv([row("2026-03-01", "3"), row("2026-03-01", "4", ChargePeriodStart="03/01/26")]))
        desk.put("b.csv", to_csv([row("2026-04-01", "5")]))
        [error] = await desk.sync()
        assert "a.csv, line 3: ChargePeriodStart is '03/01/26'" in str(error)
        assert desk.costs == Counter(["1", "2", "5"])

    async def test_a_file_of_no_month(self, desk: Desk) -> None:
        """A file without one good time is told, too, though there is no month that it could fail."""
        desk.put("good.csv", to_csv([row(cost="7")]))
        desk.put("a.csv", to_csv([row(ChargePeriodStart="?"), row(ChargePeriodStart=None)]))
        for _ in range(2):
            [error] = await desk.sync()
            assert "a.csv, line 2: ChargePeriodStart is '?'" in str(error)
        desk.put("a.csv", to_csv([row(ChargePeriodStart=None)]))
        [error] = await desk.sync()
        assert "a.csv, line 2: ChargePeriodStart is empty" in str(error)
        assert desk.costs == Counter(["7"])

    @pytest.mark.parametrize("nth", [1, 2, 3])
    @pytest.mark.parametrize("written", [to_csv([row("2026-01-01", "20")]), to_csv([row()])[:40], b""])
    async def test_a_file_that_changes_while_it_is_looked_at(self, desk: Desk, nth: int, written: bytes) -> None:
        """A change between taking the digest and finding the months is told as such, whatever was read by then."""
        path = desk.put("a.csv", to_csv([row(cost="1")]))
        with watched_opens() as opens:
            opens.before(path, nth, lambda: path.write_bytes(written))
            with pytest.raises(RetryLater, match="changed while it was read"):
                await desk.sync()
        assert desk.stored == []
        desk.put("a.csv", to_csv([row("2026-01-01", "20")]))
        assert await desk.sync() == []
        assert desk.costs == Counter(["20"])

    @pytest.mark.parametrize("nth", [1, 2, 3])
    async def test_a_file_that_goes_while_it_is_looked_at(self, desk: Desk, nth: int) -> None:
        """A file that was found and is gone a moment later is looked for again."""
        path = desk.put("a.csv", to_csv([row(cost="1")]))
        desk.put("b.csv", to_csv([row(cost="2")]))
        with watched_opens() as opens:
            opens.before(path, nth, path.unlink)
            with pytest.raises(RetryLater, match="while it was read"):
                await desk.sync()
        assert desk.costs == Counter(["2"])
        assert await desk.sync() == []

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("a.csv", b"", "has no header in its first line"),
            ("a.csv", b"Date,Cost\n", "has no column BilledCost, BillingCurrency, ChargePeriodEnd, ChargePeriodStart"),
            ("a.csv", b"<!doctype html>", "has no column BilledCost, BillingCurrency, ChargePeriodEnd, ChargePeri"),
            ("a.csv", b"ChargePeriodStart,ChargePeriodEnd\n2026-03-01,2026-03-02\n", "has no column BilledCost"),
            ("a.csv", b"BilledCost\r1\r", "cannot be read: new-line character seen in unquoted field"),
            ("a.csv", b'BilledCost,"Billing\nCurrency"\n', "has no header in its first line"),
            ("a.parquet", to_parquet([{"Cost": "1"}]), "has no column BilledCost"),
            (
                "a.jsonl",
                b'{"ChargePeriodStart": "2026-03-01", "ChargePeriodEnd": "2026-03-02"}',
                "no column BilledCost",
            ),
            ("a.csv", b"BilledCost,BilledCost\n", "names a column twice"),
            ("a.csv", b"BilledCost,billedcost,ChargePeriodEnd,ChargePeriodStart\n1,1,2026-03-02,2026-03-01\n", "twice"),
            ("a.csv", to_csv([row()]) + b"1,2,3\n", "a.csv, line 3: Expected 7 columns, got 3"),
            ("a.csv", to_csv([row()]).replace(b"Widgets", b"\xff"), "a.csv, line 2: CSV conversion error"),
            ("a.csv", to_csv([row()]).decode().encode("utf-16"), "is not UTF-8 text"),
            ("a.csv", to_csv([row(ServiceName='a"b')])[:-3], "a.csv, line 2: unexpected end of data; is the file cut"),
            ("a.csv", to_csv([row()]) + b'"' + b"x" * (5 << 20), "a row of more than 1 MB, or a quoted text that"),
            ("a.csv.gz", gzip.compress(to_csv([row()]))[:-9], "is cut short or damaged"),
            ("a.jsonl", b"[\n", "line 1 is '[', where one JSON object a line is expected"),
            ("a.jsonl", b'{"BilledCost": 1e999999999999999999999}\n', "line 1 is "),
            ("a.jsonl", b'{"BilledCost": 1}\n', "a.jsonl has no column ChargePeriodStart, ChargePeriodEnd"),
            ("a.jsonl.gz", gzip.compress(b"[\n"), "line 1 is '[', where one JSON object a line is expected"),
            ("a.jsonl", b"\n\n7\n", "line 3 is '7'"),
            ("a.parquet", b"PAR1 but no more", "cannot be read: Parquet"),
            ("a.parquet", to_csv([row()]), "cannot be read: Parquet magic bytes not found"),
        ],
    )
    async def test_files_that_are_none(self, desk: Desk, name: str, content: bytes, says: str) -> None:
        """Whatever a file is instead of FOCUS data, the error says so; good files are read all the same."""
        desk.put("good.csv", to_csv([row("2026-01-01", "7")]))
        desk.put(name, content)
        [error] = await desk.sync()
        assert says in str(error)
        assert str(error).startswith(name)
        assert desk.costs["7"] == 1

    async def test_no_file_at_all_removes_nothing(self, desk: Desk) -> None:
        """When no file is there any more, perhaps since a disk is not mounted, what was read stays."""
        path = desk.put("a.csv", to_csv([row()]))
        await desk.sync()
        path.unlink()
        with pytest.raises(NeedsPerson, match="no file matches") as caught:
            await desk.sync()
        assert caught.value.reason == "NoFiles"
        assert len(desk.stored) == 1

    @pytest.mark.parametrize("also", [0, 3])
    async def test_a_file_that_changes_while_it_is_read(self, desk: Desk, also: int) -> None:
        """A file that changed, or went, between two looks at it is read again later, and nothing of it is stored."""
        path = desk.put("a.csv", to_csv([row()]))
        async with desk.opened() as focus:
            [window] = await focus.windows([], HISTORY)
            path.write_bytes(b"?" * also) if also else path.unlink()
            with pytest.raises(RetryLater) as caught:
                await desk.replace(focus, window)
        assert caught.value.reason == "FileChanged"
        assert desk.stored == []

    @pytest.mark.parametrize("longer", [False, True])
    async def test_a_file_that_changes_in_the_middle(self, desk: Desk, longer: bool) -> None:
        """A change after the first batch was read is noticed at the end, and explains what looks broken by it."""
        rows = [row(cost=str(cost)) for cost in range(5000)]
        path = desk.put("a.jsonl", to_jsonl(rows))
        async with desk.opened() as focus:
            [window] = await focus.windows([], HISTORY)
            batches = focus.charges(window)
            assert len(await anext(batches)) > 0
            path.write_bytes(to_jsonl(rows) + b"[]\n" if longer else to_jsonl(rows[:10]))
            with pytest.raises(RetryLater, match="changed while it was read"):
                [batch async for batch in batches]
