"""The LiteLLM connector against a server that speaks the proxy's protocol: pages over rows, overlapping breakdowns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.litellm import LiteLLM, LiteLLMSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.litellm_vendor import (
    KEY,
    NOW,
    OWN_KEY,
    RESERVED,
    Proxy,
    Row,
    detail,
    failure,
    hashed,
)
from tests.integration.connectors.talk import checked, read_days, talking

FIRST = date(2026, 3, 2)


def opened(server: ScriptedServer, key: str = KEY, now: datetime = NOW) -> AbstractAsyncContextManager[LiteLLM]:
    return talking(LiteLLM, server, {"apiKey": key}, now, {"baseURL": server.url})


async def read(proxy: Proxy, days: int = 1, key: str = KEY) -> tuple[list[Charge], list[Request]]:
    """The charges of the first `days` days, and the requests that it took."""
    async with ScriptedServer() as server:
        proxy.open(server)
        async with opened(server, key) as connector:
            return await read_days(connector, FIRST, FIRST + days * DAY), server.requests


class TestLiteLLM(ConnectorConformance):
    """What every connector has to do."""

    connector = LiteLLM
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal("0.000000000001")
    credits = False
    duplicates = False

    def settings(self, base_url: str) -> LiteLLMSettings:
        return LiteLLMSettings.model_validate({"baseURL": base_url})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        rows = [Row(line.day, line.amount, line.item, f"sk-{line.project}") for line in lines]
        Proxy(rows, per_page=1).open(server)  # a day of the suite has two rows at most


SPENDS = st.decimals(0, 10**4, allow_nan=False, places=15)
ROWS = st.builds(
    Row,
    day=st.dates(FIRST, FIRST + 3 * DAY),
    spend=SPENDS,
    flat_cost=st.just(Decimal(0)),
    model=st.sampled_from(["gpt-6-sol", "openai/llama3", "claude-opus-5"]),
    key=st.sampled_from(["sk-ci", "sk-search", "unattributed", RESERVED]),
    provider=st.sampled_from(["openai", "anthropic"]),
    prompt_tokens=st.integers(0, 10**9),
)


@settings(max_examples=40)
@given(rows=st.lists(ROWS, max_size=25), per_page=st.integers(1, 12))
async def test_charges_add_up_to_the_rows(rows: list[Row], per_page: int) -> None:
    """However the rows fall onto pages, each day's spend and tokens are the sum of its rows, to the last digit."""
    rows = [row for row in rows if row.key != RESERVED]
    found, _ = await read(Proxy(rows, per_page=per_page), 4)

    spend: dict[date, Fraction] = defaultdict(Fraction)
    for charge in found:
        spend[charge.charge_period_start.date()] += Fraction(charge.billed_cost or 0)
    for row in rows:
        spend[row.day] -= Fraction(row.spend)
    assert not any(spend.values())
    tokens = sum(charge.consumed_quantity or 0 for charge in found)
    assert tokens == sum(row.prompt_tokens + row.completion_tokens for row in rows)
    assert len(found) == len({(row.day, row.model, row.key) for row in rows})


async def test_a_keys_calls_of_a_model_become_a_charge_with_all_that_is_known() -> None:
    """Team, key's alias, user, provider and tokens stand in the charge; it is an estimate in dollars."""
    row = Row(
        FIRST,
        Decimal("1.2345"),
        cache_read_input_tokens=40,
        cache_creation_input_tokens=10,
        api_requests=3,
    )
    known = {"key_alias": "ci", "team_id": "t1", "user_id": "ana", "user_email": "ana@example.com"}
    (charge,), _ = await read(Proxy([row], {"sk-ci": known}, teams=[("t0", "Other"), ("t1", "Search")], per_page=1))

    assert charge == Charge(
        charge_period_start=midnight(FIRST),
        charge_period_end=midnight(FIRST) + DAY,
        billing_currency="USD",
        billed_cost=Decimal("1.2345"),
        x_origin="estimate",
        service_name="LiteLLM",
        service_provider_name="LiteLLM",
        charge_frequency="Usage-Based",
        charge_description="gpt-6-sol, key ci",
        service_category="AI and Machine Learning",
        sub_account_id="t1",
        sub_account_name="Search",
        sku_id="gpt-6-sol",
        x_model="gpt-6-sol",
        consumed_quantity=Decimal(120),
        consumed_unit="Tokens",
        extra={
            "x_host_provider": "openai",
            "x_api_key_name": "ci",
            "x_user_id": "ana",
            "x_user_email": "ana@example.com",
            "x_requests": 3,
            "x_input_tokens": 100,
            "x_cached_input_tokens": 40,
            "x_cache_write_tokens": 10,
            "x_output_tokens": 20,
        },
    )


def test_totals_leave_the_proxy_out() -> None:
    """Its figures attribute what the model vendors bill, so they are not spend of their own."""
    assert LiteLLM.traits.attribution_only
    assert LiteLLM.traits.origin == "estimate"


