"""The OpenRouter connector against a server that speaks the documented protocol: activity by day, and workspaces."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, midnight
from reconciler.connectors.base import BATCH, Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.openrouter import OpenRouter, OpenRouterSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer, dump
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.talk import checked, read_days, talking

KEY = "sk-or-v1-0123456789abcdef"
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 2)
TOO_OLD = "Date must be within the last 30 (completed) UTC days"


def failure(status: int, message: str) -> Reply:
    return Reply.json({"error": {"code": status, "message": message}}, status)


def row(usage: object, **fields: Any) -> Any:
    """A row of /activity, as the specification's example has it."""
    return {
        "model": "openai/gpt-4.1",
        "model_permaslug": "openai/gpt-4.1-2025-04-14",
        "endpoint_id": "550e8400-e29b-41d4-a716-446655440000",
        "provider_name": "OpenAI",
        "usage": usage,
        "byok_usage_inference": 0,
        "requests": 5,
        "prompt_tokens": 50,
        "completion_tokens": 125,
        "reasoning_tokens": 25,
        **fields,
    }


@dataclass
class Books:
    """What the played OpenRouter knows: rows by day, and workspaces. `now` is its own clock."""

    rows: Mapping[date, Sequence[Any]] = field(default_factory=dict)
    workspaces: Sequence[Any] = ()
    now: datetime = NOW
    midnights: str = ""
    """What stands behind a date: nothing, or a time, which real answers were seen to have."""

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", "/activity", self._activity)
        server.route("GET", "/workspaces", self._workspaces)

    def _activity(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return failure(403, "Only management keys can perform this operation")
        if request.first("group_by") != "workspace":
            return failure(400, "Invalid request parameters")
        day = date.fromisoformat(request.first("date") or "")
        if not self.now.date() - 30 * DAY <= day < self.now.date():
            return failure(400, TOO_OLD)
        rows = [{"date": f"{day}{self.midnights}", **each} for each in self.rows.get(day, ())]
        return Reply.json({"data": rows})

    def _workspaces(self, request: Request) -> Reply:
        start, limit = (int(request.first(name) or 0) for name in ("offset", "limit"))
        if not 1 <= limit <= 100:
            return failure(400, "Invalid request parameters")
        return Reply.json({"data": self.workspaces[start : start + limit], "total_count": len(self.workspaces)})


def opened(server: ScriptedServer, now: datetime = NOW, key: str = KEY) -> AbstractAsyncContextManager[OpenRouter]:
    return talking(OpenRouter, server, {"apiKey": key}, now, {"baseURL": server.url})


async def read(books: Books, days: int = 3) -> tuple[list[Charge], list[Request]]:
    """The charges of the first `days` days, and the requests that it took."""
    async with ScriptedServer() as server:
        books.open(server)
        async with opened(server, books.now) as connector:
            return await read_days(connector, FIRST, FIRST + days * DAY), server.requests


class TestOpenRouter(ConnectorConformance):
    """What every connector has to do, done by this one."""

    connector = OpenRouter
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal("0.00000001")
    paged = False

    def settings(self, base_url: str) -> OpenRouterSettings:
        return OpenRouterSettings(base_url=base_url)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        rows: dict[date, list[Any]] = defaultdict(list)
        for line in lines:
            rows[line.day].append(row(line.amount, model=line.item, workspace_id=f"ws_{line.project}"))
        Books(rows, [{"id": "ws_one", "name": "One"}, {"id": "ws_two", "name": "Two"}]).open(server)


AMOUNTS = st.one_of(
    st.decimals(-(10**6), 10**9, allow_nan=False, places=12),
    st.decimals(0, 1, allow_nan=False, places=25),
    st.sampled_from([Decimal("1E-28"), Decimal("1.5E+9"), Decimal("-0.0"), Decimal("0.30000000000000004")]),
)
ROWS = st.builds(
    lambda usage, byok, space: row(usage, byok_usage_inference=byok, workspace_id=space),
    AMOUNTS | st.integers(0, 10**6),
    AMOUNTS,
    st.sampled_from(["ws_1", "ws_2"]),
)


@settings(max_examples=40)
@given(days=st.lists(st.lists(ROWS, max_size=6), min_size=1, max_size=8))
async def test_charges_add_up_to_what_the_json_says(days: list[list[Any]]) -> None:
    """By day, cost and BYOK add up, each by itself, to what an independent reading of the JSON gives, to the digit."""
    found, _ = await read(Books({FIRST + number * DAY: rows for number, rows in enumerate(days)}), len(days))

    for number, rows in enumerate(json.loads(dump(days), parse_float=Fraction, parse_int=Fraction)):
        mine = [each for each in found if each.charge_period_start == midnight(FIRST) + number * DAY]
        assert len(mine) == len(rows)
        assert sum(Fraction(each.billed_cost or 0) for each in mine) == sum(each["usage"] for each in rows)
        apart = (Fraction(str((each.extra or {}).get("x_byok_usage_inference", 0))) for each in mine)
        assert sum(apart) == sum(each["byok_usage_inference"] for each in rows)


async def test_a_row_becomes_a_charge_with_all_it_says() -> None:
    """Every field of a row has its column, and what another vendor bills is in no amount."""
    books = Books({FIRST: [row(Decimal("0.015"), byok_usage_inference=Decimal("0.012"), workspace_id="ws_1")]})
    books.workspaces = [{"id": "ws_1", "name": "Production"}]
    (charge,), _ = await read(books)

    assert charge == Charge(
        charge_period_start=midnight(FIRST),
        charge_period_end=midnight(FIRST) + DAY,
        billing_currency="USD",
        billed_cost=Decimal("0.015"),
        x_origin="api",
        service_name="OpenRouter API",
        service_provider_name="OpenRouter",
        charge_frequency="Usage-Based",
        charge_description="openai/gpt-4.1-2025-04-14 by OpenAI",
        service_category="AI and Machine Learning",
        sub_account_id="ws_1",
        sub_account_name="Production",
        sku_id="openai/gpt-4.1-2025-04-14",
        x_model="openai/gpt-4.1",
        consumed_quantity=Decimal(175),
        consumed_unit="Tokens",
        extra={
            "x_byok_usage_inference": "0.012",
            "x_host_provider": "OpenAI",
            "x_endpoint_id": "550e8400-e29b-41d4-a716-446655440000",
            "x_requests": 5,
            "x_input_tokens": 50,
            "x_output_tokens": 125,
            "x_reasoning_tokens": 25,
        },
    )


async def test_calls_with_own_keys_alone_cost_nothing_here() -> None:
    """A row of BYOK calls is a charge of 0, not a missing one and not an unpriced one."""
    (charge,), _ = await read(Books({FIRST: [row(0, byok_usage_inference=3)]}))

    assert (charge.billed_cost, (charge.extra or {})["x_byok_usage_inference"]) == (Decimal(0), "3")


async def test_dates_may_have_a_time_behind_them() -> None:
    """A date that is followed by a midnight is that day."""
    found, _ = await read(Books({FIRST + DAY: [row(1)]}, midnights=" 00:00:00"))

    assert [charge.charge_period_start for charge in found] == [midnight(FIRST) + DAY]


async def test_what_may_be_missing_is_not_made_up() -> None:
    """Without counts there is no quantity, without a workspace no sub-account and no call for names."""
    bare = {"model": "a/b", "usage": "1.5"}
    (charge,), requests = await read(Books({FIRST: [bare]}))

    assert (charge.billed_cost, charge.consumed_quantity, charge.sub_account_id) == (Decimal("1.5"), None, None)
    assert (charge.charge_description, charge.extra) == ("a/b", None)
    assert {request.path for request in requests} == {"/activity"}


async def test_workspaces_go_by_their_names() -> None:
    """Names are read once a sync, from as many pages as there are; one that is gone goes by its id."""
    spaces: list[Any] = [{"id": f"ws_{number}", "name": f"Name {number}"} for number in range(101)]
    rows = [row(1, workspace_id="ws_100"), row(1, workspace_id="ws_gone")]
    found, requests = await read(Books({FIRST: rows, FIRST + DAY: rows}, spaces))

    assert {(charge.sub_account_id, charge.sub_account_name) for charge in found} == {
        ("ws_100", "Name 100"),
        ("ws_gone", "ws_gone"),
    }
    assert [request.first("offset") for request in requests if request.path == "/workspaces"] == ["0", "100"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_costs_do_not_wait_for_names(status: int) -> None:
    """A key that may not list workspaces still yields every cost, by ids."""
    async with ScriptedServer() as server:
        Books({FIRST: [row(1, workspace_id="ws_1")]}).open(server)
        server.route("GET", "/workspaces", lambda _: failure(status, "no"))
        async with opened(server) as connector:
            (charge,) = await read_days(connector, FIRST, FIRST + DAY)

    assert (charge.billed_cost, charge.sub_account_name) == (Decimal(1), "ws_1")


async def test_large_days_come_in_batches() -> None:
    """However many rows a day has, a batch stays small and none is lost."""
    async with ScriptedServer() as server:
        Books({FIRST: [row(1)] * (BATCH + 1)}).open(server)
        async with opened(server) as connector:
            (window,) = await connector.windows([Span.of_days(FIRST, FIRST + DAY)], Span.of_days(FIRST, FIRST + DAY))
            sizes = [len(batch) async for batch in connector.charges(window)]

    assert sizes == [BATCH, 1]


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        (datetime(2026, 3, 20, 12, tzinfo=UTC), date(2026, 3, 19)),
        (datetime(2026, 3, 20, 0, 29, 59, tzinfo=UTC), date(2026, 3, 18)),
        (datetime(2026, 3, 20, 0, 30, tzinfo=UTC), date(2026, 3, 19)),
        (datetime(2026, 3, 1, 0, 10, tzinfo=UTC), date(2026, 2, 27)),
    ],
)
async def test_days_that_are_not_told_are_left_alone(now: datetime, newest: date) -> None:
    """Neither a day in progress nor one older than 30 days is ever read: its empty answer would wipe what is known."""
    async with ScriptedServer() as server:
        Books(now=now).open(server)
        async with opened(server, now) as connector:
            due = [Span(midnight(now.date()) - 60 * DAY, midnight(now.date()) + DAY)]
            days = [window.span for window in await connector.windows(due, due[0])]
            for window in await connector.windows(due, due[0]):
                assert [batch async for batch in connector.charges(window)] == []

    assert days[0] == Span.of_days(newest, newest + DAY)
    assert days[-1].start == midnight(now.date()) - 30 * DAY


