"""The Datadog connector against a server with closed months, and estimates of open ones that grow by the day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, Window
from reconciler.connectors.base import Account, Traits
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.datadog import Datadog, DatadogSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError
from tests.integration.connectors import talk
from tests.integration.connectors.datadog_vendor import (
    API_KEY,
    APPLICATION_KEY,
    ESTIMATED,
    HISTORICAL,
    VALIDATE,
    Spent,
    Vendor,
    charge,
    refusal,
    row,
)

MARCH = datetime(2026, 3, 20, 12, tzinfo=UTC)
APRIL = datetime(2026, 4, 18, 12, tzinfo=UTC)
FIRST = date(2026, 3, 1)
CLOSED = frozenset({"2026-03"})
KEYS = {"apiKey": API_KEY, "applicationKey": APPLICATION_KEY}


@asynccontextmanager
async def talking(
    vendor: Vendor,
    now: datetime = MARCH,
    keys: Mapping[str, str] = KEYS,
    routes: Mapping[str, Reply] | None = None,
    waits: list[float] | None = None,
) -> AsyncIterator[Datadog]:
    async with ScriptedServer() as server:
        vendor.today = now.date()
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _always(reply))
        async with talk.talking(Datadog, server, keys, now, {"baseURL": server.url}, waits) as connector:
            yield connector


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, now: datetime = MARCH, first: date = FIRST) -> list[Charge]:
    """The charges of the month of `first`."""
    async with talking(vendor, now) as connector:
        return await talk.read_days(connector, first, first + DAY)


class Both(ConnectorConformance):
    """What months and days have in common."""

    credentials: ClassVar[Mapping[str, str]] = KEYS
    paged = False

    def settings(self, base_url: str) -> DatadogSettings:
        return DatadogSettings(base_url=base_url)

    def spent(self, lines: Sequence[Line]) -> Sequence[Spent]:
        return [Spent(line.day, line.amount, line.item, org=line.project) for line in lines]


class Monthly(Datadog):
    """The same connector, said to be as coarse as closed months are."""

    traits: ClassVar[Traits] = replace(Datadog.traits, grain="Month")


class TestClosedMonths(Both):
    """What every connector has to do, done with a month that is closed."""

    connector = Monthly
    now = APRIL

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        Vendor(self.spent(lines), CLOSED, self.now.date()).open(server)

    async def test_one_day_of_many(self) -> None:  # type: ignore[override]
        """Asked for one day of it, a closed month is read whole."""
        lines = self.some_lines()
        vendor = Vendor(self.spent(lines), CLOSED)
        async with talking(vendor, APRIL) as connector:
            found = await talk.read_days(connector, self.first_day, self.first_day + DAY)
        assert sum(each.billed_cost or 0 for each in found) == sum(line.amount for line in lines)


class Estimating(Datadog):
    """The same connector, said to give what it gives of an open month."""

    traits: ClassVar[Traits] = replace(Datadog.traits, origin="estimate")


class TestEstimates(Both):
    """What every connector has to do, done with a month that is open."""

    connector = Estimating

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        Vendor(self.spent(lines), today=self.now.date()).open(server)


AMOUNTS = st.decimals(-(10**6), 10**9, allow_nan=False, places=2) | st.decimals(-1, 1, allow_nan=False, places=18)
SPENT = st.builds(
    Spent,
    st.integers(0, 18).map(lambda number: FIRST + number * DAY),
    AMOUNTS,
    st.sampled_from(["infra_host", "synthetics_api_tests"]),
    st.sampled_from(["committed", "on_demand"]),
    st.sampled_from(["one", "two"]),
)


@hypothesis.settings(max_examples=40, deadline=None)
@given(spent=st.lists(SPENT, max_size=12), inclusive=st.booleans(), totals=st.booleans())
async def test_each_day_is_what_it_added(spent: list[Spent], inclusive: bool, totals: bool) -> None:
    """Days are charged the differences of the growing month, by organisation, exactly; totals never count."""
    sums: dict[Any, Fraction] = defaultdict(Fraction)
    for each in spent:
        sums[each.day, each.org, each.product, each.charge_type] += Fraction(each.cost)
    for found in await read(Vendor(spent, inclusive=inclusive, totals=totals)):
        assert found.x_origin == "estimate"
        kind = (found.extra or {})["x_charge_type"]
        key = (found.charge_period_start.date(), found.sub_account_id, found.sku_id, kind)
        sums[key] -= Fraction(found.billed_cost or 0)
    assert not any(sums.values())


@hypothesis.settings(max_examples=40, deadline=None)
@given(spent=st.lists(SPENT, max_size=12), inclusive=st.booleans(), totals=st.booleans())
async def test_a_closed_month_is_what_it_says(spent: list[Spent], inclusive: bool, totals: bool) -> None:
    """A closed month has every charge once, to the last digit, whether or not the month after is told, too."""
    april = Spent(date(2026, 4, 2), Decimal(99))
    found = await read(Vendor([*spent, april], CLOSED | {"2026-04"}, inclusive=inclusive, totals=totals), APRIL)

    assert {each.x_origin for each in found} <= {"api"}
    assert sum(Fraction(each.billed_cost or 0) for each in found) == sum(Fraction(each.cost) for each in spent)


async def test_the_closed_month_takes_the_place_of_its_days() -> None:
    """A month is its days until Datadog closes it, also in the month after, and is then one line for each charge."""
    vendor = Vendor([Spent(FIRST + number * DAY, Decimal("2.5")) for number in range(31)])
    before = await read(vendor, datetime(2026, 4, 3, tzinfo=UTC))
    vendor.closed = CLOSED
    (after,) = await read(vendor, APRIL)

    assert [each.billed_cost for each in before] == [Decimal("2.5")] * 31
    assert (after.billed_cost, after.x_origin) == (Decimal("77.5"), "api")
    assert (after.charge_period_start.date(), after.charge_period_end.date()) == (FIRST, date(2026, 4, 1))


async def test_what_a_row_says_is_kept() -> None:
    """Organisation, account, region, product and charge type arrive; a negative line of a closed month is a credit."""
    charges = [charge("infra_host", "committed", 15), charge("infra_host", "credit", "-1.50")]
    vendor = Vendor(closed=CLOSED, rows=[row(FIRST, charges)])
    found, credit = await read(vendor, APRIL)

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 1, tzinfo=UTC),
        charge_period_end=datetime(2026, 4, 1, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal(15),
        x_origin="api",
        service_name="Datadog",
        service_provider_name="Datadog",
        charge_description="infra_host",
        billing_account_id="acc_1",
        sub_account_id="one",
        sub_account_name="One Ltd",
        region_id="us",
        sku_id="infra_host",
        extra={"x_charge_type": "committed", "BillingAccountName": "Acme"},
    )
    assert (credit.billed_cost, credit.charge_category) == (Decimal("-1.5"), "Credit")


@pytest.mark.parametrize(
    ("charges", "total", "expected"),
    [
        ([charge("a", "committed", 3), charge("a", "on_demand", 4), charge("a", "total", 7)], 7, ["3", "4"]),
        ([charge("a", "total", 7), charge("b", "on_demand", 1)], 8, ["7", "1"]),
        (
            [charge("a", "on_demand", Decimal("1.1")), charge("b", "on_demand", 2)],
            Decimal("3.1000000001"),
            ["1.1", "2"],
        ),
        ([charge("a", "on_demand", 1)], Decimal("1.50"), ["1", "0.5"]),
        ([charge("a", None, 1)], None, ["1"]),
        (None, 12, ["12"]),
    ],
)
async def test_totals_count_where_nothing_else_tells(
    charges: Sequence[Any] | None, total: object, expected: Sequence[str]
) -> None:
    """A total counts where it stands alone; what an organisation's total has beyond its charges is one more line."""
    found = await read(Vendor(closed=CLOSED, rows=[row(FIRST, charges, total_cost=total)]), APRIL)
    assert [f"{each.billed_cost:f}" for each in found] == expected


