"""The Atlas connector against a server with invoices in pages, behind digests of API keys or a service account."""

from __future__ import annotations

import json
from collections import defaultdict
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
from ledger.window import DAY, Span, Window
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.mongodbatlas import MongoDBAtlas, MongoDBAtlasSettings
from reconciler.connectors.scripted import Reply, ScriptedServer, dump
from reconciler.errors import Bug, NeedsPerson
from tests.integration.connectors import talk
from tests.integration.connectors.mongodbatlas_vendor import (
    CLIENT,
    INVOICES,
    ORGANIZATION,
    PRIVATE,
    PUBLIC,
    SECRET,
    Made,
    Vendor,
    item,
    refusal,
)

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 1)
MARCH = Window(Span.of_days(FIRST, date(2026, 3, 21)))
ACCOUNT = {"apiKey": SECRET, "keyID": CLIENT}
KEYS = {"apiKey": PRIVATE, "keyID": PUBLIC}


@asynccontextmanager
async def talking(
    vendor: Vendor,
    credentials: Mapping[str, str] = ACCOUNT,
    organization: str = ORGANIZATION,
    routes: Mapping[str, Reply] | None = None,
) -> AsyncIterator[MongoDBAtlas]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _Always(reply))
        block = {"baseURL": server.url, "organizationID": organization}
        async with talk.talking(MongoDBAtlas, server, credentials, NOW, block) as connector:
            yield connector


