"""The Cloudflare connector against a server that tells usage by billing cycles, and subscriptions by their period."""

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
from reconciler.connectors.base import Account
from reconciler.connectors.cloudflare import Cloudflare, CloudflareSettings
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.scripted import Reply, Request, ScriptedServer, dump
from reconciler.errors import Bug, NeedsPerson
from tests.integration.connectors import talk
from tests.integration.connectors.cloudflare_vendor import ACCOUNT, KEY, ROOT, Vendor, anchored, plan, refusal, row

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 2)
SPRING = Span.of_days(date(2026, 3, 1), date(2026, 3, 21))


@asynccontextmanager
async def talking(
    vendor: Vendor, key: str = KEY, routes: Mapping[str, Reply] | None = None, now: datetime = NOW, **block: Any
) -> AsyncIterator[Cloudflare]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", f"{ROOT}{path}", _always(reply))
        settings = {"baseURL": server.url, "accountID": ACCOUNT, **block}
        async with talk.talking(Cloudflare, server, {"apiKey": key}, now, settings) as connector:
            yield connector


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, span: Span = SPRING, **given: Any) -> list[Charge]:
    """The charges of every window that the connector names for `span`."""
    async with talking(vendor, **given) as connector:
        windows = await connector.windows([span], span)
        return [charge for window in windows async for batch in connector.charges(window) for charge in batch]


def fees(window: Window) -> Mapping[str, Any]:
    """The periods that a window asks to remember."""
    remembered = window.remember["fees"]
    assert isinstance(remembered, Mapping)
    return remembered


class TestCloudflare(ConnectorConformance):
    """What every connector has to do, over two billing cycles, the second of which is open."""

    connector = Cloudflare
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal("0.0000001")
    paged = False

    def settings(self, base_url: str) -> CloudflareSettings:
        return CloudflareSettings(base_url=base_url, account_id=ACCOUNT)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        Vendor([row(line.day, line.amount, line.item, ZoneId=line.project) for line in lines]).open(server)


AMOUNTS = st.decimals(-(10**6), 10**9, allow_nan=False, places=7) | st.sampled_from([Decimal("1E-20"), Decimal("-0.0")])
ROWS = st.builds(
    lambda day, amount, currency, owner: row(
        FIRST + day * DAY, amount, BillingCurrency=currency, SubscriptionId=owner, EffectiveCost=amount
    ),
    st.integers(-40, 18),
    AMOUNTS,
    st.sampled_from(["USD", "EUR", "JPY"]),
    st.sampled_from([None, "SUB1", "SUB2", "GONE"]),
)


@hypothesis.settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(ROWS, max_size=15),
    days=st.sampled_from([(1,), (5,), (31,), (5, 20), (28, 31), ()]),
    beside=st.booleans(),
)
async def test_usage_adds_up_to_what_the_json_says(rows: list[Any], days: tuple[int, ...], *, beside: bool) -> None:
    """By day and currency charges add up to the rows, once, whatever the cycles are and whatever lies beside them."""
    metered = [anchored(day, f"SUB{number}") for number, day in enumerate(days, 1)]
    span = Span.of_days(FIRST - 40 * DAY, date(2026, 3, 21))
    found = await read(Vendor(rows, metered=metered, beside=beside), span)

    sums: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for charge in found:
        if charge.charge_period_start >= span.start:
            sums[f"{charge.charge_period_start:%Y-%m-%d}", charge.billing_currency] += Fraction(charge.billed_cost or 0)
    for each in json.loads(dump(rows), parse_float=Decimal):
        sums[each["ChargePeriodStart"][:10], each["BillingCurrency"]] -= Fraction(each["BilledCost"])
    assert not any(sums.values())


