"""The Resend connector against a server that counts emails and forgets them: allowances, and what is remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, Window
from reconciler.connectors.base import Account, Context
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.resend import Resend, ResendSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError
from tests.integration.connectors import talk
from tests.integration.connectors.resend_vendor import DOMAIN, KEY, SENDING, Mailed, Vendor, refusal

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 1)
METRICS = "/emails/metrics"
CENT = {"sku": "transactional_overage", "unit": "Emails", "amount": "0.01", "currency": "USD"}
BY_THE_CENT: Mapping[str, Any] = {"includedEmails": 0, "prices": {"asOf": "2026-03-01", "items": [CENT]}}


@asynccontextmanager
async def talking(
    vendor: Vendor,
    key: str = KEY,
    routes: Mapping[str, Reply] | None = None,
    memory: Mapping[str, Any] | None = None,
    **block: Any,
) -> AsyncIterator[Resend]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _always(reply))
        settings = {"baseURL": server.url, **block}
        async with talk.talking(Resend, server, {"apiKey": key}, vendor.now, settings) as connector:
            context: Context = replace(connector.context, memory=memory or {})
            yield Resend(connector.settings, context)


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, first: date = FIRST, **given: Any) -> list[Charge]:
    """The charges of the month of `first`."""
    async with talking(vendor, **given) as connector:
        return await talk.read_days(connector, first, first + DAY)


class TestResend(ConnectorConformance):
    """What every connector has to do, with emails at a cent each and none free."""

    connector = Resend
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    credits = False
    paged = False

    def settings(self, base_url: str) -> ResendSettings:
        return ResendSettings.model_validate({"baseURL": base_url, **BY_THE_CENT})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        kinds = {"alpha": "sent", "beta": "received"}
        mailed = [
            Mailed(each.day, int(each.amount * 100), kinds.get(each.item, "sent"), each.project) for each in lines
        ]
        Vendor(mailed, self.now).open(server)


MAILED = st.builds(
    Mailed,
    st.integers(0, 19).map(lambda number: FIRST + number * DAY),
    st.integers(0, 10**7),
    st.sampled_from(["sent", "received"]),
    st.sampled_from(["mail.example.com", "news.example.com"]),
)


@hypothesis.settings(max_examples=30, deadline=None)
@given(mailed=st.lists(MAILED, max_size=12), limit=st.integers(0, 10**7), told=st.booleans())
async def test_a_month_is_its_emails_beyond_the_plan(mailed: list[Mailed], limit: int, told: bool) -> None:
    """The month comes to $0.90 for every 1,000 emails beyond what the plan includes, said by Resend or by settings."""
    given: dict[str, Any] = {} if told else {"includedEmails": limit}
    found = await read(Vendor(mailed, limit=limit if told else None), **given)

    over = max(0, sum(each.count for each in mailed) - limit)
    assert all(each.billed_cost is not None for each in found)
    gap = sum(Fraction(each.billed_cost or 0) for each in found) - Fraction(over) * Fraction("0.90") / 1000
    assert abs(gap) < Fraction(1, 10**17)


async def test_emails_become_charges_with_all_they_say() -> None:
    """Domain, direction, count, price and the list with its date arrive."""
    (found,) = await read(Vendor([Mailed(FIRST, 1500)]), includedEmails=500)

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 1, tzinfo=UTC),
        charge_period_end=datetime(2026, 3, 2, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal("0.9"),
        x_origin="estimate",
        service_name="Resend",
        service_provider_name="Resend",
        charge_frequency="Usage-Based",
        charge_description="Emails sent",
        sub_account_id=DOMAIN,
        sub_account_name="mail.example.com",
        sku_id="transactional_overage",
        consumed_quantity=Decimal(1500),
        consumed_unit="Emails",
        pricing_quantity=Decimal(1),
        pricing_unit="1000 Emails",
        extra={
            "x_direction": "sent",
            "ListUnitPrice": "0.9",
            "x_price_list_date": "2026-03-09",
            "x_price_list": "https://resend.com/pricing",
        },
    )


async def test_what_is_free_is_not_guessed() -> None:
    """Where neither Resend nor the settings say how many emails are free, they have no price; they are never free."""
    (found,) = await read(Vendor([Mailed(FIRST, 10)]))
    assert (found.billed_cost, found.consumed_quantity, found.billing_currency) == (None, Decimal(10), "USD")


async def test_usage_of_another_shape_says_nothing() -> None:
    """Account usage is a beta: what is no count in it is as if it were not told."""
    usage = {"object": "usage", "emails": {"monthly": {"used": "many", "limit": {"plan": 5}}}}
    (found,) = await read(Vendor([Mailed(FIRST, 10)]), routes={"/usage": Reply.json(usage)})
    assert found.billed_cost is None


async def test_resends_own_count_goes_before() -> None:
    """This month, emails that Resend counts and metrics do not show use up what is free, too."""
    vendor = Vendor([Mailed(FIRST, 1000)], limit=1000, used=1500)
    (found,) = await read(vendor)
    assert found.billed_cost == Decimal("0.45")


async def test_the_plans_fee_is_one_more_line() -> None:
    """The fee stands beside the emails, on the first of the month."""
    plan = {"name": "Pro", "amount": "20.00", "currency": "USD"}
    (fee,) = await read(Vendor(), plan=plan, includedEmails=50_000)
    assert (fee.billed_cost, fee.charge_category, fee.charge_period_start.date()) == (Decimal(20), "Purchase", FIRST)


async def test_days_that_are_forgotten_are_remembered() -> None:
    """Where a plan keeps days for a short time only, each sync remembers them, and a month's free emails stay right."""
    mailed = [Mailed(FIRST + number * DAY, 100) for number in range(20)]
    memory: dict[str, Any] = {}
    stored: dict[date, Decimal] = {}
    for day in range(1, 21):
        vendor = Vendor(mailed[:day], datetime(2026, 3, day, 12, tzinfo=UTC), keeps=timedelta(days=3))
        async with talking(vendor, memory=memory, **{**BY_THE_CENT, "includedEmails": 1000}) as connector:
            today = vendor.now.date()
            span = Span.of_days(today - DAY, today + DAY)
            for window in await connector.windows([span], span):
                found = [charge async for batch in connector.charges(window) for charge in batch]
                stored |= {each.charge_period_start.date(): each.billed_cost or Decimal(0) for each in found}
                memory |= window.remember

    assert stored == {FIRST + number * DAY: Decimal(0 if number < 10 else 1) for number in range(20)}
    assert len(memory) == 2  # the month, and the day before it began
    assert len(memory["emails of 2026-03"]) == 20


