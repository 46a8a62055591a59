"""The Stripe connector against a server that lists balance transactions newest first, in pages, as Stripe does."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.scripted import Reply, ScriptedServer, dump
from reconciler.connectors.stripe import Stripe, StripeSettings
from reconciler.errors import Bug, NeedsPerson, RetryLater
from tests.integration.connectors import talk
from tests.integration.connectors.stripe_vendor import FIRST, KEY, Vendor, detail, refusal, row

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
WINDOW = Window(Span.of_days(FIRST, FIRST + 7 * DAY))


@asynccontextmanager
async def talking(vendor: Vendor, key: str = KEY, fault: Reply | None = None, **block: Any) -> AsyncIterator[Stripe]:
    async with ScriptedServer() as server:
        vendor.open(server)
        if fault is not None:
            server.fail(fault)
        settings = {"baseURL": server.url, **block}
        async with talk.talking(Stripe, server, {"apiKey": key}, NOW, settings) as connector:
            yield connector


async def read(vendor: Vendor, fault: Reply | None = None, **block: Any) -> list[Charge]:
    async with talking(vendor, fault=fault, **block) as connector:
        return [charge async for batch in connector.charges(WINDOW) for charge in batch]


class TestStripe(ConnectorConformance):
    """What every connector has to do, done by this one: fees of payments, and fees that are transactions themselves."""

    connector = Stripe
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}

    def settings(self, base_url: str) -> StripeSettings:
        return StripeSettings(base_url=base_url)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        rows = [self._row(line) for line in lines]
        payouts = [row("payout", -5000, day=line.day) for line in lines[:1]]
        Vendor([*rows, *payouts], self.per_page).open(server)

    def _row(self, line: Line) -> Mapping[str, Any]:
        cents, code = int(line.amount * 100), line.currency.lower()
        if line.item == "alpha":
            return row("charge", 10**6, detail(cents, currency=code), day=line.day, currency=code)
        return row("stripe_fee", -cents, day=line.day, currency=code, description=f"{line.item} - Usage Fee")


EXPONENTS = {
    "usd": 2,
    "eur": 2,
    "jpy": 0,
    "krw": 0,
    "mga": 0,
    "isk": 2,
    "ugx": 2,
    "huf": 2,
    "twd": 2,
    "kwd": 3,
    "tnd": 3,
}
"""The digits of Stripe's minor units, as its page on currencies lists them."""
FEES = ("stripe_fee", "network_cost", "stripe_fx_fee", "tax_fee")
KINDS = (*FEES, "charge", "payment", "refund", "adjustment", "payout", "transfer", "application_fee", "topup")
DETAILS = ("stripe_fee", "tax", "withheld_tax", "payment_method_passthrough_fee", "application_fee")
MINORS = st.integers(-(10**20), 10**20)


@st.composite
def transactions(draw: st.DrawFn) -> dict[str, Any]:
    code = draw(st.sampled_from(sorted(EXPONENTS)))
    drawn = draw(st.lists(st.tuples(MINORS, st.sampled_from(DETAILS)), max_size=4))
    details = [detail(amount, kind, code) for amount, kind in drawn]
    lone = {"fee": draw(MINORS)} if not details else {}
    made = row(
        draw(st.sampled_from(KINDS)),
        draw(MINORS),
        *details,
        day=FIRST + draw(st.integers(0, 6)) * DAY,
        currency=code,
        **lone,
    )
    return {**made, "reporting_category": draw(st.sampled_from([None, "charge", "refund"]))}


def independent_sums(text: str) -> dict[tuple[str, str], Fraction]:
    """Cost per day and currency by Stripe's rule: -net of fees, else the fee without the platform's part."""
    sums: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for each in json.loads(text):
        platform = sum(part["amount"] for part in each["fee_details"] if part["type"] == "application_fee")
        cost = -each["net"] if each["type"] in FEES else each["fee"] - platform
        day = datetime.fromtimestamp(each["created"], UTC).date().isoformat()
        sums[day, each["currency"].upper()] += Fraction(cost, 10 ** EXPONENTS[each["currency"]])
    return {key: total for key, total in sums.items() if total}


