"""The life of alerts on a real ledger, against an oracle of plain lines."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from ledger.alerts import book
from ledger.alerts.book import Name
from ledger.alerts.evaluation import evaluate
from ledger.alerts.rule import Level, Rule, Scope
from ledger.charge import Charge
from ledger.database import WriterDB
from ledger.money import amount
from ledger.window import DAY, Span, midnight
from tests.integration.ledger.alert_oracle import Oracle
from tests.integration.ledger.conftest import Desk

BEGIN = datetime(2026, 10, 20, 12, tzinfo=UTC)
FIRST = date(2026, 9, 1)
RENOTIFY = timedelta(days=2)

bills = st.dictionaries(
    st.integers(0, 25), st.sampled_from(["0.01", "5", "20", "39.99", "40", "-30"]).map(Decimal), max_size=4
)
steps = st.one_of(
    st.tuples(st.just("sync"), bills),
    st.tuples(st.just("wait"), st.integers(1, 400).map(lambda hours: timedelta(hours=hours))),
    st.tuples(st.just("amount"), st.sampled_from([50, 80, 100]).map(Decimal)),
    st.tuples(st.just("levels"), st.sampled_from([[50, 90, 100], [50, 100], [90]])),
    st.tuples(st.just("acknowledge"), st.none()),
    st.tuples(st.just("crash"), st.integers(1, 12)),
    st.tuples(st.just("judge"), st.none()),
)


class Killed(Exception):
    """The process dies here."""


class World:
    """A provider, a budget's alert, and the oracle beside them."""

    def __init__(self, db: WriterDB) -> None:
        self.desk = Desk(db, f"team-{uuid4().hex[:10]}")
        self.db, self.now, self.generation = db, BEGIN, 1
        self.alert = Name(self.desk.namespace, "over")
        self.oracle = Oracle([50, 90, 100], Decimal(100), RENOTIFY)
        self.vendor: dict[date, Decimal] = {}

    async def open(self) -> None:
        await self.desk.open()
        await self.keep()

    async def keep(self) -> None:
        levels = tuple(Level(f"{each}%", "warning", percent=Decimal(each)) for each in self.oracle.levels)
        rule = Rule(
            kind="Spend",
            scope=Scope(),
            levels=levels,
            channels=("hook",),
            budget="ai",
            currency="USD",
            period="Monthly",
            amount=self.oracle.amount,
            renotify_after=RENOTIFY,
        )
        self.generation += 1
        async with self.db.transaction() as connection:
            await book.keep(connection, self.alert, self.generation, rule, self.now)

    async def do(self, step: str, value: Any) -> None:
        """One step, a second after the last, and what is due after it."""
        self.now += timedelta(seconds=1)
        match step:
            case "sync":
                await self._sync(value)
            case "wait":
                self.now += value
            case "amount":
                self.oracle.amount = value
                await self.keep()
            case "levels":
                self.oracle.levels = value
                await self.keep()
            case "acknowledge":
                await self._acknowledge()
            case "crash":
                await self._crash(value)
        if await self._judge():
            self.oracle.judge(self.now)

    async def _judge(self) -> bool:
        mine = False
        while judged := await evaluate(self.db, self.now):
            mine = mine or self.alert in judged.alerts
        return mine

    async def _sync(self, changes: dict[int, Decimal]) -> None:
        """The vendor bills, restates and takes back; everything up to today is read again."""
        today = self.now.date()
        self.vendor |= {today - back * DAY: cost for back, cost in changes.items() if today - back * DAY >= FIRST}
        charges = [
            Charge(midnight(day), midnight(day) + DAY, "USD", amount(str(cost)), "api", "S", "Vendor", sku_id="a")
            for day, cost in self.vendor.items()
        ]
        await self.desk.sync(Span(midnight(FIRST), midnight(today) + DAY), charges, at=self.now)
        self.oracle.believed = dict(self.vendor)
        self.oracle.through = (self.now - timedelta(hours=24)).date() - DAY

    async def _acknowledge(self) -> None:
        async with self.db.transaction() as connection:
            await connection.execute(
                text("""
                    update alert_state set acknowledged_at = :now, acknowledged_by = 'me'
                    where namespace = :namespace and state = 'Firing'
                """),
                {"now": self.now, "namespace": self.desk.namespace},
            )
        for standings in self.oracle.months.values():
            for standing in standings.values():
                standing.acknowledged = standing.state == "Firing"

    async def _crash(self, nth: int) -> None:
        """Judging dies at its `nth` statement; nothing of it may be left."""
        seen = 0

        def die(*_arguments: object) -> None:
            nonlocal seen
            seen += 1
            if seen == nth:
                raise Killed

        engine = self.db.engine.sync_engine
        await self.keep()
        async with self.db.transaction() as connection:
            await book.mark(connection, "Alert", self.alert, self.now)
        event.listen(engine, "before_cursor_execute", die)
        try:
            await evaluate(self.db, self.now)
        except Killed:
            pass
        else:
            self.oracle.judge(self.now)
        finally:
            event.remove(engine, "before_cursor_execute", die)

    async def turns(self) -> list[tuple[str, str, str, str]]:
        return await self._rows(
            "select level, from_state, to_state, reason from alert_transition where namespace = :ns order by id"
        )

    async def notes(self) -> list[tuple[str, str]]:
        return await self._rows("select what, message ->> 'level' from notification where namespace = :ns order by id")

    async def _rows(self, statement: str) -> list[Any]:
        async with self.db.transaction() as connection:
            found = await connection.execute(text(statement), {"ns": self.desk.namespace})
            return [tuple(row) for row in found]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(steps, min_size=4, max_size=14))
async def test_states_turns_and_notices_are_those_of_the_oracle(
    writer: WriterDB, script: list[tuple[str, Any]]
) -> None:
    """After every step: the same turns for the same reasons, and the same notices in the same order."""
    world = World(writer)
    await world.open()
    for step, value in script:
        await world.do(step, value)
        assert await world.turns() == world.oracle.turns
        assert await world.notes() == world.oracle.notes
