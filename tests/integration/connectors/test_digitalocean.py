"""The DigitalOcean connector against a server with invoices, summaries and insights: estimates, then restated."""

from __future__ import annotations

import json
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
from reconciler.connectors.digitalocean import DigitalOcean, DigitalOceanSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer, dump
from reconciler.errors import Bug, NeedsPerson
from tests.integration.connectors import talk
from tests.integration.connectors.digitalocean_vendor import (
    INVOICES,
    KEY,
    URN,
    Made,
    Vendor,
    item,
    owner,
    point,
    refusal,
    summary,
)

MARCH = datetime(2026, 3, 20, 12, tzinfo=UTC)
APRIL = datetime(2026, 4, 5, 12, tzinfo=UTC)
FIRST = date(2026, 3, 1)
MONTH = Window(Span.of_days(FIRST, date(2026, 4, 1)))


@asynccontextmanager
async def talking(
    vendor: Vendor, now: datetime = APRIL, key: str = KEY, routes: Mapping[str, Reply] | None = None, **block: Any
) -> AsyncIterator[DigitalOcean]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _always(reply))
        settings = {"baseURL": server.url, **block}
        async with talk.talking(DigitalOcean, server, {"apiKey": key}, now, settings) as connector:
            yield connector


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, now: datetime = APRIL, window: Window = MONTH, **given: Any) -> list[Charge]:
    async with talking(vendor, now, **given) as connector:
        return [charge async for batch in connector.charges(window) for charge in batch]


class Both(ConnectorConformance):
    """What estimates and invoices have in common."""

    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}

    def settings(self, base_url: str) -> DigitalOceanSettings:
        return DigitalOceanSettings(base_url=base_url)


class TestInvoices(Both):
    """What every connector has to do, done with a month that has its invoice, among others."""

    connector = DigitalOcean
    now = APRIL

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        items = [self._item(line) for line in lines]
        total = sum((line.amount for line in lines), Decimal(0))
        others = [Made(f"2025-{month:02}") for month in range(8, 13)]
        Vendor([*others, Made("2026-03", items, summary(str(total)))], most=self.per_page).open(server)

    def _item(self, line: Line) -> Mapping[str, Any]:
        times = {"start_time": f"{line.day}T00:00:00Z", "end_time": f"{line.day + DAY}T00:00:00Z"}
        return item(str(line.amount), line.item, project_name=line.project, **times)


class Estimating(DigitalOcean):
    """The same connector, said to give what it gives of a month without an invoice."""

    traits: ClassVar[Traits] = replace(DigitalOcean.traits, origin="estimate")


class TestEstimates(Both):
    """What every connector has to do, done with a month that has no invoice yet."""

    connector = Estimating
    now = MARCH

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        points = [point(line.day, str(line.amount), sku=line.item, description=line.project) for line in lines]
        Vendor([Made("2026-02")], points, self.per_page).open(server)


AMOUNTS = st.decimals(-(10**9), 10**9, allow_nan=False, places=2) | st.decimals(-1, 1, allow_nan=False, places=20)
ITEMS = st.builds(
    lambda amount, product, project, start: item(str(amount), product, project_name=project, start_time=start),
    AMOUNTS,
    st.sampled_from(["Droplets", "Taxes", "Spaces", None, ""]),
    st.sampled_from([None, "web", ""]),
    st.sampled_from([None, "", "2026-02-10T00:00:00Z", "2026-03-10T05:00:00Z", "2026-04-01T00:00:00Z"]),
)