@hypothesis.settings(max_examples=60, deadline=None)
@given(rows=st.lists(transactions(), max_size=12), most=st.integers(1, 13))
async def test_fees_add_up_to_what_the_json_says(rows: list[dict[str, Any]], most: int) -> None:
    """Per day and currency the charges add up to an independent reading of the same JSON, to the last digit."""
    sums: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for charge in await read(Vendor(rows, most)):
        assert charge.billed_cost
        sums[charge.charge_period_start.date().isoformat(), charge.billing_currency] += Fraction(charge.billed_cost)

    assert {key: total for key, total in sums.items() if total} == independent_sums(dump(rows))


@pytest.mark.parametrize(
    ("code", "cost"),
    [
        ("usd", "12.34"),
        ("jpy", "1234"),
        ("mga", "1234"),
        ("kwd", "1.234"),
        ("isk", "12.34"),
        ("ugx", "12.34"),
        ("huf", "12.34"),
        ("twd", "12.34"),
        ("clp", "1234"),
    ],
)
async def test_minor_units_are_stripes_own(code: str, cost: str) -> None:
    """Amounts are read in the unit that Stripe counts the currency in, where that differs from ISO 4217 too."""
    (charge,) = await read(Vendor([row("charge", 10**6, detail(1234, currency=code), currency=code)]))

    assert (charge.billed_cost, charge.billing_currency) == (Decimal(cost), code.upper())


async def test_a_fee_costs_what_it_takes_from_the_balance() -> None:
    """A transaction that is a fee costs -net: its own amount, and the tax that it carries as a line of its own."""
    text = "Billing - Usage Fee (2026-03-01)"
    found = await read(Vendor([row("stripe_fee", -1290, detail(85, "tax", text="VAT"), description=text)]))

    assert [(charge.billed_cost, charge.charge_category, charge.charge_description) for charge in found] == [
        (Decimal("12.9"), "Usage", text),
        (Decimal("0.85"), "Tax", "VAT"),
    ]
    assert {charge.service_name for charge in found} == {"Billing"}


async def test_the_balance_decides_what_a_fee_costs() -> None:
    """Where amount and fee do not make up what the balance lost, what it lost is the cost."""
    found = await read(Vendor([row("stripe_fee", -1290, detail(85, "tax"), net=-1400)]))

    assert [charge.billed_cost for charge in found] == [Decimal("13.15"), Decimal("0.85")]


async def test_fees_given_back_are_negative() -> None:
    """A refund whose fee is returned, and a fee that comes back to the balance, are credits."""
    found = await read(Vendor([row("refund", -2000, detail(-59)), row("stripe_fee", 300, day=FIRST + DAY)]))

    assert [(charge.billed_cost, charge.charge_category) for charge in sorted(found)] == [
        (Decimal("-0.59"), "Credit"),
        (Decimal(-3), "Credit"),
    ]


async def test_what_customers_pay_is_no_cost() -> None:
    """Payments, payouts, transfers and top-ups without a fee leave no line, nor does what a platform takes."""
    moved = [row(kind, 10**6) for kind in ("charge", "payout", "transfer", "topup", "application_fee")]
    platform = row("charge", 10**6, detail(30), detail(500, "application_fee"))
    found = await read(Vendor([*moved, platform]))

    assert [charge.billed_cost for charge in found] == [Decimal("0.3")]


@pytest.mark.parametrize(
    ("details", "parts"),
    [
        ([], ["0.88"]),
        (None, ["0.88"]),
        ([detail(80)], ["0.8", "0.08"]),
        ([detail(80), detail(8, "tax")], ["0.8", "0.08"]),
        ([detail(75, currency="eur")], ["0.88"]),
    ],
)
async def test_a_fee_that_is_told_badly_counts_whole(details: Sequence[Any] | None, parts: Sequence[str]) -> None:
    """Where the details of a fee are absent, do not add up, or are in another currency, the whole fee still counts."""
    found = await read(Vendor([{**row("charge", 2000, fee=88), "fee_details": details}]))

    assert [charge.billed_cost for charge in found] == [Decimal(part) for part in parts]