async def test_a_row_keeps_what_it_says() -> None:
    """Every column of a row has its place; texts that are empty are absent."""
    told: dict[str, Any] = {
        "CumulatedContractedCost": Decimal("2.25"),
        "ListCost": Decimal("0.8"),
        "ChargeDescription": "Workers Standard usage measured in Count",
        "ConsumedQuantity": 150000,
        "ConsumedUnit": "requests",
        "ServiceFamilyName": "Workers",
        "ServiceProviderName": "Cloudflare, Inc.",
        "SubscriptionId": "SUB1",
        "ZoneId": "z1",
        "ZoneName": "example.com",
        "BillingPeriodStart": "2026-03-05T00:00:00Z",
    }
    bare: dict[str, Any] = {
        "ConsumedQuantity": 3,
        "ConsumedUnit": "",
        "ServiceProviderName": "PlanetScale",
        "PricingUnit": "",
    }
    found, other = await read(
        Vendor(
            [
                row(date(2026, 3, 6), Decimal("0.75"), **told),
                row(date(2026, 3, 7), 1, **bare),
            ]
        )
    )

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 6, tzinfo=UTC),
        charge_period_end=datetime(2026, 3, 7, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal("0.75"),
        x_origin="api",
        service_name="Workers Standard",
        service_provider_name="Cloudflare",
        charge_frequency="Usage-Based",
        charge_description="Workers Standard usage measured in Count",
        billing_account_id=ACCOUNT,
        sub_account_id="z1",
        sub_account_name="example.com",
        consumed_quantity=Decimal(150000),
        consumed_unit="requests",
        pricing_quantity=Decimal(150000),
        pricing_unit="Count",
        effective_cost=Decimal("0.75"),
        list_cost=Decimal("0.8"),
        contracted_cost=Decimal("0.75"),
        extra={
            "x_service_family": "Workers",
            "x_subscription_id": "SUB1",
            "BillingPeriodStart": "2026-03-05T00:00:00Z",
        },
    )
    assert (other.consumed_quantity, other.pricing_unit, other.service_provider_name) == (None, None, "PlanetScale")


async def test_rows_of_the_older_form_are_read() -> None:
    """A row that has only a contracted cost is billed by it; one without any cost is unpriced, and not free."""
    day = date(2026, 3, 6)
    old = {name: text for name, text in row(day, Decimal("0.75")).items() if name not in ("BilledCost", "ListCost")}
    none = {name: text for name, text in old.items() if not name.endswith("Cost")}
    found = await read(Vendor([old, none, {**old, "ContractedCost": -1}]))

    assert [charge.billed_cost for charge in found] == [Decimal("0.75"), None, Decimal(-1)]
    assert [charge.charge_category for charge in found] == ["Usage", "Usage", "Credit"]


async def test_every_cycle_is_asked_for_by_itself() -> None:
    """A range begins on an anchor day and ends before the next one, or today; the days asked for never overlap."""
    vendor = Vendor()
    await read(vendor, Span.of_days(date(2026, 1, 10), date(2026, 3, 21)))
    ranges = [(each.first("from"), each.first("to")) for each in vendor.asked if each.first("from")]

    assert ranges == [("2026-03-05", "2026-03-20"), ("2026-02-05", "2026-03-04"), ("2026-01-05", "2026-02-04")]


@pytest.mark.parametrize(
    ("day", "span", "expected"),
    [
        (
            31,
            Span.of_days(date(2026, 2, 1), date(2026, 3, 2)),
            [("2026-02-28", "2026-03-21"), ("2026-01-31", "2026-02-28")],
        ),
        (5, Span.of_days(date(2026, 3, 5), date(2026, 3, 6)), [("2026-03-05", "2026-03-21")]),
        (5, Span.of_days(date(2026, 3, 4), date(2026, 3, 5)), [("2026-02-05", "2026-03-05")]),
        (21, Span.of_days(date(2026, 3, 20), date(2026, 3, 22)), [("2026-02-21", "2026-03-21")]),
        (1, Span.of_days(date(2025, 12, 31), date(2026, 1, 1)), [("2025-12-01", "2026-01-01")]),
    ],
)
async def test_windows_are_whole_cycles(day: int, span: Span, expected: Sequence[tuple[str, str]]) -> None:
    """What is due is read by whole cycles, newest first; short months end a cycle early; the open one ends tonight."""
    async with talking(Vendor(metered=[anchored(day)])) as connector:
        windows = await connector.windows([span], span)

    assert [(f"{window.start:%Y-%m-%d}", f"{window.end:%Y-%m-%d}") for window in windows] == expected


async def test_cancelled_subscriptions_are_asked_for_while_they_ran() -> None:
    """A subscription that ended long ago, with cycles of its own, costs no calls; its rows of then are read."""
    ended = anchored(20, "SUB2", end_timestamp="2026-02-21T00:00:00Z")
    vendor = Vendor([row(date(2026, 2, 20), 3, SubscriptionId="SUB2")], metered=[ended, anchored(5)])
    found = await read(vendor, Span.of_days(date(2026, 2, 6), date(2026, 3, 21)))

    assert [charge.billed_cost for charge in found] == [3]
    asked = [each.first("from") for each in vendor.asked if each.first("from")]
    assert sorted(filter(None, asked)) == ["2026-01-20", "2026-02-05", "2026-02-20", "2026-03-05"]