async def test_a_month_that_falls_is_given_back() -> None:
    """Where a day's figure is lower than the day before, or a product is told no more, the day is negative."""
    rows = [
        row(FIRST, [charge("a", "on_demand", 5), charge("b", "on_demand", 2)]),
        row(FIRST + DAY, [charge("a", "on_demand", 4)]),
    ]
    found = await read(Vendor(rows=rows))

    assert [(each.charge_period_start.day, each.sku_id, each.billed_cost) for each in found] == [
        (1, "a", Decimal(5)),
        (1, "b", Decimal(2)),
        (2, "a", Decimal(-1)),
        (2, "b", Decimal(-2)),
    ]
    assert {each.charge_category for each in found} == {"Usage"}


async def test_a_day_that_is_not_told_is_part_of_the_next() -> None:
    """Days that are late cost nothing yet, and nothing is lost: the next day that is told has what they added."""
    spent = [Spent(FIRST + number * DAY, Decimal(1)) for number in range(5)]
    found = await read(Vendor(spent, silent=frozenset({FIRST + DAY, FIRST + 2 * DAY})))

    assert [(each.charge_period_start.day, f"{each.billed_cost:f}") for each in found] == [
        (1, "1"),
        (4, "3"),
        (5, "1"),
    ]


async def test_today_is_not_judged() -> None:
    """The day that runs is never told, whatever the answer holds, and its first of a month asks for nothing."""
    vendor = Vendor([Spent(date(2026, 3, 20), Decimal(7)), Spent(date(2026, 3, 19), Decimal(1))])
    assert [each.billed_cost for each in await read(vendor)] == [1]

    vendor.asked.clear()
    assert await read(vendor, datetime(2026, 4, 1, 5, tzinfo=UTC), date(2026, 4, 1)) == []
    assert vendor.asked == []


async def test_months_before_the_account_hold_nothing() -> None:
    """A month that is neither closed nor estimated any more is empty, and takes one call."""
    vendor = Vendor([Spent(date(2026, 3, 2), Decimal(1))])
    assert await read(vendor, first=date(2026, 1, 1)) == []
    assert [request.path for request in vendor.asked] == [HISTORICAL]


