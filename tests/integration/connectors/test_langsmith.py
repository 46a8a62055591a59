"""The LangSmith connector against a server that speaks the granular usage: traces, tiers, and declared prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, midnight
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.langsmith import LangSmith, LangSmithSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.langsmith_vendor import KEY, NOW, PERSONAL_KEY, USAGE, Organization, Sent
from tests.integration.connectors.talk import checked, read_days, talking

FIRST = date(2026, 3, 2)
PRICES: dict[str, Any] = {
    "prices": {
        "asOf": "2026-02-28",
        "items": [
            {"sku": "trace", "unit": "Traces", "per": "1000", "amount": "2.50", "currency": "USD"},
            {"sku": "trace-extended", "unit": "Traces", "per": "1000", "amount": "2.00", "currency": "USD"},
        ],
    }
}


def opened(server: ScriptedServer, key: str = KEY, **block: Any) -> AbstractAsyncContextManager[LangSmith]:
    return talking(LangSmith, server, {"apiKey": key}, NOW, {"baseURL": server.url, **block})


async def read(organization: Organization, days: int = 3, **block: Any) -> tuple[list[Charge], list[Request]]:
    """The charges of the first `days` days, and the requests that it took."""
    async with ScriptedServer() as server:
        organization.open(server)
        async with opened(server, **block) as connector:
            return await read_days(connector, FIRST, FIRST + days * DAY), server.requests


class TestLangSmith(ConnectorConformance):
    """What every connector has to do; a line of the suite is so many traces at the declared price of one."""

    connector = LangSmith
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal("0.0025")
    credits = False
    duplicates = False
    paged = False

    def settings(self, base_url: str) -> LangSmithSettings:
        return LangSmithSettings.model_validate({"baseURL": base_url, **PRICES})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        sent = [Sent(line.day, int(line.amount / self.smallest), of=f"{line.item} {line.project}") for line in lines]
        Organization(sent).open(server)


SENT = st.builds(
    lambda day, long, short, of: Sent(day, long + short, long, of),
    st.dates(FIRST, FIRST + 16 * DAY),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.sampled_from(["1", "2"]),
)


@settings(max_examples=40)
@given(sent=st.lists(SENT, max_size=10), included=st.integers(0, 10**10))
async def test_costs_are_traces_times_price(sent: list[Sent], included: int) -> None:
    """Base charges beyond what the month's plan covers, and upgrades, cost what fractions give, to the last digit."""
    found, _ = await read(Organization(sent), 29, **PRICES, includedTraces=included)

    traces, long = sum(each.traces for each in sent), sum(each.long for each in sent)
    expected = Fraction(max(0, traces - included)) * Fraction("0.0025") + Fraction(long) * Fraction("0.002")
    assert sum((Fraction(charge.billed_cost or 0) for charge in found), Fraction(0)) == expected
    assert sum(charge.consumed_quantity or 0 for charge in found) == traces + long


async def test_traces_become_charges_that_say_how_they_were_priced() -> None:
    """The base charge and the upgrade stand apart, with the workspace, the price and the date of the list."""
    base, upgrade = (await read(Organization([Sent(FIRST, 1500, 400)]), **PRICES))[0]

    assert base == Charge(
        charge_period_start=midnight(FIRST),
        charge_period_end=midnight(FIRST) + DAY,
        billing_currency="USD",
        billed_cost=Decimal("3.75"),
        x_origin="estimate",
        service_name="LangSmith",
        service_provider_name="LangChain",
        charge_frequency="Usage-Based",
        charge_description="workspace_name 1, traces",
        service_category="AI and Machine Learning",
        sub_account_id="workspace_id 1",
        sub_account_name="workspace_name 1",
        sku_id="trace",
        consumed_quantity=Decimal(1500),
        consumed_unit="Traces",
        pricing_quantity=Decimal("1.5"),
        pricing_unit="1000 Traces",
        extra={
            "ListUnitPrice": "2.5",
            "x_price_list_date": "2026-02-28",
            "x_price_list": "the Provider's own prices",
        },
    )
    assert (upgrade.sku_id, upgrade.consumed_quantity, upgrade.billed_cost) == (
        "trace-extended",
        Decimal(400),
        Decimal("0.8"),
    )


async def test_without_a_declared_price_traces_are_unpriced() -> None:
    """No list ships for LangSmith: counts are shown, and cost what nobody has said, not nothing."""
    found, _ = await read(Organization([Sent(FIRST, 1500, 400)]))

    assert [(charge.billed_cost, charge.sku_id) for charge in found] == [(None, "trace"), (None, "trace-extended")]


async def test_the_months_first_traces_may_be_the_plans() -> None:
    """What a plan covers is used up from the month's beginning on, even where only later days are asked for."""
    sent = [Sent(date(2026, 3, 1), 600), Sent(FIRST, 600), Sent(date(2026, 3, 3), 600)]
    found, _ = await read(Organization(sent), **PRICES, includedTraces=1000)

    assert [charge.billed_cost for charge in found] == [Decimal("0.5"), Decimal("1.5")]
    assert [(charge.extra or {}).get("x_included_quantity") for charge in found] == ["400", None]


@pytest.mark.parametrize(
    ("split", "account", "name", "key"),
    [
        ("Project", "project_id 1", "project_name 1", None),
        ("User", "user_id 1", "user_email 1", None),
        ("APIKey", None, None, "api_key_short_key 1"),
    ],
)
async def test_traces_can_be_told_by_other_dimensions(
    split: str, account: str | None, name: str | None, key: str | None
) -> None:
    """Projects, users and keys have their places; of a key only its short form is known."""
    (charge,), requests = await read(Organization([Sent(FIRST, 1)]), split=split)

    assert (charge.sub_account_id, charge.sub_account_name) == (account, name)
    assert (charge.extra or {}).get("x_api_key_name") == key
    assert requests[0].first("group_by") == {"Project": "project", "User": "user", "APIKey": "api_key"}[split]