class _Always:
    """Answers the same to everything."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    def __call__(self, _: object) -> Reply:
        return self.reply


async def read(vendor: Vendor, window: Window = MARCH, **given: Any) -> list[Charge]:
    async with talking(vendor, **given) as connector:
        return [charge async for batch in connector.charges(window) for charge in batch]


class Either(ConnectorConformance):
    """What every connector has to do, with either kind of key."""

    connector = MongoDBAtlas

    def settings(self, base_url: str) -> MongoDBAtlasSettings:
        return MongoDBAtlasSettings(base_url=base_url, organization_id=ORGANIZATION)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        items = [item(int(line.amount * 100), line.day, line.item, groupName=line.project) for line in lines]
        older = [Made(date(2025, month, 1), status="PAID") for month in range(12, 7, -1)]
        Vendor([Made(items=items), *older], self.per_page).open(server)


class TestServiceAccounts(Either):
    """With a token, which is asked for first."""

    credentials: ClassVar[Mapping[str, str]] = ACCOUNT


class TestApiKeys(Either):
    """With digests; that pages go in circles cannot be played here, since a challenge comes first."""

    credentials: ClassVar[Mapping[str, str]] = KEYS
    paged = False


CENTS = st.integers(-(10**12), 10**12)
ITEMS = st.builds(
    lambda cents, day, quantity: item(cents, day, quantity=quantity),
    CENTS,
    st.integers(-10, 25).map(lambda number: FIRST + number * DAY),
    st.sampled_from([72.0, 0.0000123, 1e-07, 44640]),
)


@hypothesis.settings(max_examples=60, deadline=None)
@given(
    items=st.lists(ITEMS, max_size=10),
    tax=st.none() | st.integers(0, 10**6),
    refunds=st.lists(st.integers(0, 10**6), max_size=3),
    status=st.sampled_from(["PENDING", "PAID", "CLOSED", "INVOICED", "FAILED", "PREPAID", "FORGIVEN"]),
)
async def test_an_invoice_adds_up(items: list[Any], tax: int | None, refunds: list[int], status: str) -> None:
    """Lines, tax and refunds add up to the cent; each line on its own day, or on the first if that is not the month's.

    An invoice that was forgiven comes to nothing.
    """
    more = {"salesTaxCents": tax, "refunds": [{"amountCents": cents} for cents in refunds]}
    found = await read(Vendor([Made(items=items, status=status, more=more)]))

    told = json.loads(dump(items))
    total = sum(each["totalPriceCents"] for each in told) + (tax or 0) - sum(refunds)
    expected = Fraction(0) if status == "FORGIVEN" else Fraction(total, 100)
    assert sum(Fraction(charge.billed_cost or 0) for charge in found) == expected

    days: dict[str, Fraction] = defaultdict(Fraction)
    for charge in found[: len(items)]:
        days[f"{charge.charge_period_start:%Y-%m-%d}"] += Fraction(charge.billed_cost or 0)
    for each in told:
        day = each["startDate"][:10]
        days[day if "2026-03-01" <= day < "2026-03-21" else "2026-03-01"] -= Fraction(each["totalPriceCents"], 100)
    assert not any(days.values())


async def test_a_line_keeps_what_it_says() -> None:
    """Project, cluster, SKU, quantity, price, discount and tags of a line arrive."""
    more: dict[str, Any] = {
        "tags": {"team": ["web", "api"]},
        "cloudProvider": "AWS",
        "discountCents": 19,
        "percentDiscount": 9,
    }
    found, bare = await read(Vendor([Made(items=[item(192, note="m10", **more), {"totalPriceCents": -1}])]))

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 2, tzinfo=UTC),
        charge_period_end=datetime(2026, 3, 3, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal("1.92"),
        x_origin="api",
        service_name="MongoDB Atlas",
        service_provider_name="MongoDB Atlas",
        charge_frequency="Usage-Based",
        charge_description="m10",
        service_category="Databases",
        billing_account_id=ORGANIZATION,
        sub_account_id="5f00",
        sub_account_name="prod",
        resource_name="Cluster0",
        sku_id="ATLAS_AWS_INSTANCE_M10",
        consumed_quantity=Decimal(72),
        consumed_unit="server hours",
        pricing_quantity=Decimal(72),
        pricing_unit="server hours",
        tags={"team": "web, api"},
        extra={
            "InvoiceId": f"{0:024x}",
            "ListUnitPrice": "0.0266666667",
            "x_discount": "0.19",
            "x_percent_discount": "9",
            "HostProviderName": "AWS",
        },
    )
    assert (bare.billed_cost, bare.charge_category, bare.sku_id) == (Decimal("-0.01"), "Credit", None)
    assert bare.charge_period_start == datetime(2026, 3, 1, tzinfo=UTC)


async def test_a_line_of_another_month_keeps_its_time() -> None:
    """A late line lies in the month that bills it, and says when it was."""
    (found,) = await read(Vendor([Made(items=[item(5, date(2026, 2, 27))])]))
    assert (found.extra or {})["x_start_time"] == "2026-02-27T00:00:00Z"


@pytest.mark.parametrize(
    ("more", "status", "beside"),
    [
        ({"subtotalCents": 300}, "PAID", []),
        ({"subtotalCents": 200}, "PAID", []),
        ({"subtotalCents": 350}, "PAID", ["Adjustment 0.5 Not itemised in the invoice"]),
        ({"subtotalCents": 350}, "PENDING", []),
        ({"salesTaxCents": 21, "startingBalanceCents": 900, "amountPaidCents": 5}, "PAID", ["Tax 0.21 Sales tax"]),
        ({"refunds": [{"amountCents": 40, "reason": "outage"}]}, "PAID", ["Credit -0.4 Refund: outage"]),
        ({"salesTaxCents": 0}, "FORGIVEN", ["Credit -2 Forgiven"]),
    ],
)
async def test_what_an_invoice_has_beside_its_lines(
    more: Mapping[str, Any], status: str, beside: Sequence[str]
) -> None:
    """Tax, refunds and what is not itemised are lines; what was carried over and what was paid are no costs."""
    found = await read(Vendor([Made(items=[item(300), item(-100)], status=status, more=more)]))
    assert [f"{each.charge_category} {each.billed_cost:f} {each.charge_description}" for each in found[2:]] == beside


@pytest.mark.parametrize("alone", [False, True])
async def test_a_pending_invoice_that_is_not_listed_is_found(*, alone: bool) -> None:
    """Where the list lacks the running month, it is asked for by itself, in either form of the answer."""
    vendor = Vendor([Made(date(2026, 2, 1), status="PAID")], hidden=[Made(items=[item(7)])], alone=alone)
    assert [charge.billed_cost for charge in await read(vendor)] == [Decimal("0.07")]


async def test_invoices_of_linked_organizations_are_left_out() -> None:
    """They are not asked for, and if they come all the same they do not count: Providers of their own read them."""
    vendor = Vendor([Made(items=[item(7)]), Made(items=[item(9)], more={"orgId": "66d7254246a21a41036ff3ff"})])
    assert [charge.billed_cost for charge in await read(vendor)] == [Decimal("0.07")]
    assert {each.first("viewLinkedInvoices") for each in vendor.asked if each.path == INVOICES} == {"false"}
    assert not [each for each in vendor.asked if each.first("fromDate") or each.first("toDate")]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ([Made(), Made(date(2026, 2, 1))], ["2026-03-01 2026-03-21", "2026-02-01 2026-03-01"]),
        ([Made(date(2026, 2, 1))], ["2026-02-01 2026-03-01"]),
        ([], []),
    ],
)
async def test_windows_are_months_with_invoices(made: Sequence[Made], expected: Sequence[str]) -> None:
    """Whole months are read, newest first, none beyond the last invoice; the open one ends tonight."""
    async with talking(Vendor(made)) as connector:
        due = [Span.of_days(date(2026, 2, 27), date(2026, 3, 21))]
        windows = await connector.windows(due, due[0])
    assert [f"{window.start:%Y-%m-%d} {window.end:%Y-%m-%d}" for window in windows] == expected


async def test_a_pending_invoice_is_restated_until_it_closes() -> None:
    """The running month is read as it stands each time."""
    vendor = Vendor([Made(items=[item(100)])])
    before = await read(vendor)
    vendor.made = [Made(items=[item(90), item(12, date(2026, 3, 3))], status="CLOSED", more={"salesTaxCents": 2})]
    after = await read(vendor)
    assert [charge.billed_cost for charge in before] == [1]
    assert sum(charge.billed_cost or Decimal(0) for charge in after) == Decimal("1.04")


@pytest.mark.parametrize("credentials", [ACCOUNT, KEYS], ids=["account", "keys"])
async def test_either_key_is_opened_once(credentials: Mapping[str, str]) -> None:
    """A token is fetched, or a challenge answered, once in a sync; `check` asks one question more."""
    vendor = Vendor([Made(items=[item(1)])])
    async with talking(vendor, credentials) as connector:
        assert await connector.check() == Account(ORGANIZATION)
        assert [charge async for batch in connector.charges(MARCH) for charge in batch]
    assert (vendor.tokens, vendor.guard.challenges) == ((1, 0) if credentials is ACCOUNT else (0, 1))


ONE = f"{INVOICES}/{0:024x}"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (INVOICES, {"links": []}),
        (INVOICES, {"results": [{"id": "a"}]}),
        (INVOICES, {"results": [Made().listed(0)] * 2}),
        (ONE, Made().listed(0)),
        (ONE, {**Made().listed(1), "lineItems": []}),
        (ONE, {**Made().listed(0), "lineItems": [{"sku": "a"}]}),
        (ONE, {**Made().listed(0), "lineItems": [item("much")]}),
        (ONE, {**Made().listed(0), "lineItems": [], "refunds": [{"reason": "a"}]}),
    ],
    ids=["list", "row", "twice", "lines", "other", "line", "words", "refund"],
)
async def test_bills_that_are_none_are_not_stored(path: str, answer: Mapping[str, Any]) -> None:
    """An invoice or line that cannot be counted fails the month, and is never skipped."""
    with pytest.raises(Bug):
        await read(Vendor([Made()]), routes={path: Reply.json(answer)})


OTHER = {"apiKey": "mdb_sa_sk_another0123456", "keyID": CLIENT}
WRONG = {"apiKey": "89abcdef-another-0123456", "keyID": PUBLIC}
LISTED = refusal(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST", "10.0.0.1 is not allowed")


@pytest.mark.parametrize(
    ("credentials", "vendor", "organization", "reason", "words"),
    [
        (OTHER, Vendor(), ORGANIZATION, "Unauthorized", "mistyped.*Billing Viewer.*mongodbatlas.md.*no such client"),
        (WRONG, Vendor(), ORGANIZATION, "Unauthorized", "mistyped.*Billing Viewer"),
        ({"apiKey": CLIENT, "keyID": SECRET}, Vendor(), ORGANIZATION, "InvalidSecret", "swapped.*mongodbatlas.md"),
        ({"apiKey": PRIVATE, "keyID": CLIENT}, Vendor(), ORGANIZATION, "InvalidSecret", "one half"),
        (KEYS, Vendor(role=refusal(403, "USER_UNAUTHORIZED")), ORGANIZATION, "Forbidden", "lacks the role"),
        (ACCOUNT, Vendor(role=LISTED), ORGANIZATION, "Forbidden", "access list.*10.0.0.1"),
        (ACCOUNT, Vendor(), "0" * 24, "NotFound", "organizationID.*mongodbatlas.md"),
        (ACCOUNT, Vendor(role=refusal(406, "INVALID_VERSION_DATE", "odd")), ORGANIZATION, "Refused", "odd"),
        (ACCOUNT, Vendor(role=refusal(400, "BAD", "odd")), ORGANIZATION, "BadRequest", "odd"),
    ],
    ids=["account", "key", "swapped", "mixed", "role", "address", "organization", "version", "odd"],
)
async def test_refusals_say_what_to_do(
    credentials: Mapping[str, str], vendor: Vendor, organization: str, reason: str, words: str
) -> None:
    """A bad key, halves that do not belong together, a missing role, an address and a wrong organization differ."""
    async with talking(vendor, credentials, organization) as connector:
        with pytest.raises(NeedsPerson, match=words) as caught:
            await connector.check()

    assert caught.value.reason == reason
    assert not [value for value in credentials.values() if value in str(caught.value)]