@hypothesis.settings(max_examples=50, deadline=None)
@given(
    items=st.lists(ITEMS, max_size=10),
    parts=st.dictionaries(st.sampled_from(["taxes", "credits_and_adjustments", "overages"]), AMOUNTS),
    counted=st.booleans(),
    odd=AMOUNTS | st.just(Decimal(0)),
    most=st.integers(1, 11),
)
async def test_a_month_is_its_invoice(
    items: list[Any], parts: dict[str, Decimal], counted: bool, odd: Decimal, most: int
) -> None:
    """A month's charges hold every item and add up to the invoice's amount, to the last digit, whatever it itemises."""
    amounts = [Fraction(each["amount"]) for each in json.loads(dump(items))]
    told = {name: str(part) for name, part in parts.items()}
    extra = sum((Fraction(part) for part in told.values()), Fraction(0)) if counted else Fraction(0)
    total = sum(amounts, Fraction(odd)) + extra
    exact = Decimal(total.numerator * 10**20 // total.denominator).scaleb(-20)
    found = await read(Vendor([Made("2026-03", items, summary(f"{exact:f}", **told))], most=most))

    assert sum(Fraction(charge.billed_cost or 0) for charge in found) == Fraction(f"{exact:f}")
    assert sorted(Fraction(charge.billed_cost or 0) for charge in found[: len(items)]) == sorted(amounts)
    assert all(MONTH.start <= charge.charge_period_start < charge.charge_period_end <= MONTH.end for charge in found)


@hypothesis.settings(max_examples=40, deadline=None)
@given(
    days=st.lists(st.tuples(st.integers(0, 45), AMOUNTS), max_size=20),
    inclusive=st.booleans(),
    most=st.integers(1, 9),
)
async def test_days_are_their_estimates(days: list[tuple[int, Decimal]], inclusive: bool, most: int) -> None:
    """Each day's charges add up to its points, once, whether or not the end of a range asked for is part of it."""
    points = [point(FIRST + day * DAY, str(amount)) for day, amount in days]
    expected: dict[date, Fraction] = defaultdict(Fraction)
    for each in json.loads(dump(points)):
        expected[date.fromisoformat(each["start_date"])] += Fraction(each["total_amount"])
    sums: dict[date, Fraction] = defaultdict(Fraction)
    for charge in await read(Vendor(points=points, most=most, inclusive=inclusive)):
        assert charge.x_origin == "estimate"
        sums[charge.charge_period_start.date()] += Fraction(charge.billed_cost or 0)

    assert dict(sums) == {day: total for day, total in expected.items() if day < date(2026, 4, 1)}


async def test_the_invoice_takes_the_place_of_the_estimates() -> None:
    """A month is estimated by days until its invoice is listed, and is then the invoice and nothing else."""
    vendor = Vendor(points=[point(FIRST + number * DAY, "2.57") for number in range(31)])
    before = await read(vendor)
    vendor.made = [Made("2026-03", [item("74.4", project_name="web")], summary("80", taxes="5.6"))]
    after = await read(vendor)

    assert (len(before), {charge.x_origin for charge in before}) == (31, {"estimate"})
    assert [(charge.billed_cost, charge.x_origin) for charge in after] == [
        (Decimal("74.4"), "api"),
        (Decimal("5.6"), "api"),
    ]


@pytest.mark.parametrize(
    ("items", "told", "found"),
    [
        ([item("10")], summary("10"), [("10", "Droplets", "Usage")]),
        ([item("10")], summary("12", taxes="2"), [("10", "Droplets", "Usage"), ("2", "Taxes", "Tax")]),
        (
            [item("10"), item("2", "Taxes")],
            summary("12", taxes="2"),
            [("10", "Droplets", "Usage"), ("2", "Taxes", "Tax")],
        ),
        (
            [item("10"), item("2", "Taxes")],
            summary("0", taxes="2", credits_and_adjustments="-12"),
            [("10", "Droplets", "Usage"), ("2", "Taxes", "Tax"), ("-12", "Credits and adjustments", "Credit")],
        ),
        (
            [item("12.34")],
            summary("27.13", taxes="4.56", credits_and_adjustments="6.78", overages="3.45"),
            [
                ("12.34", "Droplets", "Usage"),
                ("6.78", "Credits and adjustments", "Adjustment"),
                ("4.56", "Taxes", "Tax"),
                ("3.45", "Overages", "Usage"),
            ],
        ),
        (
            [item("10"), item("-3", "Credits")],
            summary("6.99", taxes="2"),
            [
                ("10", "Droplets", "Usage"),
                ("-3", "Credits", "Credit"),
                ("-0.01", "Not itemised in the invoice", "Adjustment"),
            ],
        ),
    ],
)
async def test_what_only_the_summary_has_is_a_line(
    items: Sequence[Any], told: Mapping[str, Any], found: Sequence[tuple[str, str, str]]
) -> None:
    """Taxes, credits and overages count once, from the items or from the summary, each with its sign."""
    charges = await read(Vendor([Made("2026-03", items, told)]))

    assert [(f"{each.billed_cost:f}", each.service_name, each.charge_category) for each in charges] == found


async def test_items_keep_what_they_say() -> None:
    """Project, product, resource, quantity and the real times of an item arrive, and absent fields are absent."""
    full = item(
        "12.34",
        "Kubernetes Clusters",
        resource_uuid="711157cb",
        group_description="my-doks-cluster",
        description="a56e086a",
        project_name="web",
        category="iaas",
        start_time="2026-02-28T23:00:00Z",
    )
    bare = {"amount": "1", "product": "Spaces", "duration": "a month", "resource_id": "77"}
    found, other = await read(Vendor([Made("2026-03", [full, bare], summary("13.34"))]))

    assert (found.sub_account_id, found.sub_account_name, found.billing_account_id) == ("web", "web", URN)
    assert (found.resource_id, found.resource_name) == ("711157cb", "my-doks-cluster")
    assert (found.charge_description, found.service_name) == ("a56e086a", "Kubernetes Clusters")
    assert (found.consumed_quantity, found.consumed_unit) == (Decimal(744), "Hours")
    assert (found.charge_period_start, found.charge_period_end) == (MONTH.start, MONTH.end)
    assert found.extra == {
        "InvoiceId": "uuid-0",
        "x_category": "iaas",
        "x_start_time": "2026-02-28T23:00:00Z",
        "x_end_time": "2026-04-01T00:00:00Z",
    }
    assert (other.resource_id, other.consumed_quantity, other.sub_account_id) == ("77", None, None)


async def test_points_keep_what_they_say() -> None:
    """SKU, region, group and team of a day's estimate arrive; a negative one is a correction and stays usage."""
    found, less = await read(Vendor(points=[point(FIRST, "2.57"), point(FIRST, "-0.5", usage_team_urn=None)]))

    assert (found.sku_id, found.region_id, found.resource_name) == ("1-KS-K8SWN-00109", "nyc3", "my-doks")
    assert (found.billing_account_id, found.charge_description) == (URN, "3 nodes - 4 GB")
    assert (less.billed_cost, less.charge_category, less.billing_account_id) == (Decimal("-0.5"), "Usage", URN)


async def test_all_invoices_of_a_month_count() -> None:
    """A month that was billed by several invoices is all of them, and those of other months are not read."""
    made = [Made(period, [item("1")], summary("1")) for period in ("2026-03", "2026-02", "2026-03")]
    vendor = Vendor(made)
    found = await read(vendor)

    assert [(charge.extra or {})["InvoiceId"] for charge in found] == ["uuid-0", "uuid-2"]
    assert not any("uuid-1" in request.path or "insights" in request.path for request in vendor.asked)


@pytest.mark.parametrize(
    ("now", "due", "expected"),
    [
        (MARCH, [Span.of_days(date(2026, 3, 19), date(2026, 3, 21))], [("2026-03-01", "2026-03-21")]),
        (
            APRIL,
            [Span.of_days(date(2026, 2, 27), date(2026, 3, 2)), Span.of_days(date(2026, 4, 4), date(2026, 4, 6))],
            [("2026-04-01", "2026-04-06"), ("2026-03-01", "2026-04-01"), ("2026-02-01", "2026-03-01")],
        ),
        (MARCH, [], []),
    ],
)
async def test_windows_are_whole_months(
    now: datetime, due: Sequence[Span], expected: Sequence[tuple[str, str]]
) -> None:
    """What is due is read by whole months, newest first; the open one ends with today."""
    async with talking(Vendor(), now) as connector:
        windows = await connector.windows(due, Span.of_days(date(2026, 1, 1), date(2026, 5, 1)))

    assert [(f"{window.start:%Y-%m-%d}", f"{window.end:%Y-%m-%d}") for window in windows] == expected


async def test_the_first_of_a_month_asks_for_no_insights() -> None:
    """Estimates are made at night: of a month that began today there are none to ask for."""
    today = datetime(2026, 4, 1, 3, tzinfo=UTC)
    vendor = Vendor()
    assert await read(vendor, today, Window(Span.of_days(today.date(), today.date() + DAY))) == []
    assert [request.path for request in vendor.asked] == [INVOICES]


async def test_months_before_insights_and_without_invoice_cost_nothing() -> None:
    """Months without an invoice that are older than insights, or than the account, hold nothing, and are no error."""
    november = Window(Span.of_days(date(2025, 11, 1), date(2025, 12, 1)))
    vendor = Vendor(since=date(2026, 3, 20), points=[point(date(2026, 3, 25), "1")])

    assert await read(vendor, window=november) == []
    assert [charge.billed_cost for charge in await read(vendor)] == [1]


async def test_the_open_month_needs_its_insights() -> None:
    """In the open month, insights that are not found are a wrong team, and no month without costs."""
    window = Window(Span.of_days(FIRST, date(2026, 3, 21)))
    with pytest.raises(NeedsPerson, match="teamURN"):
        await read(Vendor(), MARCH, window, teamURN="do:team:other")


async def test_a_list_that_lacks_rows_is_not_counted() -> None:
    """Where pages hold fewer rows than the list says it has, the month is not stored: nothing passes as a rest."""
    routes = {f"{INVOICES}/uuid-0": Reply.json({"invoice_items": [item("1")], "links": {}, "meta": {"total": 2}})}
    with pytest.raises(Bug, match="2 rows"):
        await read(Vendor([Made("2026-03", (), summary("5"))]), routes=routes)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (INVOICES, {"invoices": [{"invoice_uuid": "a", "invoice_period": "March"}]}),
        (INVOICES, {"invoices": [{"invoice_uuid": "a", "invoice_period": "2026-03"}] * 2}),
        (INVOICES, {"invoices": [], "links": {"pages": {"next": "https://api.digitalocean.com/v2/more"}}}),
        (f"{INVOICES}/uuid-0", {"invoice_items": [{"product": "Droplets"}]}),
        (f"{INVOICES}/uuid-0", {"invoice_items": [item("much")]}),
        (f"{INVOICES}/uuid-0/summary", {"billing_period": "2026-03"}),
    ],
)
async def test_bills_that_are_none_stop_their_month(path: str, answer: Mapping[str, Any]) -> None:
    """A bill that cannot be counted fails the month, and is never skipped."""
    with pytest.raises(Bug):
        await read(Vendor([Made("2026-03", [item("1")], summary("1"))]), routes={path: Reply.json(answer)})