async def test_a_fee_is_billed_at_once_and_earned_by_days() -> None:
    """BilledCost is the price on the first day of the period; EffectiveCost adds up to it over all its days."""
    found = await read(Vendor(plans=[plan(Decimal("5.00"))]), Span.of_days(date(2026, 3, 1), date(2026, 3, 21)))

    assert {charge.charge_period_start.date(): charge.billed_cost for charge in found if charge.billed_cost} == {
        date(2026, 3, 4): Decimal(5)
    }
    assert len(found) == 17
    assert (found[0].effective_cost, found[0].charge_category) == (Decimal("0.17"), "Purchase")
    assert (found[0].service_name, found[0].sku_id) == ("Workers Paid", "workers_paid")
    assert found[0].extra == {"x_subscription_id": "PLAN1", "x_scope": "account"}

    later = await read(Vendor(plans=[plan(Decimal(5))]), now=datetime(2026, 4, 20, tzinfo=UTC), span=SPRING)
    whole = [charge for charge in later if charge.charge_category == "Purchase"]
    assert sum(charge.effective_cost or 0 for charge in whole) == 5
    assert len(whole) == 31


@pytest.mark.parametrize(
    ("fields", "costs"),
    [
        ({"price": 0}, []),
        ({"price": None}, []),
        ({"state": "Trial"}, []),
        ({"state": "Cancelled"}, []),
        ({"state": "AwaitingPayment"}, [Decimal(5)]),
        ({"state": None, "currency": None}, [Decimal(5)]),
        ({"frequency": "yearly", "current_period_end": "2027-03-04T00:00:00Z", "price": 240}, [Decimal(240)]),
        ({"price": 0, "rate_plan": {"id": "ent", "is_contract": True}}, [None]),
        ({"price": 0, "rate_plan": {"id": "ent", "externally_managed": True}}, [None]),
        ({"rate_plan": None}, [Decimal(5)]),
    ],
)
async def test_which_subscriptions_cost(fields: Mapping[str, Any], costs: Sequence[Decimal | None]) -> None:
    """Free plans, trials and ended ones cost nothing; a contract whose price is not told is unpriced."""
    found = await read(Vendor(plans=[{**plan(5), **fields}]))
    assert [charge.billed_cost for charge in found if charge.billed_cost != 0] == costs


async def test_a_fee_that_was_seen_is_remembered() -> None:
    """A period that Cloudflare no longer tells keeps its fee when its days are read again."""
    async with talking(Vendor(plans=[plan(5)])) as connector:
        (first, *rest) = await connector.windows([SPRING], SPRING)
    assert not any(window.remember for window in rest)

    following = {"current_period_start": "2026-04-04T00:00:00Z", "current_period_end": "2026-05-04T00:00:00Z"}
    async with talking(Vendor(plans=[{**plan(6), **following}]), now=datetime(2026, 4, 10, tzinfo=UTC)) as connector:
        connector.context = replace(connector.context, memory=first.remember)
        windows = await connector.windows([SPRING], SPRING)
        found = [charge for window in windows async for batch in connector.charges(window) for charge in batch]
    billed = {f"{each.charge_period_start:%Y-%m-%d}": each.billed_cost for each in found if each.billed_cost}
    assert billed == {"2026-03-04": 5, "2026-04-04": 6}
    assert list(fees(windows[0])) == ["PLAN1 2026-03-04T00:00:00+00:00", "PLAN1 2026-04-04T00:00:00+00:00"]


async def test_by_hand_only_subscriptions_are_read() -> None:
    """With usage Manual nothing is asked about usage, windows are months, and `check` says what is left to enter."""
    vendor = Vendor([row(date(2026, 3, 6), 1)], [plan(5)])
    found = await read(vendor, Span.of_days(date(2026, 2, 27), date(2026, 3, 21)), usage="Manual")

    assert {charge.charge_category for charge in found} == {"Purchase"}
    assert {request.path for request in vendor.asked} == {f"{ROOT}/subscriptions"}
    async with talking(vendor, usage="Manual") as connector:
        account = await connector.check()
    assert account.id == ACCOUNT
    assert "ManualCost" in account.notes[0]


