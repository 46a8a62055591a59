"""The Twilio connector against a server that lists every category of every day, many within others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.charge import Charge
from ledger.window import DAY
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.connectors.twilio import Twilio, TwilioSettings
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors import talk
from tests.integration.connectors.twilio_vendor import (
    ACCOUNTS,
    KEY_SID,
    SECRET,
    SID,
    SUB,
    TOKEN,
    TREE,
    Used,
    Vendor,
    record,
    refusal,
)

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 2)
KEYS = {"apiKey": SECRET, "keySid": KEY_SID}
DAILY = f"{ACCOUNTS}/{SID}/Usage/Records/Daily.json"


@asynccontextmanager
async def talking(
    vendor: Vendor, keys: Mapping[str, str] = KEYS, routes: Mapping[str, Reply] | None = None, **block: Any
) -> AsyncIterator[Twilio]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _always(reply))
        settings = {"accountSID": SID, "baseURL": server.url, **block}
        async with talk.talking(Twilio, server, keys, NOW, settings) as connector:
            yield connector


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, days: int = 3, **given: Any) -> list[Charge]:
    async with talking(vendor, **given) as connector:
        return await talk.read_days(connector, FIRST, FIRST + days * DAY)


class Either(ConnectorConformance):
    """What every connector has to do."""

    connector = Twilio
    credentials: ClassVar[Mapping[str, str]] = KEYS
    smallest = Decimal("0.00001")
    by_subaccount: ClassVar[bool]

    def settings(self, base_url: str) -> TwilioSettings:
        block = {"accountSID": SID, "baseURL": base_url, "bySubaccount": self.by_subaccount}
        return TwilioSettings.model_validate(block)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        used = [
            Used(line.day, line.amount, line.item if line.item in TREE else "sms-outbound", self._account(line))
            for line in lines
        ]
        Vendor(used, most=40 * self.per_page).open(server)

    def _account(self, line: Line) -> str:
        return SUB if line.project == "two" else SID


class TestWhole(Either):
    by_subaccount = False


class TestBySubaccount(Either):
    by_subaccount = True


PRICES = st.decimals(0, 10**9, allow_nan=False, places=5) | st.decimals(-10, 10, allow_nan=False, places=18)
USED = st.builds(
    Used,
    st.integers(0, 8).map(lambda number: FIRST + number * DAY),
    PRICES,
    st.sampled_from(sorted(TREE)),
    st.sampled_from([SID, SUB]),
)


@hypothesis.settings(max_examples=40, deadline=None)
@given(
    used=st.lists(USED, max_size=15),
    numbers=st.booleans(),
    most=st.integers(3, 400),
    unit=st.sampled_from(["usd", "eur", "jpy"]),
    apart=st.booleans(),
)
async def test_a_day_is_twilios_total(used: list[Used], numbers: bool, most: int, unit: str, apart: bool) -> None:
    """Each day comes to the sum of its usage, once, in the account's currency, for each account that is told apart."""
    vendor = Vendor(used, unit=unit, numbers=numbers, most=most)
    sums: dict[Any, Fraction] = defaultdict(Fraction)
    for each in used:
        sums[each.day, each.account if apart else SID] += Fraction(each.price)
    for found in await read(vendor, 9, bySubaccount=apart):
        assert found.billing_currency == unit.upper()
        assert found.charge_description != "Not itemised by Twilio"
        sums[found.charge_period_start.date(), found.sub_account_id] -= Fraction(found.billed_cost or 0)
    assert not any(sums.values())


