"""The Railway connector against a GraphQL server that answers what was used between two moments."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, midnight
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.railway import Railway, RailwaySettings
from reconciler.connectors.scripted import Reply, ScriptedServer, dump
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors import talk
from tests.integration.connectors.railway_vendor import KEY, WORKSPACE, Used, Vendor, errors, invoice, period

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 5)
OPEN = Span.of_days(FIRST, date(2026, 3, 21))
CLOSED = Span.of_days(date(2026, 2, 5), FIRST)


@asynccontextmanager
async def talking(
    vendor: Vendor, key: str = KEY, fault: Reply | None = None, now: datetime = NOW, **block: Any
) -> AsyncIterator[Railway]:
    async with ScriptedServer() as server:
        vendor.open(server)
        if fault is not None:
            server.fail(fault)
        settings = {"baseURL": server.url, "workspaceID": WORKSPACE, **block}
        async with talk.talking(Railway, server, {"apiKey": key}, now, settings) as connector:
            yield connector


async def read(vendor: Vendor, span: Span = OPEN, **given: Any) -> list[Charge]:
    """The charges of every window that the connector names for `span`."""
    async with talking(vendor, **given) as connector:
        windows = await connector.windows([span], span)
        return [charge for window in windows async for batch in connector.charges(window) for charge in batch]


class TestRailway(ConnectorConformance):
    """What every connector has to do, over two billing periods; egress has the price with the fewest digits."""

    connector = Railway
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    credits = False
    duplicates = False
    paged = False

    def settings(self, base_url: str) -> RailwaySettings:
        return RailwaySettings(base_url=base_url, workspace_id=WORKSPACE)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        used = [Used(line.day, line.amount * 20, project=line.project, service=line.item) for line in lines]
        Vendor(used).open(server)


MONTHLY: Mapping[str, Fraction] = {
    "CPU_USAGE": Fraction(20),
    "MEMORY_USAGE_GB": Fraction(10),
    "DISK_USAGE_GB": Fraction("0.15"),
    "BACKUP_USAGE_GB": Fraction("0.15"),
}
"""Dollars for a month of one, by the price list that ships."""
VALUES = st.decimals(0, 10**6, allow_nan=False, places=4) | st.sampled_from([Decimal("1E-9"), Decimal("0.0"), 7])
USES = st.builds(
    Used,
    st.integers(0, 15).map(lambda day: FIRST + day * DAY),
    VALUES,
    st.sampled_from([*MONTHLY, "NETWORK_TX_GB"]),
    st.sampled_from(["one", "two", None]),
    st.sampled_from(["web", "gone", None]),
)


def cost(each: Used) -> Fraction:
    """By the documented formula: a month has 43,200 minutes, and egress is 0.05 a GB."""
    value = Fraction(json.loads(dump(each.value), parse_float=Decimal))
    return value * Fraction("0.05") if each.measure == "NETWORK_TX_GB" else value * MONTHLY[each.measure] / 43200


@hypothesis.settings(max_examples=50, deadline=None)
@given(used=st.lists(USES, max_size=12), plan=st.sampled_from([None, "FREE", "HOBBY", "PRO"]))
async def test_a_period_costs_its_usage_or_its_fee(used: list[Used], plan: str | None) -> None:
    """Usage is priced exactly; with the fee and what it includes, a period costs the larger of the two."""
    found = await read(Vendor(used, plan))

    usage = [charge for charge in found if charge.charge_category == "Usage"]
    assert len(usage) == len(used)
    expected = sum(map(cost, used), Fraction(0))
    near = Fraction(len(used), 10**20)
    assert abs(sum(Fraction(charge.billed_cost or 0) for charge in usage) - expected) <= near
    fee = {"HOBBY": 5, "PRO": 20}.get(plan or "", 0)
    whole = sum(Fraction(charge.billed_cost or 0) for charge in found)
    assert abs(whole - max(expected, Fraction(fee))) <= near


async def test_usage_keeps_what_it_is_for() -> None:
    """Project and service with their names, quantity, unit and price list of a day's use arrive."""
    (found,) = await read(Vendor([Used(FIRST, Decimal("21600.0"), "MEMORY_USAGE_GB")]))

    assert found == Charge(
        charge_period_start=midnight(FIRST),
        charge_period_end=midnight(FIRST) + DAY,
        billing_currency="USD",
        billed_cost=Decimal(5),
        x_origin="estimate",
        service_name="Railway",
        service_provider_name="Railway",
        charge_frequency="Usage-Based",
        charge_description="Memory",
        service_category="Compute",
        billing_account_id=WORKSPACE,
        sub_account_id="one",
        sub_account_name="Shop",
        resource_id="web",
        resource_name="api",
        region_id="us-west2",
        sku_id="memory",
        consumed_quantity=Decimal(21600),
        consumed_unit="GB-Minutes",
        pricing_quantity=Decimal("0.5"),
        pricing_unit="GB-Months",
        extra={
            "x_environment_id": "env",
            "x_environment": "production",
            "ListUnitPrice": "10",
            "x_price_list_date": "2026-08-21",
            "x_price_list": "https://docs.railway.com/pricing/plans",
        },
    )