async def test_a_platforms_part_in_another_currency_is_told() -> None:
    """A platform's part that cannot be taken from the fee stops the window: no figure is guessed."""
    with pytest.raises(Bug, match="txn_0"):
        await read(Vendor([row("charge", 2000, detail(5, "application_fee", "eur"), fee=88)]))


async def test_lines_say_where_they_come_from() -> None:
    """A line names its transaction, what was paid and the kind of fee, and nothing that a customer wrote."""
    fees = (detail(88, text="Stripe processing fees"), detail(9, "tax", text="VAT"))
    paid = row("charge", 2000, *fees, source="ch_1", description="Order of Jane Doe", reporting_category="charge")
    usage, tax = await read(Vendor([paid]), account="acct_1")

    assert (usage.sku_id, usage.charge_description, usage.resource_id) == (
        "stripe_fee",
        "Stripe processing fees",
        "ch_1",
    )
    assert (tax.sku_id, tax.charge_category, tax.billing_account_id) == ("tax", "Tax", "acct_1")
    assert usage.extra == {
        "x_balance_transaction": "txn_0",
        "x_transaction_type": "charge",
        "x_reporting_category": "charge",
    }
    assert usage.charge_period_end - usage.charge_period_start == timedelta(seconds=1)
    assert "Jane" not in repr((usage, tax))


async def test_unknown_types_that_stripe_calls_fees_are_fees() -> None:
    """A type that came later counts as a fee where Stripe's own reporting says that it is one."""
    found = await read(Vendor([row("radar_fee", -5, reporting_category="fee"), row("network_cost", -7)]))

    assert sum(charge.billed_cost or 0 for charge in found) == Decimal("0.12")
    assert {charge.service_name for charge in found} == {"Stripe fees", "Network costs"}


async def test_pages_follow_the_last_transaction() -> None:
    """Every page is asked for with the whole question, after the last transaction of the one before."""
    vendor = Vendor([row("stripe_fee", -1, day=FIRST + number * DAY) for number in range(7)], most=3)
    assert len(await read(vendor, account="acct_1")) == 7

    assert [request.first("starting_after") for request in vendor.asked] == [None, "txn_4", "txn_1"]
    for request in vendor.asked:
        assert request.first("created[gte]") == str(int(WINDOW.start.timestamp()))
        assert request.first("created[lt]") == str(int(WINDOW.end.timestamp()))
        assert request.headers["stripe-account"] == "acct_1"
        assert request.first("limit") == "100"


async def test_midnight_belongs_to_the_day_that_begins() -> None:
    """Transactions of a window's first second are in it, those of its end are not."""
    days = [row("stripe_fee", -1, day=FIRST - DAY), row("stripe_fee", -2), row("stripe_fee", -4, day=FIRST + 7 * DAY)]
    assert [charge.billed_cost for charge in await read(Vendor(days))] == [Decimal("0.02")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": Decimal("1.5")},
        {"fee": "88"},
        {"net": None},
        {"fee": True},
        {"currency": "usdc"},
        {"created": "2026-03-02"},
        {"created": int(midnight(FIRST - DAY).timestamp())},
        {"id": ""},
        {"fee_details": [{"amount": 1}]},
    ],
)
async def test_a_transaction_that_is_none_stops_its_window(wrong: Mapping[str, Any]) -> None:
    """A transaction that cannot be counted, or was not asked for, fails the window, and is never skipped."""
    page = {"object": "list", "has_more": False, "data": [{"id": "txn_1", **row("charge", 2000, detail(88)), **wrong}]}
    with pytest.raises(Bug):
        await read(Vendor(), Reply.json(page))


