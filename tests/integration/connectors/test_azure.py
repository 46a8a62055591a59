"""The Azure connector, source query, against a scripted Azure that answers what is asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from ledger.charge import Charge
from ledger.window import DAY, Span, midnight
from reconciler.connectors.azure import Azure, AzureSettings
from reconciler.connectors.base import Account, Context, Credentials
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, RetryLater
from tests.integration.connectors.azure_vendor import (
    CLIENT,
    SCOPE,
    SECRET,
    SUBSCRIPTION,
    TENANT,
    Item,
    Vendor,
    refusal,
    use,
)
from tests.integration.connectors.talk import read_days

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST, AFTER = date(2026, 3, 2), date(2026, 3, 12)
KEY = {"clientSecret": SECRET}
GIVEN = {"source": "query", "scope": SCOPE, "identity": "Secret", "tenantID": TENANT, "clientID": CLIENT}
OTHER = "abcdefab-1234-1234-1234-123456789abc"


class TestAzure(ConnectorConformance):
    """What every connector has to do, done with the books of one subscription."""

    connector = Azure
    credentials: ClassVar[Mapping[str, str]] = KEY
    smallest = Decimal("0.00000001")
    currency = "EUR"
    per_page = 8

    def settings(self, base_url: str) -> AzureSettings:
        return AzureSettings.model_validate({**GIVEN, "baseURL": base_url})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        items = [
            Item(line.day, line.amount, line.amount, line.item, line.project, currency=line.currency) for line in lines
        ]
        Vendor(items, most=self.per_page).open(server)


@asynccontextmanager
async def asking(
    url: str,
    block: Mapping[str, Any] | None = None,
    credentials: Mapping[str, str] = KEY,
    waits: list[float] | None = None,
    memory: Mapping[str, Any] | None = None,
) -> AsyncIterator[Azure]:
    """The connector for an Azure at `url`, which an administrator's environment may name as well."""
    given = {**GIVEN, "baseURL": url} if credentials else {"source": "query", "scope": SCOPE}
    settings = AzureSettings.model_validate({**given, **(block or {})})

    async def wait(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    async with VendorClient(
        base_url=settings.base_url,
        policy=EgressPolicy(allow_loopback=True),
        meter=Meter(clock=lambda: NOW),
        redact=tuple(credentials.values()),
        sleep=wait,
        random=lambda: 0.0,
        clock=lambda: NOW,
    ) as http:
        yield Azure(settings, Context(http, Credentials(credentials), NOW, memory or {}))


async def bill(vendor: Vendor, waits: list[float] | None = None, **block: Any) -> list[Charge]:
    async with ScriptedServer() as server:
        vendor.open(server)
        async with asking(server.url, block, waits=waits) as connector:
            return await read_days(connector, FIRST, AFTER)


def total(charges: Sequence[Charge]) -> Decimal:
    return sum((charge.billed_cost or Decimal(0) for charge in charges), Decimal(0))


def spread(charges: Sequence[Charge]) -> Decimal:
    return sum((charge.effective_cost or Decimal(0) for charge in charges), Decimal(0))


BOUGHT = [
    Item(FIRST, Decimal(365), None, kind="Purchase", group=""),
    *(Item(FIRST + day * DAY, Decimal(0), Decimal("0.8")) for day in range(3)),
    *(Item(FIRST + day * DAY, None, Decimal("0.2"), kind="UnusedReservation", group="") for day in range(3)),
    use(FIRST, "5.5", "Storage"),
    Item(FIRST, Decimal("-12.5"), None, kind="Refund", group=""),
    Item(FIRST, Decimal("-0.01"), Decimal("-0.01"), kind="RoundingAdjustment", group=""),
]


async def test_two_views_of_one_bill_are_joined_and_never_added() -> None:
    """A reservation is billed on the day it was bought, effective where it was used or left unused; sums hold."""
    found = await bill(Vendor(BOUGHT))

    assert total(found) == Decimal(365) + Decimal("5.5") - Decimal("12.5") - Decimal("0.01")
    assert spread(found) == 3 * Decimal("0.8") + 3 * Decimal("0.2") + Decimal("5.5") - Decimal("0.01")
    told = {(charge.charge_description, charge.service_name, charge.charge_period_start): charge for charge in found}
    assert len(told) == len(found) == 3 + 3 + 4
    bought = told["Purchase", "Virtual Machines", midnight(FIRST)]
    covered = told[None, "Virtual Machines", midnight(FIRST)]
    unused = told["Unused reservation", "Virtual Machines", midnight(FIRST)]
    assert (bought.billed_cost, bought.effective_cost, bought.charge_category) == (Decimal(365), Decimal(0), "Purchase")
    assert (covered.billed_cost, covered.effective_cost, covered.charge_category) == (
        Decimal(0),
        Decimal("0.8"),
        "Usage",
    )
    assert (unused.billed_cost, unused.effective_cost, unused.charge_category) == (Decimal(0), Decimal("0.2"), "Usage")
    assert unused.extra == {"CommitmentDiscountStatus": "Unused", "x_ChargeType": "UnusedReservation"}
    refund = told["Refund", "Virtual Machines", midnight(FIRST)]
    assert (refund.charge_category, refund.charge_class) == ("Purchase", "Correction")
    assert told["Rounding adjustment", "Virtual Machines", midnight(FIRST)].charge_category == "Adjustment"


async def test_a_month_takes_four_calls() -> None:
    """For each view what stands apart and the totals, and then what was used; within Azure's bounds for a question."""
    vendor = Vendor(BOUGHT)
    await bill(vendor)

    groups = [[each["name"] for each in asked["dataset"]["grouping"]] for asked in vendor.asked]
    assert groups == [["ChargeType", "ServiceName"], ["ServiceName", "ResourceGroupName"]] * 2
    assert [asked["type"] for asked in vendor.asked] == ["ActualCost"] * 2 + ["AmortizedCost"] * 2
    assert {json.dumps(asked["timePeriod"]) for asked in vendor.asked} == {
        json.dumps({"from": "2026-03-02T00:00:00Z", "to": "2026-03-11T23:59:59Z"})
    }
    assert {len(asked["dataset"]["aggregation"]) for asked in vendor.asked} == {1}
    assert [wanted["scope"] for wanted in vendor.logins] == ["https://management.azure.com/.default"]


async def test_pages_are_posted_with_the_very_same_body() -> None:
    """The next page is asked for as the first was, at Azure's own address, wherever it is said to be."""
    items = [use(FIRST + day * DAY, f"{day}.{place}", f"service {place}") for day in range(5) for place in range(4)]
    vendor = Vendor(items, most=7, following="https://stranger.example")
    found = await bill(vendor)

    assert total(found) == sum((item.actual or Decimal(0) for item in items), Decimal(0))
    assert len(vendor.asked) == 4 * 3
    assert vendor.asked[0] == vendor.asked[1] == vendor.asked[2]


MANY = [
    use(FIRST, "1.5", "Storage"),
    use(FIRST, "2", "Storage", region="US East", group="data", meter="LRS"),
    use(FIRST, "4", "Storage", subscription=OTHER),
    Item(FIRST, Decimal(100), None, kind="Purchase", subscription=""),
]


@pytest.mark.parametrize(
    ("scope", "block", "expected"),
    [
        (SCOPE, {}, {("Storage", SUBSCRIPTION, None, "web", None), ("Storage", SUBSCRIPTION, None, "data", None)}),
        (
            f"{SCOPE}/resourceGroups/web",
            {},
            {("Storage", SUBSCRIPTION, "EU West", "web", None), ("Storage", SUBSCRIPTION, "US East", "web", None)},
        ),
        (
            "/providers/Microsoft.Management/managementGroups/acme",
            {},
            {("Storage", SUBSCRIPTION, None, None, None), ("Storage", OTHER, None, None, None)},
        ),
        (
            "/providers/Microsoft.Billing/billingAccounts/8608480",
            {},
            {("Storage", SUBSCRIPTION, None, None, "8608480"), ("Storage", OTHER, None, None, "8608480")},
        ),
        (
            "/providers/Microsoft.Billing/billingAccounts/8608480",
            {"query": {"splitBy": "Region"}},
            {("Storage", None, "EU West", None, "8608480"), ("Storage", None, "US East", None, "8608480")},
        ),
    ],
    ids=["subscription", "resource group", "management group", "billing account", "regions"],
)
async def test_costs_are_split_as_the_scope_is(
    scope: str, block: dict[str, Any], expected: set[tuple[str | None, ...]]
) -> None:
    """Beside the service, costs have the dimension that tells most within their scope, or the one that was chosen."""
    found = await bill(Vendor(MANY, scope=scope), scope=scope, **block)

    used = [charge for charge in found if charge.charge_category == "Usage"]
    told = {
        (
            charge.service_name,
            charge.sub_account_id,
            charge.region_id,
            (charge.extra or {}).get("x_ResourceGroupName"),
            charge.billing_account_id,
        )
        for charge in used
    }
    assert told == expected
    assert total(found) == Decimal("107.5")
    (bought,) = (charge for charge in found if charge.charge_category == "Purchase")
    assert bought.sub_account_id == (SUBSCRIPTION if scope.startswith(SCOPE) else None)


async def test_meters_are_told_where_they_are_wanted() -> None:
    """A service can be split by meter."""
    found = await bill(Vendor(MANY), query={"splitBy": "Meter"})
    assert {(charge.extra or {}).get("SkuMeter") for charge in found} == {"D2s v5", "LRS", None}


async def test_currencies_stay_apart() -> None:
    """Rows of several currencies are charges of several currencies."""
    found = await bill(Vendor([use(FIRST, "1"), use(FIRST, "2", currency="USD")]))
    assert {(charge.billing_currency, charge.billed_cost) for charge in found} == {
        ("EUR", Decimal(1)),
        ("USD", Decimal(2)),
    }


async def test_days_without_costs_are_no_error() -> None:
    """Azure answers 204 where it has nothing: where nothing was known, there is nothing."""
    vendor = Vendor()
    assert await bill(vendor) == []
    assert len(vendor.asked) == 2


async def test_no_content_takes_no_costs_away() -> None:
    """Where days had costs, an answer without any does not replace them; one that has some does."""
    span = Span.of_days(FIRST, AFTER)
    vendor = Vendor([use(FIRST, "1"), use(FIRST + DAY, "2")])
    memory: dict[str, Any] = {}
    async with ScriptedServer() as server:
        vendor.open(server)
        async with asking(server.url) as connector:
            (window,) = await connector.windows([span], span)
            assert [batch async for batch in connector.charges(window)]
            memory = json.loads(json.dumps(window.remember))
        vendor.items = []
        async with asking(server.url, memory=memory) as connector:
            with pytest.raises(RetryLater, match="no costs at all from 2026-03-02 to 2026-03-12, where it had some"):
                await read_days(connector, FIRST, AFTER)
            assert await read_days(connector, date(2026, 3, 5), AFTER) == []
        vendor.items = [use(FIRST, "1")]
        async with asking(server.url, memory=memory) as connector:
            (window,) = await connector.windows([span], span)
            (batch,) = [batch async for batch in connector.charges(window)]
            assert total(batch) == 1
            assert not window.remember


@pytest.mark.parametrize("shift", ["0.009", "0.02"])
async def test_figures_that_change_while_they_are_read_are_read_again(shift: str) -> None:
    """Parts that do not add up to their totals are not stored; what is rounded away is."""
    vendor = Vendor([use(FIRST, "1")], renewed=[use(FIRST, str(Decimal(1) + Decimal(shift)))])
    if shift == "0.02":
        with pytest.raises(RetryLater, match="ActualCost of 2026-03-02 does not add up"):
            await bill(vendor)
    else:
        assert total(await bill(vendor)) == Decimal("1.009")


def table(*rows: Sequence[Any]) -> Reply:
    names = ("Cost", "UsageDate", "ChargeType", "ServiceName", "Currency")
    columns = [{"name": name, "type": "x"} for name in names]
    return Reply.json({"properties": {"nextLink": None, "columns": columns, "rows": rows}})


ROW = (Decimal("1.5"), 20260302, "Usage", "Storage", "EUR")


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (table(ROW, ROW), RetryLater, "changed while they were read"),
        (table((*ROW[:1], 20260102, *ROW[2:])), Bug, "2026-01-02, which was not asked for"),
        (table((*ROW[:1], "soon", *ROW[2:])), Bug, "usagedate"),
        (table((*ROW[:1], True, *ROW[2:])), Bug, "usagedate"),
        (table((*ROW[:2], 7, *ROW[3:])), Bug, "first"),
        (table(ROW[:4]), Bug, "currency"),
        (table((*ROW[:4], "euros")), Bug, "cannot be counted"),
        (table((None, *ROW[1:])), Bug, "cost"),
    ],
    ids=["twice", "another day", "no day", "no number", "no text", "short row", "no currency", "no cost"],
)
async def test_answers_that_cannot_be_counted_are_not(reply: Reply, kind: type[Exception], words: str) -> None:
    """A row of another shape fails the window, and says where."""
    with pytest.raises(kind, match=words):
        await bill(Vendor(refused=[reply]))