@pytest.mark.parametrize(
    ("row", "cost"),
    [
        (Row(FIRST), None),
        (Row(FIRST, prompt_tokens=0, completion_tokens=0), None),
        (Row(FIRST, prompt_tokens=0, completion_tokens=0, successful_requests=0), Decimal(0)),
        (Row(FIRST, Decimal("0.01")), Decimal("0.01")),
    ],
)
async def test_no_spend_means_no_price(row: Row, cost: Decimal | None) -> None:
    """A model that answered and cost nothing is unpriced; only calls that failed are free."""
    (charge,), _ = await read(Proxy([row]))

    assert charge.billed_cost == cost
    assert charge.billing_currency == "USD"


async def test_reserved_throughput_is_a_purchase_beside_the_spend() -> None:
    """What reserved throughput costs stands outside the spend, belongs to no key, and is counted once."""
    reserved = Row(FIRST, key=RESERVED, flat_cost=Decimal(24), prompt_tokens=0, completion_tokens=0, api_requests=0)
    found, _ = await read(Proxy([Row(FIRST, Decimal(1)), reserved], per_page=1))

    assert [charge.billed_cost for charge in found] == [1, 24]
    assert [charge.charge_category for charge in found] == ["Usage", "Purchase"]
    assert found[1].charge_description == "gpt-6-sol, reserved throughput"


async def test_what_a_subscription_covers_is_shown_and_not_counted() -> None:
    """Calls that a subscription pays for cost nothing more; what they would have cost is their list cost."""
    (charge,), _ = await read(Proxy([Row(FIRST, Decimal("2.5"), provider="chatgpt")]))

    assert charge.billed_cost == 0
    assert charge.list_cost == Decimal("2.5")
    assert (charge.extra or {})["x_subscription_covered"] is True


async def test_no_key_and_no_hash_of_one_is_kept_whole() -> None:
    """Without an alias a key goes by the beginning of its hash; what is no hash may be a key and is not shown."""
    rows = [
        Row(FIRST, Decimal(1), key="sk-ci"),
        Row(FIRST, Decimal(1), key="unattributed"),
        Row(FIRST, Decimal(1), key="raw:abc"),
    ]
    found, _ = await read(Proxy(rows))

    names = [(charge.extra or {}).get("x_api_key_name") for charge in found]
    assert names == [hashed("sk-ci")[:12], None, None]
    assert not any(hashed("sk-ci") in repr(charge) for charge in found)


@pytest.mark.parametrize(
    ("rows", "providers"),
    [
        ([Row(FIRST), Row(FIRST, key="sk-b", provider="anthropic")], ["openai", "anthropic"]),
        ([Row(FIRST, model="openai/x"), Row(FIRST, model="y", provider="anthropic")], ["openai", None]),
    ],
)
async def test_the_provider_is_told_where_it_is_certain(rows: list[Row], providers: list[str | None]) -> None:
    """The breakdown by provider is not by model: a key's only provider is known, and one that the model names."""
    found, _ = await read(Proxy(rows))

    assert [(charge.extra or {}).get("x_host_provider") for charge in found] == providers


async def test_calls_without_a_model_are_not_lost() -> None:
    """What no model's bucket holds is counted under LiteLLM's own word for it."""
    found, _ = await read(Proxy([Row(FIRST, Decimal("0.25")), Row(FIRST, Decimal("0.5"))], models_told=False))

    assert [(charge.x_model, charge.billed_cost) for charge in found] == [("unknown-model", Decimal("0.75"))]


async def test_each_day_is_asked_for_by_itself() -> None:
    """Days take a call each, over the end of a month too; the key and the teams are looked at once a sync."""
    rows = [Row(date(2026, 2, 28), Decimal(1)), Row(date(2026, 3, 1), Decimal(2))]
    async with ScriptedServer() as server:
        Proxy(rows).open(server)
        async with opened(server) as connector:
            found = await read_days(connector, date(2026, 2, 28), date(2026, 3, 2))
            asked = [
                (request.path, request.first("start_date"), request.first("end_date")) for request in server.requests
            ]

    assert {charge.charge_period_start: charge.billed_cost for charge in found} == {
        midnight(date(2026, 2, 28)): Decimal(1),
        midnight(date(2026, 3, 1)): Decimal(2),
    }
    assert asked == [
        ("/user/daily/activity", "2026-03-01", "2026-03-01"),
        ("/user/daily/activity", "2026-03-20", "2026-03-20"),
        ("/v2/team/list", None, None),
        ("/user/daily/activity", "2026-02-28", "2026-02-28"),
    ]


async def test_late_calls_change_a_day() -> None:
    """A day read again has what was written to it since."""
    early, late = Row(FIRST, Decimal(1)), Row(FIRST, Decimal(2), key="sk-late")
    before, _ = await read(Proxy([early]))
    after, _ = await read(Proxy([early, late]))

    assert [charge.billed_cost for charge in before] == [1]
    assert [charge.billed_cost for charge in after] == [1, 2]