@pytest.mark.parametrize(("has_more", "ids"), [(True, []), (False, ["txn_1", "txn_1"])])
async def test_lists_that_repeat_or_end_in_nothing(has_more: bool, ids: list[str]) -> None:
    """A list that has more but shows none, or that has a transaction twice, is not counted."""
    page = {"has_more": has_more, "data": [{"id": name, **row("stripe_fee", -1)} for name in ids]}
    with pytest.raises(Bug) as caught:
        await read(Vendor(), Reply.json(page))
    assert caught.value.reason == "CursorLoop"


async def test_busy_days_come_in_batches() -> None:
    """Thousands of transactions come in batches of bounded size, all of them."""
    vendor = Vendor([row("charge", 2000, detail(88))] * 4500)
    async with talking(vendor) as connector:
        sizes = [len(batch) async for batch in connector.charges(WINDOW)]

    assert sum(sizes) == 4500
    assert max(sizes) <= 2100


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("pk_live_0123456789", "publishable"),
        ("sk_test_0123456789", "play money"),
        ("rk_test_0123456789", "play money"),
        ("whsec_0123456789", "webhook"),
        ("acct_0123456789", "account's id"),
    ],
)
async def test_other_kinds_of_key_are_told_unasked(key: str, words: str) -> None:
    """A key of another kind is told by its beginning, without a call; one of test mode reads play money."""
    vendor = Vendor()
    async with talking(vendor, key) as connector:
        with pytest.raises(NeedsPerson, match=words) as caught:
            await connector.check()

    assert caught.value.reason == "InvalidSecret"
    assert vendor.asked == []


@pytest.mark.parametrize(
    ("reply", "block", "reason", "words"),
    [
        (refusal(401, "Invalid API Key provided: rk_live_***6789"), {}, "Unauthorized", "mistyped"),
        (refusal(401, "Expired API Key provided", "api_key_expired"), {}, "Unauthorized", "expired"),
        (
            refusal(
                403, "The provided key 'rk_live_***6789' lacks permissions. Having the 'rak_x_read' would allow it."
            ),
            {"account": "acct_1"},
            "Forbidden",
            "lacks the permission.*rak_x_read",
        ),
        (
            refusal(403, "does not have access to account 'acct_1'"),
            {"account": "acct_1"},
            "Forbidden",
            "stripe.account",
        ),
        (refusal(403, "no"), {}, "Forbidden", "lacks the permission"),
        (refusal(404, "Unrecognized request URL"), {}, "NotFound", "stripe.baseURL"),
        (refusal(400, "No such account"), {"account": "acct_1"}, "BadRequest", "No such account"),
        (Reply(403, b"<h1>Blocked</h1>"), {}, "Forbidden", "balance transaction sources"),
    ],
)
async def test_refusals_say_what_to_do(reply: Reply, block: Mapping[str, Any], reason: str, words: str) -> None:
    """A bad key, an expired one, a missing permission, a foreign account and a wrong address are told apart."""
    async with talking(Vendor(), fault=reply, **block) as connector:
        with pytest.raises(NeedsPerson, match=words) as caught:
            await connector.check()

    assert caught.value.reason == reason
    assert "6789" not in str(caught.value)


async def test_a_good_key_is_good() -> None:
    """`check` reads one transaction, and tells the connected account where there is one."""
    vendor = Vendor([row("stripe_fee", -1)] * 3)
    async with talking(vendor, account="acct_1") as connector:
        assert await connector.check() == Account(id="acct_1")

    assert [request.first("limit") for request in vendor.asked] == ["1"]


async def test_a_busy_object_is_asked_for_later() -> None:
    """A lock that Stripe did not get in time is a 429 that passes, not a wrong key."""
    async with talking(Vendor(), fault=refusal(429, "locked", "lock_timeout")) as connector:
        with pytest.raises(RetryLater):
            await connector.check()