async def test_one_organisation_told_twice_is_refused() -> None:
    """Two rows of one organisation and day cannot both be the growing month: nothing of it is stored."""
    rows = [row(FIRST, [charge("a", "on_demand", 5)])] * 2
    with pytest.raises(Bug, match="twice"):
        await read(Vendor(rows=rows))


@pytest.mark.parametrize(
    "wrong",
    [
        {"charges": [charge("a", "on_demand", None)]},
        {"charges": [charge("a", "on_demand", "much")]},
        {"charges": None},
        {"date": "2026-03"},
    ],
)
async def test_rows_that_cannot_be_counted_stop_their_month(wrong: Mapping[str, Any]) -> None:
    """A row without amounts, or of no day, fails the month."""
    with pytest.raises(Bug):
        await read(Vendor(rows=[row(FIRST, **{"charges": [charge("a", "on_demand", 1)], **wrong})]))


async def test_windows_are_whole_months() -> None:
    """What is due is read by whole months, newest first; the open one ends with tonight."""
    async with talking(Vendor()) as connector:
        due = [Span.of_days(date(2026, 2, 27), date(2026, 3, 2)), Span.of_days(date(2026, 3, 19), date(2026, 3, 21))]
        windows = await connector.windows(due, Span.of_days(date(2026, 1, 1), date(2026, 3, 21)))
    assert windows == [
        Window(Span.of_days(date(2026, 3, 1), date(2026, 3, 21))),
        Window(Span.of_days(date(2026, 2, 1), date(2026, 3, 1))),
    ]


async def test_a_rate_limit_is_waited_for_as_it_says() -> None:
    """Datadog tells in X-RateLimit-Reset, in seconds, when to come back."""
    waits: list[float] = []
    limit = {"X-RateLimit-Limit": "10", "X-RateLimit-Period": "30", "X-RateLimit-Remaining": "0"}
    async with ScriptedServer() as server:
        Vendor([Spent(FIRST, Decimal(1))]).open(server)
        server.fail(Reply.json({"errors": ["Rate limited"]}, 429, {**limit, "X-RateLimit-Reset": "17"}), times=1)
        async with talk.talking(Datadog, server, KEYS, MARCH, {"baseURL": server.url}, waits) as connector:
            assert len(await talk.read_days(connector, FIRST, FIRST + DAY)) == 1
    assert [17 <= wait < 18 for wait in waits] == [True]


async def check(
    keys: Mapping[str, str] = KEYS, routes: Mapping[str, Reply] | None = None, vendor: Vendor | None = None
) -> Account | ReconcilerError:
    async with talking(vendor or Vendor([Spent(FIRST, Decimal(1))]), keys=keys, routes=routes) as connector:
        return await talk.checked(connector)


async def test_good_keys_name_their_account() -> None:
    """`check` tells the account, and nothing where there is no cost yet that names it."""
    assert await check() == Account("acc_1", "Acme")
    assert await check(vendor=Vendor()) == Account()
    bare = row(FIRST, [], account_public_id=None)
    assert await check(vendor=Vendor(rows=[bare])) == Account("one", "Acme")


CHILD = refusal(400, "API called with non-parent org keys. Data is only available at the root level org")


@pytest.mark.parametrize(
    ("keys", "routes", "reason", "words"),
    [
        ({**KEYS, "apiKey": "another-0123"}, {}, "Forbidden", "does not know the API key.*datadog.baseURL"),
        ({**KEYS, "applicationKey": "another-0123"}, {}, "Forbidden", "refuses the application key.*billing_read"),
        (KEYS, {VALIDATE: Reply.json({"valid": False})}, "Unauthorized", "does not know the API key"),
        (KEYS, {ESTIMATED: refusal(401, "Unauthorized")}, "Unauthorized", "refuses the application key"),
        (KEYS, {ESTIMATED: CHILD}, "Forbidden", "child organisation.*root level org"),
        (KEYS, {ESTIMATED: refusal(404, "Not found")}, "NotFound", "datadog.baseURL"),
        (KEYS, {ESTIMATED: refusal(400, "odd")}, "BadRequest", "odd"),
        (KEYS, {ESTIMATED: Reply(status=403, body=b"blocked by proxy")}, "Forbidden", "blocked by proxy"),
    ],
)
async def test_refusals_say_what_to_do(
    keys: Mapping[str, str], routes: Mapping[str, Reply], reason: str, words: str
) -> None:
    """A wrong API key, a wrong application key, a missing permission and a child's keys are told apart."""
    async with talking(Vendor(), keys=keys, routes=routes) as connector:
        with pytest.raises(NeedsPerson, match=words) as caught:
            await connector.check()

    assert caught.value.reason == reason
    assert "docs/connectors/datadog.md" in str(caught.value)
    assert not any(key in str(caught.value) for key in keys.values())


async def test_refusals_of_a_sync_name_both_keys() -> None:
    """While costs are read, a refusal may be about either key, and says so."""
    async with talking(Vendor(), keys={**KEYS, "apiKey": "another-0123"}) as connector:
        with pytest.raises(NeedsPerson, match="refuses the two keys"):
            await talk.read_days(connector, FIRST, FIRST + DAY)
