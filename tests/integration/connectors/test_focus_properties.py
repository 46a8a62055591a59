"""For any charges, what is written is read; for any course of events, the ledger is what the files say."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import focus
from ledger.charge import CHARGE_CATEGORIES, Charge
from ledger.window import Span, month_start, next_month
from reconciler.connectors.focus.formats import reader
from reconciler.connectors.focus.rows import batches
from tests.integration.connectors.focus_files import FORMATS, HISTORY, Desk, Row, row, to_csv

ALWAYS = Span(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
TIME = "%Y-%m-%dT%H:%M:%SZ"

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(lambda t: t != "NULL")
amounts = st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**19), max_value=10**19)
starts = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  # as asked
    lambda moment: moment.replace(microsecond=0)
)


@st.composite
def charges(draw: st.DrawFn) -> Charge:
    """A charge as it comes out of a file: with all that an export states on its behalf."""
    start, cost = draw(starts), draw(st.none() | amounts)
    provider = draw(texts)
    category = draw(st.sampled_from(focus.SERVICE_CATEGORIES))
    effective = draw(st.none() | amounts)
    stated = {
        "BillingPeriodStart": month_start(start).strftime(TIME),
        "BillingPeriodEnd": next_month(start).strftime(TIME),
        "InvoiceIssuerName": draw(texts),
        "PublisherName": provider,
        "ServiceSubcategory": f"Other ({category})",
        "x_origin": "file",
    }
    more = draw(st.dictionaries(st.sampled_from(["RegionName", "SkuPriceId", "x_A", "x_bé"]), texts))
    return Charge(
        charge_period_start=start,
        charge_period_end=start + timedelta(seconds=draw(st.integers(1, 10**7))),
        billing_currency=draw(st.sampled_from(["USD", "EUR", "JPY"])),
        billed_cost=cost,
        x_origin="file",
        service_name=draw(texts),
        service_provider_name=provider,
        charge_category=draw(st.sampled_from(sorted(CHARGE_CATEGORIES))),
        charge_frequency=draw(st.none() | st.sampled_from(focus.ENUMS["ChargeFrequency"])),
        charge_description=draw(st.none() | texts),
        service_category=category,
        sub_account_id=draw(st.none() | texts),
        x_model=draw(st.none() | texts),
        consumed_quantity=draw(st.none() | amounts),
        effective_cost=cost if effective is None else effective,
        list_cost=draw(st.none() | amounts),
        tags=draw(st.none() | st.dictionaries(texts, texts, min_size=1, max_size=3)),
        extra={**stated, **more},
    )


def exported(charge: Charge) -> Row:
    """A charge as a row of a FOCUS 1.2 file."""
    columns = [*focus.columns("1.2"), *focus.OWN.values()]
    foreign = {name: value for name, value in (charge.extra or {}).items() if name.startswith("x_")}
    return {**foreign, **{column.name: focus.getter(column)(charge) for column in columns}}


def normal(charge: Charge) -> Charge:
    """A charge in which the order of what has none does not matter."""
    return charge._replace(tags=sorted((charge.tags or {}).items()), extra=sorted((charge.extra or {}).items()))  # type: ignore[arg-type]  # to compare by


@given(st.lists(charges(), min_size=1, max_size=20), st.sampled_from(["rows.csv", "rows.jsonl", "rows.parquet.gz"]))
@settings(max_examples=60)
def test_what_is_exported_is_read(written: list[Charge], name: str) -> None:
    """Charges written as a FOCUS 1.2 file of any format are read back field by field, and add up to the digit."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(FORMATS[name]([exported(charge) for charge in written]))
        found = [charge for batch in batches(reader(path, name), UTC, ALWAYS) for charge in batch]
    assert [normal(charge) for charge in found] == [normal(charge) for charge in written]
    for currency in {charge.billing_currency for charge in written}:
        sums = [
            sum((c.billed_cost or Decimal(0) for c in rows if c.billing_currency == currency), start=Decimal(0))
            for rows in (found, written)
        ]
        assert sums[0] == sums[1]


Files = Mapping[str, Sequence[tuple[int, int]]]
"""Rows by file: the month (1 to 4) and the cost of each."""

names = st.sampled_from(["a", "b", "c", "d"])
contents = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 99)), max_size=3)
Step = tuple[str, str, Sequence[tuple[int, int]]]
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("write"), names, contents),
    st.tuples(st.just("spoil"), names, contents),
    st.tuples(st.just("remove"), names, st.just([])),
    st.tuples(st.just("crash"), names, st.just([])),
    st.tuples(st.just("sync"), names, st.just([])),
)


def written_out(content: Sequence[tuple[int, int]], *, bad: bool = False) -> bytes:
    rows = [row(f"2026-0{month}-10", str(cost)) for month, cost in content]
    spoiled = [row("2026-01-01", ChargePeriodEnd="never")] if bad else []
    return to_csv([*rows, *spoiled]) if rows or bad else to_csv([row()]).splitlines(keepends=True)[0]


class Course:
    """A course of events: files written, spoiled and removed, and syncs, some of which crash after a window."""

    def __init__(self, folder: Path) -> None:
        self.desk = Desk(folder)
        self.desk.put("always.csv", written_out([]))
        self.files: dict[str, Sequence[tuple[int, int]]] = {}
        self.spoiled: set[str] = set()

    async def take(self, step: Step) -> None:
        what, name, content = step
        match what:
            case "write" | "spoil":
                self.files[name] = content
                self.spoiled = self.spoiled - {name} | ({name} if what == "spoil" else set())
                self.desk.put(f"{name}.csv", written_out(content, bad=what == "spoil"))
            case "remove":
                self.files.pop(name, None)
                self.spoiled.discard(name)
                (self.desk.folder / f"{name}.csv").unlink(missing_ok=True)
            case "crash":
                await self.crash()
            case "sync":
                await self.sync()

    async def crash(self) -> None:
        """A sync that ends after its first window, if that can be read."""
        async with self.desk.opened() as connector:
            found = await connector.windows([], HISTORY)
            if found and not self.spoiled:
                await self.desk.replace(connector, found[0])

    async def sync(self) -> None:
        errors = await self.desk.sync()
        assert bool(errors) == bool(self.spoiled)
        if not errors:
            assert self.desk.costs == Counter(str(cost) for content in self.files.values() for _, cost in content)
            assert await self.desk.sync() == []
            assert self.desk.read == []

    async def mend(self) -> None:
        """Write every spoiled file anew, and sync."""
        for name in list(self.spoiled):
            await self.take(("write", name, self.files[name]))
        await self.sync()


@contextmanager
def a_course() -> Iterator[Course]:
    with TemporaryDirectory() as folder:
        yield Course(Path(folder))


@given(st.lists(steps, max_size=12))
@settings(max_examples=80)
def test_the_ledger_is_what_the_files_say(course: list[Step]) -> None:
    """Whatever happened to files and syncs, one good sync later the ledger is the files' rows, and stays so unread."""

    async def play() -> None:
        with a_course() as played:
            for step in course:
                await played.take(step)
            await played.mend()

    asyncio.run(play())