async def test_a_day_that_leaves_while_it_is_read_waits_for_the_next_sync() -> None:
    """When midnight passes during a sync, the day that is no longer told is no person's fault and stays as it was."""
    books = Books()
    async with ScriptedServer() as server:
        books.open(server)
        async with opened(server) as connector:
            due = [Span(midnight(NOW.date()) - 30 * DAY, midnight(NOW.date()))]
            oldest = (await connector.windows(due, due[0]))[-1]
            books.now = NOW + timedelta(hours=12)
            with pytest.raises(RetryLater):
                [batch async for batch in connector.charges(oldest)]


async def test_another_day_than_the_one_asked_for_is_refused() -> None:
    """Rows of other days, which would be stored in the wrong place, reject the answer."""
    with pytest.raises(Bug, match="2026-03-09"):
        await read(Books({FIRST: [row(1, date="2026-03-09")]}))


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ({"usage": None}, r"data\.1\.usage"),
        ({"usage": "n/a"}, r"data\.1\.usage"),
        ({"usage": True}, r"data\.1\.usage"),
        ({"date": 5}, r"data\.1\.date"),
        ({"date": "yesterday"}, r"data\.1\.date"),
        ({"model": None}, r"data\.1\.model"),
        ({"byok_usage_inference": "many"}, r"data\.1\.byok_usage_inference"),
        ({"prompt_tokens": "many"}, r"data\.1\.prompt_tokens"),
    ],
)
async def test_an_incomplete_row_rejects_the_day(bad: Mapping[str, Any], place: str) -> None:
    """A row that cannot be read stops the window and says where it is; it is never counted as nothing."""
    with pytest.raises(Bug, match=place):
        await read(Books({FIRST: [row(1), row(1) | bad]}))