@pytest.mark.parametrize("wrong", [{"total_amount": None}, {"start_date": "2026-02-27"}, {"start_date": "2026-03-30"}])
async def test_points_that_are_none_stop_their_month(wrong: Mapping[str, Any]) -> None:
    """An estimate without an amount, or of days that were not asked for, fails the month."""
    answer = {"data_points": [{**point(FIRST, "1"), **wrong}], "total_items": 1, "total_pages": 1, "current_page": 1}
    routes = {f"/v2/billing/{URN}/insights/2026-03-01/2026-03-17": Reply.json(answer)}
    with pytest.raises(Bug):
        await read(Vendor(), routes=routes)


async def test_a_good_token_names_its_team() -> None:
    """`check` tells the token's team, and asks three questions."""
    vendor = Vendor()
    async with talking(vendor) as connector:
        assert await connector.check() == Account(URN, "Acme")
    assert len(vendor.asked) == 3


async def test_a_named_team_needs_no_account() -> None:
    """With the team in the settings the account is not asked for, and invoices are read without the scope for it."""
    vendor = Vendor(account=refusal(403, "forbidden", "no"))
    async with talking(vendor, teamURN=URN) as connector:
        assert await connector.check() == Account(URN)
    assert "/v2/account" not in {request.path for request in vendor.asked}

    (charge,) = await read(replace(vendor, made=[Made("2026-03", [item("1")], summary("1"))]))
    assert charge.billing_account_id is None