async def test_a_key_that_sees_only_its_own_reads_nothing() -> None:
    """An ordinary key would be answered with its own spend alone, without a word: it is refused before."""
    with pytest.raises(NeedsPerson, match="its own spend only"):
        await read(Proxy([Row(FIRST, Decimal(1))]), key=OWN_KEY)


async def test_teams_that_cannot_be_listed_go_by_their_ids() -> None:
    """Costs do not wait for names."""
    async with ScriptedServer() as server:
        Proxy([Row(FIRST, Decimal(1))], {"sk-ci": {"team_id": "t1"}}, teams=[("t1", "Search")]).open(server)
        server.route("GET", "/v2/team/list", lambda _: Reply.json({"detail": "Not Found"}, 404))
        async with opened(server) as connector:
            (charge,) = await read_days(connector, FIRST, FIRST + DAY)

    assert (charge.sub_account_id, charge.sub_account_name) == ("t1", "t1")


def page(number: int, *, pages: int, day: date = FIRST) -> Any:
    metrics = {"spend": Decimal(1), "api_requests": 1}
    return {
        "results": [
            {"date": day.isoformat(), "metrics": metrics, "breakdown": {"models": {"m": {"metrics": metrics}}}}
        ],
        "metadata": {"page": number, "total_pages": pages, "has_more": number < pages},
    }


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [
        ([page(1, pages=2), page(2, pages=3), page(3, pages=3)], RetryLater, "grew"),
        ([page(2, pages=2)], Bug, "page 2 for page 1"),
        ([page(1, pages=1, day=FIRST + DAY)], Bug, "2026-03-03"),
        ([{"results": [], "metadata": {}}], Bug, "metadata.page"),
        ([{**page(1, pages=1), "results": [{"date": "2026-03-02", "metrics": {"spend": "x"}}]}], Bug, r"results\.0\."),
    ],
)
async def test_answers_that_do_not_fit_together_are_not_kept(
    answers: list[Any], error: type[ReconcilerError], words: str
) -> None:
    """Pages that moved, other pages and days than asked for, and what is not as documented leave the day as it was."""
    async with ScriptedServer() as server:
        server.route("GET", "/v2/team/list", lambda _: Reply.json({"teams": [], "total_pages": 0}))
        server.route("GET", "/user/daily/activity", lambda request: Reply.json(_answer(request, answers)))
        async with opened(server) as connector:
            with pytest.raises(error, match=words):
                [batch async for batch in connector.charges(Window(Span.of_days(FIRST, FIRST + DAY)))]


def _answer(request: Request, answers: list[Any]) -> Any:
    if request.first("user_id"):
        return {"results": [], "metadata": {"page": 1, "total_pages": 0, "has_more": False}}
    return answers[int(request.first("page") or 1) - 1]


async def check(reply: Reply | None = None, key: str = KEY) -> Account | ReconcilerError:
    """What `check` finds or raises; `reply` takes the place of every answer."""
    async with ScriptedServer() as server:
        Proxy().open(server)
        if reply is not None:
            server.fail(reply)
        async with opened(server, key) as connector:
            return await checked(connector)


async def test_check_of_a_good_key() -> None:
    """A key that sees everybody's spend is good."""
    assert await check() == Account()


@pytest.mark.parametrize(
    ("reply", "key", "reason", "words"),
    [
        (None, "sk-unknown", "Unauthorized", "mistyped, expired, blocked or deleted"),
        (None, OWN_KEY, "Forbidden", "proxy_admin_viewer"),
        (detail(500, "DB not connected. See https://docs.litellm.ai"), KEY, "NotFound", "DATABASE_URL"),
        (Reply.json({"detail": "Not Found"}, 404), KEY, "NotFound", "litellm.baseURL"),
        (failure(400, "Budget has been exceeded!", "budget_exceeded"), KEY, "BadRequest", "Budget has been exceeded"),
        (Reply(status=403, body=b"blocked by gateway"), KEY, "Forbidden", "blocked by gateway"),
    ],
)
async def test_check_tells_refusals_apart(reply: Reply | None, key: str, reason: str, words: str) -> None:
    """Each kind of refusal has its reason, says what to do in LiteLLM's words too, and shows no key."""
    error = await check(reply, key)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert LiteLLM.traits.guide in str(error)
    assert key not in str(error)


async def test_an_overloaded_proxy_is_asked_later() -> None:
    """The proxy's 503 is waited out, and then given up until the next sync."""
    busy = {"error": {"message": "overloaded", "type": "overloaded_error", "param": None, "code": "503"}}
    error = await check(Reply.json(busy, 503, {"Retry-After": "1"}))

    assert isinstance(error, RetryLater)