async def test_the_example_of_the_documentation_comes_out() -> None:
    """1,296.4 vCPU-minutes, 21,600 GB-minutes and 12.8 GB of egress are 6.24 dollars."""
    values = {"CPU_USAGE": Decimal("1296.4"), "MEMORY_USAGE_GB": Decimal(21600), "NETWORK_TX_GB": Decimal("12.8")}
    found = await read(Vendor([Used(FIRST, value, measure) for measure, value in values.items()]))
    assert round(sum(charge.billed_cost or Decimal(0) for charge in found), 2) == Decimal("6.24")


async def test_what_has_no_name_keeps_its_id() -> None:
    """A deleted service without a name, and use without a service, are counted all the same."""
    gone = Used(FIRST, 1, service="gone")
    alone = Used(FIRST, 1, project="other", service=None)
    found = await read(Vendor([gone, alone], names={"one": "Shop", "gone": None}))

    assert [(each.sub_account_name, each.resource_id, each.resource_name) for each in found] == [
        ("Shop", "gone", None),
        (None, None, None),
    ]


async def test_the_fee_includes_usage_until_it_is_used_up() -> None:
    """What the plan includes is taken off day by day; the fee itself stands on the period's first day, to its end."""
    used = [Used(FIRST + number * DAY, 60) for number in range(3)]
    found = await read(Vendor(used, "HOBBY"))

    told = [f"{each.charge_period_start:%d} {each.charge_category} {each.billed_cost}" for each in found]
    assert told == [
        "05 Usage 3",
        "06 Usage 3",
        "07 Usage 3",
        "05 Purchase 5",
        "05 Credit -3",
        "06 Credit -2",
    ]
    fee = found[3]
    assert (fee.charge_period_end, fee.sku_id) == (datetime(2026, 4, 5, tzinfo=UTC), "plan_hobby")
    assert fee.charge_description == "Hobby plan, monthly fee"


async def test_a_declared_plan_goes_before_the_one_that_railway_names() -> None:
    """The Provider's own plan and prices decide; usage in another currency than the fee is not included in it."""
    plan = {"name": "Pro, two seats", "amount": "40.00", "currency": "EUR"}
    found = await read(Vendor([Used(FIRST, 60)], "PRO"), plan=plan)

    assert [f"{each.billed_cost:f} {each.billing_currency}" for each in found] == ["3 USD", "40 EUR"]
    assert found[1].charge_period_start == midnight(FIRST)

    items = [{"sku": "egress", "unit": "GB", "amount": "0.10", "currency": "USD"}]
    (own,) = await read(Vendor([Used(FIRST, 60)]), prices={"asOf": "2026-01-01", "items": items})
    assert own.billed_cost == 6


async def test_a_plan_without_a_known_fee_is_unpriced() -> None:
    """The fee of an Enterprise plan is a line without a price: unknown, and not zero."""
    (found,) = await read(Vendor(plan="ENTERPRISE"))
    assert (found.billed_cost, found.sku_id) == (None, "plan_enterprise")