async def test_the_older_address_is_tried() -> None:
    """Where the address of today is unknown, that of before is asked."""
    found = await read(Vendor([row(date(2026, 3, 6), 1)], path="/paygo-usage"))
    assert [charge.billed_cost for charge in found] == [1]


@pytest.mark.parametrize(
    "answer",
    [
        {"success": False, "errors": [], "result": []},
        {"success": True, "result": None},
        {"success": True, "result": [{"BilledCost": 1}]},
        {"success": True, "result": [{**row(FIRST, 1), "BillingCurrency": None}]},
        {"success": True, "result": [{**row(FIRST, 1), "BilledCost": "much"}]},
        {"success": True, "result": [{**row(FIRST, 1), "ChargePeriodStart": "2026-03-06"}]},
    ],
    ids=["failed", "none", "bare", "currency", "words", "date"],
)
async def test_rows_that_are_none_are_not_stored(answer: Mapping[str, Any]) -> None:
    """A row that cannot be counted fails its cycle, and is never skipped."""
    with pytest.raises(Bug):
        await read(Vendor(), routes={"/billable-usage": Reply.json(answer)})


async def test_a_fee_without_a_period_is_not_guessed() -> None:
    """A price that belongs to no period stops the sync with words."""
    with pytest.raises(Bug, match="PLAN1 has a price and no period"):
        await read(Vendor(plans=[plan(5, current_period_end=None)]))


async def test_a_good_token_is_told_by_two_questions() -> None:
    """`check` reads the subscriptions and whether usage is told, and no usage."""
    vendor = Vendor()
    async with talking(vendor) as connector:
        assert await connector.check() == Account(ACCOUNT)
    assert [request.path for request in vendor.asked] == [f"{ROOT}/subscriptions", f"{ROOT}/billable-usage/info"]


FORBIDDEN = refusal(403, 10000, "Authentication error")
GONE = refusal(404, 7003, "No route")


@pytest.mark.parametrize(
    ("vendor", "key", "routes", "reason", "words"),
    [
        (Vendor(), "another-token-0123456789", {}, "Unauthorized", "mistyped.*Billing > Read.*cloudflare.md"),
        (Vendor(), "0123456789abcdef0123456789abcdef01234", {}, "Unauthorized", "Global API Key"),
        (Vendor(), "v1.0-0123456789abcdef", {}, "Unauthorized", "Origin CA"),
        (Vendor(), KEY, {"/subscriptions": refusal(400, 6003, "Invalid headers")}, "Unauthorized", "mistyped"),
        (Vendor(), KEY, {"/subscriptions": FORBIDDEN}, "Forbidden", "lacks the permission.*Authentication error"),
        (Vendor(), KEY, {"/subscriptions": GONE}, "NotFound", "cloudflare.accountID.*cloudflare.md"),
        (Vendor(), KEY, {"/subscriptions": refusal(400, 1183, "odd")}, "BadRequest", "odd"),
        (Vendor(), KEY, {"/billable-usage/info": FORBIDDEN}, "Forbidden", "unknown.*Manual.*ManualCost.*(10000)"),
        (Vendor(path="/elsewhere"), KEY, {"/paygo-usage-info": GONE}, "NotFound", "unknown.*Manual"),
        (Vendor(covered=False), KEY, {}, "Forbidden", "Enterprise.*Manual.*not covered"),
    ],
    ids=["bad", "global", "origin", "header", "scope", "account", "odd", "alpha", "moved", "plan"],
)
async def test_refusals_say_what_to_do(
    vendor: Vendor, key: str, routes: Mapping[str, Reply], reason: str, words: str
) -> None:
    """A bad token, one of the wrong kind, a missing permission, a wrong account and a plan without usage differ."""
    async with talking(vendor, key, routes) as connector:
        with pytest.raises(NeedsPerson, match=words) as caught:
            await connector.check()

    assert caught.value.reason == reason
    assert key not in str(caught.value)


async def test_usage_that_is_refused_is_never_passed_over() -> None:
    """Where usage is refused in a sync, nothing is stored: fees alone would pass for the whole."""
    with pytest.raises(NeedsPerson, match="unknown"):
        await read(Vendor(plans=[plan(5)]), routes={"/billable-usage": FORBIDDEN})
