"""Row-level security: a reader sees the namespaces it was told, in every table, whatever it tries."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger.alerts import book, hands
from ledger.alerts.book import Name
from ledger.alerts.evaluation import evaluate
from ledger.alerts.hands import Hand, Which
from ledger.alerts.rule import Level, Rule, Scope
from ledger.database import ReaderDB, WriterDB
from ledger.schema import TENANT_TABLES
from ledger.window import DAY
from tests.integration.ledger.conftest import READ_AT, Desk, charge, days


@pytest.fixture
async def stranger(writer: WriterDB, namespace: str) -> Desk:
    """A second team with charges of its own."""
    desk = Desk(writer, f"{namespace}-other")
    await desk.open()
    return desk


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_every_table_forces_row_level_security(reader: ReaderDB, table: str) -> None:
    """Also for the tables' owner."""
    async with reader.transaction([]) as connection:
        found = await connection.execute(
            text("select relrowsecurity, relforcerowsecurity from pg_class where oid = cast(:t as regclass)"),
            {"t": table},
        )
        assert found.one() == (True, True)


async def test_no_table_of_the_schema_is_forgotten(reader: ReaderDB) -> None:
    """Whatever a migration adds is either a tenant table with its policy, a partition, or Alembic's own."""
    async with reader.transaction([]) as connection:
        found = await connection.execute(
            text(
                "select relname from pg_class where relnamespace = 'public'::regnamespace "
                "and relkind in ('r', 'p') and not relispartition and relname <> 'alembic_version' "
                "and not (relrowsecurity and relforcerowsecurity)"
            )
        )
        assert list(found.scalars()) == []


async def test_a_reader_sees_its_namespaces_only(reader: ReaderDB, desk: Desk, stranger: Desk) -> None:
    """Charges, history, rollup, runs: those of other teams are not there."""
    for owner, amount in ((desk, "1"), (stranger, "2")):
        await owner.sync(days(0, 2), [charge(0, "a", amount)])
        await owner.sync(days(0, 2), [charge(0, "a", f"{amount}.5")], at=READ_AT.replace(hour=13))

    tables = ("charge", "charge_history", "daily_cost", "daily_service_cost", "provider", "sync_run", "restatement")
    for table in (*tables, "piece", "lease"):
        async with reader.transaction([desk.namespace]) as connection:
            seen = set((await connection.execute(text(f"select distinct namespace from {table}"))).scalars())
        assert seen == {desk.namespace}, table


async def breached(desk: Desk) -> None:
    """An alert that fired and that a channel is to be told of."""
    rule = Rule(
        kind="Spend",
        scope=Scope(),
        levels=(Level("1 USD", "warning", amount=Decimal(1)),),
        channels=("hook",),
        currency="USD",
        period="Monthly",
    )
    async with desk.db.transaction() as connection:
        await book.keep(connection, Name(desk.namespace, "over"), 1, rule, READ_AT)
    await desk.sync(days(50, 55), [charge(52, "a", "5")])
    while await evaluate(desk.db, READ_AT):
        pass


async def hushed(desk: Desk) -> None:
    """A silence, which also leaves a mark of what is to be judged."""
    async with desk.db.transaction() as connection:
        scope, hand = hands.Scope(desk.namespace), Hand("me", READ_AT)
        await hands.silence(connection, scope, hand, READ_AT + DAY, "we know")


ALERTING = ("alert_rule", "alert_state", "alert_transition", "evaluation_due", "notification", "silence")


async def test_a_reader_sees_its_alerts_only(reader: ReaderDB, desk: Desk, stranger: Desk) -> None:
    """Rules, states, history, messages, silences and what is due: those of other teams are not there."""
    for owner in (desk, stranger):
        await breached(owner)
    for owner in (desk, stranger):
        await hushed(owner)

    for table in ALERTING:
        async with reader.transaction([desk.namespace]) as connection:
            seen = set((await connection.execute(text(f"select distinct namespace from {table}"))).scalars())
        assert seen == {desk.namespace}, table