async def check(reply: Reply | None = None, key: str = KEY) -> Account | ReconcilerError:
    """What `check` finds or raises; `reply` takes the place of every answer."""
    async with ScriptedServer() as server:
        Books().open(server)
        if reply is not None:
            server.fail(reply)
        async with opened(server, key=key) as connector:
            return await checked(connector)


async def test_check_of_a_management_key() -> None:
    """A management key is good; which account it opens, OpenRouter does not say."""
    assert await check() == Account()


@pytest.mark.parametrize(
    ("reply", "key", "reason", "words"),
    [
        (None, "sk-or-v1-inference0", "Forbidden", "/settings/management-keys"),
        (failure(401, "User not found."), KEY, "Unauthorized", "mistyped, disabled or deleted"),
        (failure(404, "Not Found"), KEY, "NotFound", "openrouter.baseURL"),
        (failure(402, "Insufficient credits"), KEY, "Refused", "Insufficient credits"),
        (failure(400, "Invalid request parameters"), KEY, "BadRequest", "Invalid request parameters"),
        (Reply(status=403, body=b"blocked by proxy"), KEY, "Forbidden", "blocked by proxy"),
    ],
)
async def test_check_tells_keys_apart(reply: Reply | None, key: str, reason: str, words: str) -> None:
    """Each kind of refusal has its reason, says what to do in OpenRouter's words too, and shows no key."""
    error = await check(reply, key)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert key not in str(error)


async def test_a_rate_limit_is_waited_for() -> None:
    """A 429, which OpenRouter sends with its own envelope, is tried again and not taken for a wrong key."""
    error = await check(failure(429, "Rate limit exceeded"))

    assert isinstance(error, RetryLater)
    assert error.reason == "RateLimited"