async def test_the_longest_wait_is_kept() -> None:
    """Of the waits that Azure asks for by bucket the longest counts, and then the sync goes on."""
    buckets = {
        "Retry-After": "5",
        "x-ms-ratelimit-microsoft.costmanagement-entity-retry-after": "42",
        "x-ms-ratelimit-microsoft.costmanagement-clienttype-retry-after": "30",
        "x-ms-ratelimit-microsoft.costmanagement-qpu-remaining": "QueriesPerHour:59",
    }
    busy = refusal("429", "Too many requests. Please retry.", 429)
    waits: list[float] = []
    found = await bill(Vendor([use(FIRST, "1")], refused=[replace(busy, headers={**busy.headers, **buckets})]), waits)
    assert total(found) == 1
    assert waits == [42]


@pytest.mark.parametrize(
    ("reply", "kind", "reason", "words"),
    [
        (
            refusal("RBACAccessDenied", "The client does not have authorization to perform action", 403),
            NeedsPerson,
            "Forbidden",
            r"role Cost Management Reader on azure\.scope.*RBACAccessDenied",
        ),
        (refusal("AccountCostDisabled", "off", 403), NeedsPerson, "Forbidden", "allow viewing charges"),
        (refusal("SubscriptionNotFound", "gone", 404), NeedsPerson, "NotFound", r"no such scope.*azure\.scope"),
        (refusal("BillingAccountNotFound", "gone", 404), NeedsPerson, "NotFound", "no such scope"),
        (
            refusal("BadRequest", "Invalid query definition: Invalid dataset grouping: 'Meter'; valid values: 'x'"),
            NeedsPerson,
            "BadRequest",
            r"does not offer the dimension Meter: choose another azure\.query\.splitBy",
        ),
        (
            refusal("BadRequest", "Cost Management supports only Enterprise Agreement offer types."),
            NeedsPerson,
            "BadRequest",
            "does not have the costs of this subscription's offer",
        ),
        (refusal("BadRequest", "odd"), NeedsPerson, "BadRequest", "refused the question .400.*odd"),
        (Reply(404, b"gone"), NeedsPerson, "NotFound", "no such scope"),
        (
            refusal("InvalidAuthenticationTokenTenant", "wrong issuer", 403),
            NeedsPerson,
            "InvalidSettings",
            r"another tenant: correct azure\.tenantID",
        ),
        (
            Reply.json({"error": {"code": "429", "message": "Too many"}}, 429, {"Retry-After": "3600"}),
            RetryLater,
            "RateLimited",
            "Too many",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_refusals_say_what_to_do(reply: Reply, kind: type[Exception], reason: str, words: str) -> None:
    """Which role is missing where, which setting is wrong, and what passes, are told apart by Azure's codes."""
    with pytest.raises(kind, match=words) as caught:
        await bill(Vendor(refused=[reply]))
    assert getattr(caught.value, "reason", None) == reason
    assert SECRET not in str(caught.value)


async def test_check_says_what_is_not_in_the_data() -> None:
    """`check` takes one question, and says what Azure leaves out."""
    vendor = Vendor([use(FIRST, "1"), use(FIRST, "1", currency="USD")])
    async with ScriptedServer() as server:
        vendor.open(server)
        async with asking(server.url) as connector:
            found = await connector.check()
        vendor.items = []
        async with asking(server.url) as connector:
            empty = await connector.check()

    outside = "Taxes, support and credits are not in this data, so it is not the invoice."
    assert found == Account(SCOPE, None, ("This month's costs are in EUR, USD.", outside))
    assert empty.notes[0] == "No costs this month yet."
    assert len(vendor.asked) == 2


async def test_windows_are_no_longer_than_a_question_may_be() -> None:
    """Months, newest first: none is longer than 31 days."""
    async with asking("http://127.0.0.1:1") as connector:
        span = Span(midnight(NOW.date()) - timedelta(days=36), midnight(NOW.date()) + DAY)
        windows = await connector.windows([span], span)
    assert [(f"{window.start:%F}", f"{window.end:%F}") for window in windows] == [
        ("2026-03-01", "2026-03-21"),
        ("2026-02-12", "2026-03-01"),
    ]