FORBIDDEN = refusal(403, "forbidden", "You do not have permission to perform this action.")
BALANCE = "/v2/customers/my/balance"


@pytest.mark.parametrize(
    ("key", "routes", "block", "reason", "words"),
    [
        ("dop_v1_another0123", {}, {}, "Unauthorized", "mistyped, expired or revoked.*dop_v1_"),
        ("dor_v1_refresh0123", {}, {}, "Unauthorized", "refresh token"),
        ("DO00SPACES01234567", {}, {}, "Unauthorized", "Spaces"),
        (KEY, {BALANCE: FORBIDDEN}, {}, "Forbidden", "billing:read.*do not have permission"),
        (KEY, {"/v2/account": FORBIDDEN}, {}, "Forbidden", "account:read.*teamURN"),
        (KEY, {"/v2/account": owner(team=None)}, {}, "Forbidden", "teamURN"),
        (KEY, {}, {"teamURN": "do:team:other"}, "NotFound", "teamURN"),
        (KEY, {BALANCE: refusal(400, "bad_request", "odd")}, {}, "BadRequest", "odd"),
    ],
)
async def test_refusals_say_what_to_do(
    key: str, routes: Mapping[str, Reply], block: Mapping[str, Any], reason: str, words: str
) -> None:
    """A bad token, one of the wrong kind, a missing scope and a wrong team are told apart."""
    async with talking(Vendor(), key=key, routes=routes, **block) as connector:
        with pytest.raises(NeedsPerson, match=words) as caught:
            await connector.check()

    assert caught.value.reason == reason
    assert key not in str(caught.value)