JANUARY = date(2026, 1, 5)


@pytest.mark.parametrize(("unit", "total"), [("Cents", 3150), ("Dollars", 31)])
async def test_invoices_close_the_difference(unit: str, total: int) -> None:
    """A period that is over adds up to its invoices, once somebody said what unit they are in; others do not count."""
    told = [
        invoice("in_2", total, CLOSED.start.date(), FIRST),
        invoice("in_3", 99, CLOSED.start.date(), CLOSED.start.date()),
        invoice("in_4", 99, CLOSED.start.date(), FIRST, "void"),
        invoice("in_1", 99, JANUARY, CLOSED.start.date()),
        invoice("in_5", 99, FIRST, date(2026, 4, 5)),
    ]
    vendor = Vendor([Used(date(2026, 2, 10), 60), Used(FIRST, 60)], "HOBBY", invoices=told)
    closed = [each for each in await read(vendor, CLOSED, invoices=unit) if each.charge_period_start < midnight(FIRST)]

    exact = Fraction(total, 100) if unit == "Cents" else Fraction(total)
    assert sum(Fraction(charge.billed_cost or 0) for charge in closed) == exact
    (last,) = [each for each in closed if each.charge_category == "Adjustment"]
    assert last.extra == {"InvoiceId": "in_2"}

    assert not [each for each in await read(vendor, OPEN, invoices=unit) if each.charge_category == "Adjustment"]
    assert not [each for each in await read(vendor, CLOSED) if each.charge_category == "Adjustment"]


@pytest.mark.parametrize(
    ("billing", "span", "expected"),
    [
        (period(FIRST, date(2026, 4, 5)), OPEN, ["2026-03-05 2026-03-21"]),
        (period(FIRST, date(2026, 4, 5)), Span.of_days(date(2026, 3, 4), FIRST), ["2026-02-05 2026-03-05"]),
        (
            period(date(2026, 2, 28), date(2026, 3, 31)),
            Span.of_days(date(2025, 12, 31), date(2026, 3, 1)),
            ["2026-02-28 2026-03-21", "2026-01-31 2026-02-28", "2025-12-31 2026-01-31"],
        ),
        (None, Span.of_days(date(2025, 1, 1), date(2026, 3, 21)), ["2026-03-01", "2026-02-01", "2026-01-01"]),
    ],
    ids=["open", "before", "short", "calendar"],
)
async def test_windows_are_whole_billing_periods(
    billing: Mapping[str, str] | None, span: Span, expected: Sequence[str]
) -> None:
    """Periods begin on the subscription's day, newest first, the open one until tonight, none beyond 90 days."""
    async with talking(Vendor(billing=billing)) as connector:
        windows = await connector.windows([span], span)

    told = [f"{window.start:%Y-%m-%d} {window.end:%Y-%m-%d}" for window in windows]
    assert [each[: len(wanted)] for each, wanted in zip(told, expected, strict=True)] == list(expected)


async def test_days_are_asked_for_in_few_questions() -> None:
    """A period is asked for by days, eight at a time, the last of them until now; a month costs few calls."""
    vendor = Vendor([Used(FIRST, 1)])
    await read(vendor, Span(CLOSED.start, OPEN.end))

    asked = [each["variables"] for each in vendor.asked if "start0" in each["variables"]]
    assert [sum(name.startswith("start") for name in each) for each in asked] == [8, 8, 8, 8, 8, 4]
    assert asked[1]["end7"] == "2026-03-20T12:00:00.000Z"
    starts = [moment for each in asked for name, moment in each.items() if name.startswith("start")]
    assert len(set(starts)) == len(starts)
    assert len(vendor.asked) == 8