async def test_what_people_do_stays_in_their_namespaces(reader: ReaderDB, desk: Desk, stranger: Desk) -> None:
    """Nobody acknowledges, silences, ends, tests or retries anything of a team they do not see."""
    for owner in (desk, stranger):
        await breached(owner)
    for owner in (desk, stranger):
        await hushed(owner)
    theirs, hand = Name(stranger.namespace, "over"), Hand("me", READ_AT)
    [(silence,)] = await stranger.rows("select id from silence where namespace = :ns")
    [(message,)] = await stranger.rows("update notification set state = 'Dead' where namespace = :ns returning id")
    async with reader.transaction([desk.namespace]) as connection:
        assert await hands.acknowledge(connection, Which(theirs), hand, None, None) == []
        assert await hands.unacknowledge(connection, Which(theirs), hand) == []
        assert not await hands.end_silence(connection, stranger.namespace, int(str(silence)), hand)
        assert await hands.retry(connection, stranger.namespace, int(str(message)), hand) is None
        assert not await hands.is_there(connection, stranger.namespace, "Alert")
        assert [
            was.level
            for was in await hands.acknowledge(connection, Which(Name(desk.namespace, "over")), hand, None, None)
        ] == ["1 USD"]

    with pytest.raises(DBAPIError, match="row-level security"):
        async with reader.transaction([desk.namespace]) as connection:
            await hands.silence(connection, hands.Scope(stranger.namespace), hand, READ_AT + DAY, "mine now")
    with pytest.raises(DBAPIError, match="row-level security"):
        async with reader.transaction([desk.namespace]) as connection:
            await hands.ask_test(connection, stranger.namespace, "hook", "k", hand)


@pytest.mark.parametrize(
    "statement",
    [
        "update alert_state set state = 'Ok'",
        "update alert_transition set reason = 'x'",
        "delete from alert_transition",
        "delete from alert_state",
        "update alert_rule set rule = '{}'",
        "update notification set receipt = 'x'",
        "update notification set message = '{}'",
        "delete from notification",
        "update silence set reason = 'x'",
        "delete from silence",
        "delete from evaluation_due",
        "update evaluation_due set since = now()",
    ],
)
async def test_a_reader_changes_nothing_else_of_alerts(reader: ReaderDB, desk: Desk, statement: str) -> None:
    """What was judged and told is closed to it; it may only say what people did about it."""
    with pytest.raises(DBAPIError, match="permission denied"):
        async with reader.transaction([desk.namespace]) as connection:
            await connection.execute(text(statement))


async def test_a_reader_without_namespaces_sees_nothing(reader: ReaderDB, desk: Desk) -> None:
    """No setting, no rows: a forgotten setting fails closed."""
    await desk.sync(days(0, 2), [charge(0, "a", "1")])

    async with reader.transaction([]) as connection:
        assert (await connection.execute(text("select count(*) from charge"))).scalar() == 0
    async with reader.engine.connect() as connection:
        assert (await connection.execute(text("select count(*) from charge"))).scalar() == 0


@pytest.mark.parametrize("trick", ["*", "a,*", "team' or 'a'='a", "{team}", "TEAM", "a, b"])
async def test_names_that_are_no_namespaces_open_nothing(reader: ReaderDB, desk: Desk, trick: str) -> None:
    """A caller's text cannot become the wildcard or a second name."""
    await desk.sync(days(0, 2), [charge(0, "a", "1")])

    async with reader.transaction([trick]) as connection:
        assert (await connection.execute(text("select count(*) from charge"))).scalar() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "select * from charge_2026_09",
        "update charge set billed_cost = 0",
        "delete from daily_cost",
        """insert into provider (namespace, name, kind, type, labels, suspended, created_at)
           values (:ns, 'x', 'Provider', 'openai', '{}', false, now())""",
        "alter table charge disable row level security",
        "set role costhook_writer; select 1",
        "select make_partitions('2026-01-01')",
    ],
)
async def test_a_reader_can_neither_write_nor_go_around(reader: ReaderDB, desk: Desk, statement: str) -> None:
    """Partitions, which have no policy of their own, are closed to it; so is every table for writing."""
    await desk.sync(days(0, 2), [charge(0, "a", "1")])

    with pytest.raises(DBAPIError, match=r"permission denied|must be owner|cannot insert multiple commands"):
        async with reader.transaction([desk.namespace]) as connection:
            await connection.execute(text(statement), {"ns": desk.namespace} if ":ns" in statement else {})


async def test_a_reader_may_ask_for_syncs_of_its_own_only(reader: ReaderDB, desk: Desk, stranger: Desk) -> None:
    """The one thing it writes is bound to its namespaces too."""
    ask = text(
        "insert into sync_request (namespace, provider, requested_at, requested_by) values (:ns, 'vendor', now(), 'x')"
    )
    async with reader.transaction([desk.namespace]) as connection:
        await connection.execute(ask, {"ns": desk.namespace})

    with pytest.raises(DBAPIError, match="row-level security"):
        async with reader.transaction([desk.namespace]) as connection:
            await connection.execute(ask, {"ns": stranger.namespace})