async def test_a_month_of_which_too_little_is_known_is_unpriced() -> None:
    """A month that is over, and of which days are neither told nor remembered, cannot say what was free."""
    vendor = Vendor([Mailed(date(2026, 2, 27), 5000)], keeps=timedelta(days=25), limit=100)
    (found,) = await read(vendor, date(2026, 2, 27))
    assert (found.billed_cost, found.consumed_quantity) == (None, Decimal(5000))


async def test_old_memories_go() -> None:
    """Of months before the last nothing is kept."""
    async with talking(Vendor(), memory={"emails of 2026-01": {}, "emails of 2026-02": {}, "other": 1}) as connector:
        span = Span.of_days(FIRST, FIRST + DAY)
        (window,) = await connector.windows([span], span)
    assert window.remember["emails of 2026-01"] is None
    assert "emails of 2026-02" not in window.remember


async def test_windows_are_whole_months_as_far_back_as_days_are_kept() -> None:
    """The open month ends with tonight; the oldest window begins with the first day that is told whole."""
    async with talking(Vendor(keeps=timedelta(days=30))) as connector:
        due = [Span.of_days(date(2026, 1, 10), date(2026, 3, 21))]
        windows = await connector.windows(due, due[0])
        nothing = await connector.windows([], due[0])
    assert [window.span for window in windows] == [
        Span.of_days(date(2026, 3, 1), date(2026, 3, 21)),
        Span.of_days(date(2026, 2, 19), date(2026, 3, 1)),
    ]
    assert nothing == []


async def test_a_window_alone_is_read() -> None:
    """A window can be read without asking for windows first."""
    async with talking(Vendor([Mailed(FIRST, 7)]), **BY_THE_CENT) as connector:
        window = Window(Span.of_days(FIRST, FIRST + DAY))
        (found,) = [charge async for batch in connector.charges(window) for charge in batch]
    assert found.billed_cost == Decimal("0.07")


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": None},
        {"data": [{"period": "soon"}]},
        {"data": [{"period": "2026-03-01", "sent": "much"}]},
        {"start_date": ""},
        {"data": [{"period": "2026-02-01", "sent": 1}]},
    ],
)
async def test_answers_that_cannot_be_counted_stop_the_month(wrong: Mapping[str, Any]) -> None:
    """Counts that are none, and days that were not asked for, fail the month."""
    answer = {"object": "metrics", "start_date": "2026-03-01T00:00:00.000Z", "data": [], **wrong}
    with pytest.raises(Bug):
        await read(Vendor(), routes={METRICS: Reply.json(answer)})


async def check(vendor: Vendor | None = None, **given: Any) -> Account | ReconcilerError:
    async with talking(vendor or Vendor(), **given) as connector:
        return await talk.checked(connector)


async def test_a_good_key_tells_what_the_plan_includes() -> None:
    """`check` notes the plan's emails, or that nobody has said how many they are."""
    assert await check(Vendor(limit=50_000)) == Account(notes=("the plan includes 50000 emails a month",))
    missing = await check()
    assert isinstance(missing, Account)
    assert "resend.includedEmails" in missing.notes[0]
    assert await check(includedEmails=3000) == Account()


@pytest.mark.parametrize(
    ("given", "reason", "words"),
    [
        ({"key": "re_another0123456789"}, "Forbidden", "mistyped or deleted"),
        ({"key": "re_odd"}, "BadRequest", "API key is invalid"),
        ({"key": SENDING}, "Unauthorized", "Sending access only"),
        ({"routes": {METRICS: refusal(404, "not_found", "no route")}}, "NotFound", "resend.baseURL"),
        ({"routes": {METRICS: refusal(401, "missing_api_key", "Missing")}}, "Unauthorized", "saw no key"),
        ({"routes": {METRICS: Reply(status=403, body=b"error code: 1010")}}, "Forbidden", "error code: 1010"),
        ({"routes": {METRICS: refusal(422, "validation_error", "odd")}}, "Refused", "odd"),
    ],
    ids=["key", "odd", "sending", "address", "none", "proxy", "question"],
)
async def test_refusals_say_what_to_do(given: Mapping[str, Any], reason: str, words: str) -> None:
    """An unknown key and one for sending only are told apart, and no key shows."""
    error = await check(**given)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert "docs/connectors/resend.md" in str(error)
    assert str(given.get("key", KEY)) not in str(error)