async def test_a_period_that_begins_at_midnight_asks_for_no_empty_stretch() -> None:
    """At the first moment of a day nothing of it can have been used, and nothing is asked."""
    vendor = Vendor(billing=period(date(2026, 3, 20), date(2026, 4, 20)))
    assert await read(vendor, Span.of_days(date(2026, 3, 20), date(2026, 3, 21)), now=midnight(date(2026, 3, 20))) == []
    assert len(vendor.asked) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"Workspace": None},
        {"Workspace": {"workspace": {"id": WORKSPACE, "customer": {"billingPeriod": {"start": "March"}}}}},
        {"Usage": None},
        {"Usage": {f"day{number}": [] for number in range(7)}},
        {"Usage": {f"day{number}": [{"measurement": "CPU_USAGE", "tags": {}}] for number in range(8)}},
        {"Usage": {f"day{number}": [{"measurement": "LIGHT", "value": 1, "tags": {}}] for number in range(8)}},
        {"Names": {"projects": None}},
        {"Invoices": {"workspace": {"customer": {"invoices": [{"total": 1}]}}}},
    ],
    ids=["none", "period", "unused", "days", "bare", "measure", "names", "invoice"],
)
async def test_answers_that_are_none_are_not_stored(wrong: Mapping[str, Any]) -> None:
    """What cannot be counted fails the period, and is never skipped."""
    vendor = Vendor([Used(FIRST - DAY, 1)], instead=wrong)
    with pytest.raises(Bug):
        await read(vendor, CLOSED, invoices="Cents")


@pytest.mark.parametrize("wrong", [None, {"workspace": {"customer": {"invoices": [{"total": 1}]}}}])
async def test_invoices_that_are_ignored_need_not_be_readable(wrong: object) -> None:
    """Where invoices are not used, those that cannot be read are no reason to refuse a token."""
    vendor = Vendor(instead={"Invoices": wrong})
    async with talking(vendor) as connector:
        assert (await connector.check()).notes == ()
    async with talking(vendor, invoices="Cents") as connector:
        with pytest.raises(Bug):
            await connector.check()


async def test_check_names_the_workspace_and_shows_an_invoice() -> None:
    """`check` shows the newest invoice's total as it is told, for a person to compare; without invoices nothing."""
    told = [invoice("in_2", 3150, CLOSED.start.date(), FIRST), invoice("in_1", 99, JANUARY, CLOSED.start.date())]
    async with talking(Vendor(invoices=told)) as connector:
        account = await connector.check()
    assert account == Account(WORKSPACE, "Acme", ("Railway tells invoice in_2 with the total 3150.",))

    async with talking(Vendor()) as connector:
        assert await connector.check() == Account(WORKSPACE, "Acme")


@pytest.mark.parametrize(
    ("key", "fault", "block", "kind", "reason", "words"),
    [
        ("another-token-01234", None, {}, NeedsPerson, "Unauthorized", "mistyped.*workspace token.*railway.md"),
        (KEY, None, {"workspaceID": "other"}, NeedsPerson, "Unauthorized", "railway.workspaceID.*Not Authorized"),
        (KEY, errors("Workspace not found"), {}, NeedsPerson, "NotFound", "railway.workspaceID"),
        (KEY, Reply.json({"data": {"workspace": None}}), {}, NeedsPerson, "NotFound", "railway.md"),
        (KEY, errors("Problem processing request"), {}, RetryLater, "VendorUnavailable", "Problem processing"),
        (
            KEY,
            Reply.json({"errors": [{"message": "Cannot query field"}]}, 400),
            {},
            NeedsPerson,
            "BadRequest",
            "Cannot query field",
        ),
        (KEY, Reply(status=403, body=b"edge"), {}, NeedsPerson, "Forbidden", "workspace token.*edge"),
        (KEY, Reply(status=404, body=b"nothing"), {}, NeedsPerson, "NotFound", "railway.baseURL"),
    ],
    ids=["bad", "other", "gone", "null", "passing", "schema", "edge", "address"],
)
async def test_refusals_say_what_to_do(
    key: str, fault: Reply | None, block: Mapping[str, Any], kind: type[ReconcilerError], reason: str, words: str
) -> None:
    """A refused token and a passing fault, which come with the same code, are told apart, as is a wrong workspace."""
    async with talking(Vendor(), key, fault, **block) as connector:
        with pytest.raises(kind, match=words) as caught:
            await connector.check()

    assert caught.value.reason == reason
    assert key not in str(caught.value)