async def test_what_has_no_name_goes_by_its_id() -> None:
    """A workspace that is gone keeps its id."""
    (charge,), _ = await read(Organization([Sent(FIRST, 1)], unnamed=True))

    assert charge.sub_account_name == "workspace_id 1"


async def test_months_are_asked_for_whole_and_by_days() -> None:
    """A month takes a call for all traces and one for each tier; ranges never grow beyond buckets of a day."""
    sent = [Sent(date(2026, 2, 28), 1), Sent(date(2026, 3, 1), 2)]
    async with ScriptedServer() as server:
        Organization(sent).open(server)
        async with opened(server, **PRICES) as connector:
            found = await read_days(connector, date(2026, 2, 28), date(2026, 3, 2))
            asked = [
                [request.first(name) for name in ("start_time", "end_time", "trace_tier")]
                for request in server.requests
            ]

    assert [charge.consumed_quantity for charge in found] == [2, 1]
    march, february = ["2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"], ["2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"]
    tiers = [None, "longlived", "shortlived"]
    assert asked == [[*month, tier] for month in (march, february) for tier in tiers]


async def test_days_from_before_langsmith_counted_are_left_alone() -> None:
    """Granular usage begins on 5 January 2026: earlier days are not told, which is not the same as none."""
    async with ScriptedServer() as server, opened(server) as connector:
        span = Span.of_days(date(2025, 11, 20), date(2026, 2, 3))
        windows = await connector.windows([span], span)

    assert [window.start for window in windows] == [midnight(date(2026, 2, 1)), midnight(date(2026, 1, 5))]


async def test_tiers_that_are_not_told_apart_are_not_counted_twice() -> None:
    """A LangSmith that ignores the tier would upgrade every trace: it is said what to set, and nothing is stored."""
    organization = Organization([Sent(FIRST, 100)], tiers=False)
    with pytest.raises(NeedsPerson, match=r"langsmith\.tiers"):
        await read(organization, **PRICES)
    (charge,), requests = await read(organization, **PRICES, tiers="None")

    assert charge.billed_cost == Decimal("0.25")
    assert len(requests) == 1


async def test_traces_that_move_meanwhile_are_read_again() -> None:
    """If the tiers do not add up to all traces, the month is of two moments: nothing is stored."""
    async with ScriptedServer() as server:
        before, after = Organization([Sent(FIRST, 100, 10)]), Organization([Sent(FIRST, 101, 10)])
        server.route("GET", USAGE, lambda request: (after if request.first("trace_tier") else before)._usage(request))
        async with opened(server) as connector:
            with pytest.raises(RetryLater, match="moved"):
                await read_days(connector, FIRST, FIRST + DAY)


async def test_the_plan_is_a_fee_beside_the_traces() -> None:
    """Seats and the like are declared, and charged each month."""
    plan = {"name": "Plus, 3 seats", "amount": "117", "currency": "USD", "spread": "Daily"}
    found, _ = await read(Organization([]), **PRICES, plan=plan)

    assert [charge.charge_category for charge in found] == ["Purchase"] * 3
    assert sum(charge.billed_cost or 0 for charge in found) == Decimal("11.34")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"stride": {"days": 7, "hours": 0}}, "not by days"),
        ({"stride": {"days": 0, "hours": 1}}, "not by days"),
        ({"usage": [{"time_bucket": "2026-04-01T00:00:00Z", "dimensions": {}, "traces": 1}]}, "2026-04-01"),
        ({"usage": [{"time_bucket": "2026-03-02T00:00:00Z", "dimensions": {}}]}, r"usage\.0\.traces"),
        ({"usage": [{"time_bucket": "2026-03-02T00:00:00Z", "dimensions": {}, "traces": -1}]}, r"usage\.0\.traces"),
        ({"usage": None}, "usage"),
    ],
)
async def test_an_answer_that_is_not_as_documented_is_refused(overrides: Any, words: str) -> None:
    """Other buckets, months that were not asked for, and rows without a count reject the month."""
    with pytest.raises(Bug, match=words):
        await read(Organization(overrides=overrides))


async def check(reply: Reply | None = None, key: str = KEY, **block: Any) -> Account | ReconcilerError:
    """What `check` finds or raises; `reply` takes the place of every answer."""
    async with ScriptedServer() as server:
        Organization().open(server)
        if reply is not None:
            server.fail(reply)
        async with opened(server, key, **block) as connector:
            return await checked(connector)


async def test_check_of_good_keys() -> None:
    """A service key is good by itself, and a personal one with its organisation."""
    assert await check() == Account()
    assert await check(key=PERSONAL_KEY, organizationID="org-1") == Account("org-1")


@pytest.mark.parametrize(
    ("reply", "key", "reason", "words"),
    [
        (None, "lsv2_sk_unknown", "Unauthorized", "mistyped, expired or deleted"),
        (None, PERSONAL_KEY, "Forbidden", "langsmith.organizationID"),
        (Reply.json({"detail": "Not Found"}, 404), KEY, "NotFound", "langsmith.baseURL"),
        (Reply.json({"detail": "bad range"}, 422), KEY, "Refused", "bad range"),
        (Reply(status=403, body=b"blocked by proxy"), KEY, "Forbidden", "blocked by proxy"),
    ],
)
async def test_check_tells_refusals_apart(reply: Reply | None, key: str, reason: str, words: str) -> None:
    """Each kind of refusal has its reason, says what to do in LangSmith's words too, and shows no key."""
    error = await check(reply, key)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert LangSmith.traits.guide in str(error)
    assert key not in str(error)