async def test_only_the_finest_categories_are_charged() -> None:
    """What contains others is left out, by its name or because it is known; nothing used is nothing charged."""
    used = [Used(FIRST, Decimal(number + 1), name) for number, name in enumerate(sorted(TREE))]
    found = await read(Vendor(used), 1)

    assert [each.sku_id for each in sorted(found, key=lambda each: each.sku_id or "")] == sorted(TREE)
    assert await read(Vendor(), 1) == []


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ([record(FIRST, "new", "3"), record(FIRST, "new-kind", "2"), record(FIRST, "totalprice", "3")], ["2", "1"]),
        (
            [record(FIRST, "agents", "3"), record(FIRST, "voices", "3"), record(FIRST, "totalprice", "3")],
            ["3", "3", "-3"],
        ),
        ([record(FIRST, "totalprice", "0.00000001")], ["0.00000001"]),
        ([record(FIRST, "new", "3", price_unit=None), record(FIRST, "totalprice", "3")], ["3"]),
        ([record(FIRST, "new", "3")], ["3"]),
        ([record(FIRST, "new", "3"), record(FIRST, "totalprice", None)], ["3"]),
        ([record(FIRST, "new", "3", price_unit="eur"), record(FIRST, "totalprice", "1")], ["3", "1"]),
    ],
    ids=["within", "overlap", "tiny", "no currency", "no total", "empty total", "two currencies"],
)
async def test_the_total_decides(extra: Sequence[Mapping[str, Any]], expected: Sequence[str]) -> None:
    """Where categories are not what they are thought to be, one more line makes the day Twilio's total."""
    found = await read(Vendor(extra=extra, total=False), 1)

    assert [f"{each.billed_cost:f}" for each in found] == expected
    rest = [each for each in found if each.sku_id == "totalprice"]
    assert all(
        (each.charge_category, each.charge_description) == ("Adjustment", "Not itemised by Twilio") for each in rest
    )


async def test_a_record_becomes_a_charge_with_all_it_says() -> None:
    """Category, description, quantities and account arrive; a negative price is a credit, and no price is unpriced."""
    counts = {"count": "120", "count_unit": "messages", "usage": "131", "usage_unit": "segments"}
    told = record(FIRST, "sms-outbound-longcode", "1.03490", **counts)
    others = [
        record(FIRST, "refunds", "-2"),
        record(FIRST, "unknown", None, usage="5"),
        record(FIRST, "free", "0", count=""),
    ]
    found, credit, unpriced = await read(Vendor(extra=[told, *others], total=False), 1)

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 2, tzinfo=UTC),
        charge_period_end=datetime(2026, 3, 3, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal("1.0349"),
        x_origin="api",
        service_name="Twilio",
        service_provider_name="Twilio",
        charge_description="About sms-outbound-longcode",
        sub_account_id=SID,
        sku_id="sms-outbound-longcode",
        consumed_quantity=Decimal(131),
        consumed_unit="segments",
        extra={"x_count": "120", "x_count_unit": "messages"},
    )
    assert (credit.billed_cost, credit.charge_category) == (Decimal(-2), "Credit")
    assert (unpriced.billed_cost, unpriced.consumed_quantity) == (None, Decimal(5))


async def test_subaccounts_are_told_apart_by_name() -> None:
    """Each subaccount is read by itself, without those below it, and has its name."""
    used = [Used(FIRST, Decimal(1)), Used(FIRST, Decimal(2), account=SUB)]
    vendor = Vendor(used)
    found = await read(vendor, 1, bySubaccount=True)

    assert [(each.sub_account_id, each.sub_account_name, f"{each.billed_cost:f}") for each in found] == [
        (SID, "Example Ltd", "1"),
        (SUB, "Shop", "2"),
    ]
    assert [f"{each.billed_cost:f}" for each in await read(vendor, 1)] == ["3"]


async def test_a_month_ends_at_midnight_gmt() -> None:
    """Days are GMT days, of which the last that is asked for is part of the answer."""
    used = [Used(date(2026, 2, 28), Decimal(1)), Used(date(2026, 3, 1), Decimal(2)), Used(date(2026, 3, 2), Decimal(4))]
    vendor = Vendor(used)
    async with talking(vendor) as connector:
        found = await talk.read_days(connector, date(2026, 2, 28), date(2026, 3, 2))

    assert [f"{each.billed_cost:f}" for each in found] == ["2", "1"]
    asked = [(request.first("StartDate"), request.first("EndDate")) for request in vendor.asked]
    assert asked == [("2026-03-01", "2026-03-01"), ("2026-02-28", "2026-02-28")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"usage_records": [record(FIRST, "a", "1")] * 2, "next_page_uri": None}, "CursorLoop"),
        ({"usage_records": [record(FIRST - DAY, "a", "1")], "next_page_uri": None}, "UnexpectedAnswer"),
        ({"usage_records": [record(FIRST, "a", "much")], "next_page_uri": None}, "UnexpectedAnswer"),
        ({"usage_records": [record(FIRST, "a", "1", price_unit="dollars")], "next_page_uri": None}, "UnexpectedAnswer"),
        ({"usage_records": [record(FIRST, "a", "1", price_unit=None)], "next_page_uri": None}, "UnexpectedAnswer"),
        ({"usage_records": [], "next_page_uri": "https://elsewhere.example/"}, "UnexpectedAnswer"),
        ({"usage_records": []}, "UnexpectedAnswer"),
    ],
    ids=["twice", "another day", "no number", "no currency", "empty currency", "another host", "no next page"],
)
async def test_records_that_cannot_be_counted_stop_their_days(answer: Mapping[str, Any], reason: str) -> None:
    """What comes twice, of other days or without an amount or currency, is never skipped."""
    with pytest.raises(Bug) as caught:
        await read(Vendor(), 1, routes={DAILY: Reply.json(answer)})
    assert caught.value.reason == reason


async def test_accounts_that_come_twice_are_refused() -> None:
    """A list of accounts with one of them twice would count it twice."""
    answer = {"accounts": [{"sid": SID}] * 2, "next_page_uri": None}
    with pytest.raises(Bug, match="twice"):
        await read(Vendor(), 1, bySubaccount=True, routes={f"{ACCOUNTS}.json": Reply.json(answer)})


async def test_too_many_requests_are_tried_again() -> None:
    """Twilio's 429 names no time; the run waits by itself, and ends with its words."""
    with pytest.raises(RetryLater, match="Too Many Requests") as caught:
        await read(Vendor(), 1, routes={DAILY: refusal(429, 20429, "Too Many Requests")})
    assert caught.value.reason == "RateLimited"


async def check(vendor: Vendor | None = None, **given: Any) -> Account | ReconcilerError:
    async with talking(vendor or Vendor(), **given) as connector:
        return await talk.checked(connector)


async def test_a_good_key_names_its_account() -> None:
    """An API key and the Auth Token both do; where the account's name is not told, its SID is enough."""
    assert await check() == Account(SID, "Example Ltd")
    assert await check(keys={"apiKey": f" {TOKEN}\n"}) == Account(SID, "Example Ltd")
    assert await check(bySubaccount=True) == Account(SID, "Example Ltd", ("1 subaccounts",))
    hidden = {f"{ACCOUNTS}/{SID}.json": refusal(401, 20003, "Authenticate")}
    assert await check(routes=hidden) == Account(SID)


@pytest.mark.parametrize(
    ("keys", "routes", "block", "reason", "words"),
    [
        ({"apiKey": "another-secret-0123"}, {}, {}, "Unauthorized", "keySid.*accountSID"),
        ({"apiKey": SECRET}, {}, {}, "Unauthorized", "do not belong together"),
        (KEYS, {DAILY: refusal(403, 20403, "403 Forbidden")}, {}, "Forbidden", "restricted key"),
        (KEYS, {DAILY: refusal(403, 20008, "Test Account Credentials")}, {}, "Forbidden", "test credentials"),
        (KEYS, {DAILY: refusal(404, 20404, "not found")}, {}, "NotFound", "accountSID"),
        (KEYS, {DAILY: refusal(400, 20001, "odd")}, {}, "BadRequest", "odd"),
        (KEYS, {f"{ACCOUNTS}.json": refusal(403, 20403, "x")}, {"bySubaccount": True}, "Forbidden", "main key"),
    ],
)
async def test_refusals_say_what_to_do(
    keys: Mapping[str, str], routes: Mapping[str, Reply], block: Mapping[str, Any], reason: str, words: str
) -> None:
    """A wrong key, test credentials, a key that is too weak and a wrong account are told apart."""
    async with talking(Vendor(), keys=keys, routes=routes, **block) as connector:
        with pytest.raises(NeedsPerson, match=words) as caught:
            await connector.check()

    assert caught.value.reason == reason
    assert "docs/connectors/twilio.md" in str(caught.value)
    assert not any(key in str(caught.value) for key in keys.values())


@pytest.mark.parametrize("sid", ["", KEY_SID, SID[:-1], f"{SID}/../x"])
def test_only_an_account_can_be_read(sid: str) -> None:
    """An SID of another kind, or with a path in it, is refused in the manifest."""
    with pytest.raises(ValidationError):
        TwilioSettings.model_validate({"accountSID": sid})
