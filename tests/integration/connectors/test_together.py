"""The Together connector against a server that speaks the documented protocol: months in pages of windows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight, month_start
from reconciler.connectors.base import BATCH, Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.scripted import Reply, Request, ScriptedServer, dump
from reconciler.connectors.together import Together, TogetherSettings
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.talk import checked, read_days, talking
from tests.integration.connectors.together_vendor import HOUR, KEY, NOW, WHO, Books, failure, item, stamp

FIRST = date(2026, 3, 2)


def opened(
    server: ScriptedServer, key: str = KEY, now: datetime = NOW, **block: Any
) -> AbstractAsyncContextManager[Together]:
    return talking(Together, server, {"apiKey": key}, now, {"baseURL": server.url, **block})


async def read(books: Books, days: int = 3, **block: Any) -> tuple[list[Charge], list[Request]]:
    """The charges of the first `days` days, and the requests that it took."""
    async with ScriptedServer() as server:
        books.open(server)
        async with opened(server, now=books.now, **block) as connector:
            return await read_days(connector, FIRST, FIRST + days * DAY), server.requests


class Either(ConnectorConformance):
    """What every connector has to do, by days and by hours."""

    connector = Together
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal("0.0000000001")
    granularity: ClassVar[str]

    def settings(self, base_url: str) -> TogetherSettings:
        return TogetherSettings.model_validate({"baseURL": base_url, "granularity": self.granularity})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        items: dict[datetime, list[Any]] = defaultdict(list)
        for line in lines:
            hours = len(line.item) if self.granularity == "hour" else 0
            named = {"pricing_dimensions": {"model": line.item}, "attributes": {"project_id": line.project}}
            items[midnight(line.day) + hours * HOUR].append(item(line.amount, **named))
        Books(items, per_page=self.per_page).open(server)


class TestDays(Either):
    granularity = "day"


class TestHours(Either):
    granularity = "hour"


FORMS = st.sampled_from([str, lambda value: f"{value:f}", lambda value: f"{value:E}"])
AMOUNTS = st.one_of(
    st.decimals(-(10**6), 10**9, allow_nan=False, places=12),
    st.decimals(0, 1, allow_nan=False, places=25),
    st.sampled_from([Decimal("1E-28"), Decimal("1.5E+9"), Decimal("-0.0")]),
)
ITEMS = st.builds(
    lambda cost, form, credit: item(form(cost), applied_credit={"type": credit} if credit else None),
    AMOUNTS,
    FORMS,
    st.sampled_from(["PREPAID", "POSTPAID", "CREDIT", None]),
)


@settings(max_examples=40)
@given(hours=st.dictionaries(st.integers(0, 17 * 24), st.lists(ITEMS, max_size=5)), per_page=st.integers(1, 40))
async def test_charges_add_up_to_what_the_json_says(hours: Mapping[int, Sequence[Any]], per_page: int) -> None:
    """By hour the charges add up to what an independent reading of the JSON gives, to the last digit."""
    books = Books({midnight(FIRST) + hour * HOUR: items for hour, items in hours.items()}, per_page=per_page)
    found, _ = await read(books, 19, granularity="hour")

    sums: dict[datetime, Fraction] = defaultdict(Fraction)
    for charge in found:
        assert charge.charge_period_end - charge.charge_period_start == HOUR
        sums[charge.charge_period_start] += Fraction(charge.billed_cost or 0)
    for hour, items in json.loads(dump(hours)).items():
        sums[midnight(FIRST) + int(hour) * HOUR] -= sum(Fraction(each["cost"]) for each in items)
    assert len(found) == sum(map(len, hours.values()))
    assert not any(sums.values())


async def test_a_line_item_becomes_a_charge_with_all_it_says() -> None:
    """Every field has its column; a quantity whose unit is not told is no consumed quantity."""
    line = item("250.10", pricing_dimensions={"model": "meta-llama/Llama-4", "region": "us-west", "tier": "batch"})
    line["attributes"]["cluster_id"] = "cl_1"
    (charge,), _ = await read(Books({midnight(FIRST): [line]}))

    assert charge == Charge(
        charge_period_start=midnight(FIRST),
        charge_period_end=midnight(FIRST) + DAY,
        billing_currency="USD",
        billed_cost=Decimal("250.1"),
        x_origin="api",
        service_name="Together AI",
        service_provider_name="Together AI",
        charge_frequency="Usage-Based",
        charge_description="Serverless Inference - Input Tokens",
        service_category="AI and Machine Learning",
        billing_account_id="org_1",
        sub_account_id="proj_1",
        sub_account_name="Search",
        region_id="us-west",
        sku_id="Serverless Inference - Input Tokens",
        x_model="meta-llama/Llama-4",
        x_token_type="input",
        pricing_quantity=Decimal("1250.5"),
        extra={
            "x_unit_price": "0.2",
            "x_applied_credit": "PREPAID",
            "x_api_key_id": "key_1",
            "x_pricing_dimensions": {"tier": "batch"},
            "x_attributes": {"cluster_id": "cl_1"},
        },
    )


@pytest.mark.parametrize(
    ("name", "token_type"),
    [
        ("Serverless Inference - Input Tokens", "input"),
        ("Serverless Inference - Cached Input Tokens", "cached_input"),
        ("Serverless Inference - Output Tokens", "output"),
        ("Prompt tokens", "input"),
        ("Fine-tuning Tokens", None),
        ("GPU Cluster - Input Storage", None),
    ],
)
async def test_token_types_are_told_by_the_product(name: str, token_type: str | None) -> None:
    """The product's name is all that tells the kind of tokens; what does not tell it says nothing."""
    (charge,), _ = await read(Books({midnight(FIRST): [item(1, product_name=name)]}))

    assert charge.x_token_type == token_type


async def test_what_may_be_missing_is_not_made_up() -> None:
    """A line with a name and a cost is enough; fields of other types than texts are kept as texts."""
    bare = {
        "product_name": "GPU Cluster",
        "cost": "5",
        "attributes": None,
        "pricing_dimensions": {"gpus": 8, "x": None},
    }
    (charge,), _ = await read(Books({midnight(FIRST): [bare]}))

    assert (charge.billed_cost, charge.sub_account_id, charge.pricing_quantity) == (Decimal(5), None, None)
    assert charge.extra == {"x_pricing_dimensions": {"gpus": "8"}}


async def test_only_the_keys_own_project_has_a_name() -> None:
    """Together names the key's project; others go by their ids."""
    items = [item(1), item(1, attributes={"project_id": "proj_2"}), item(1, attributes={})]
    found, _ = await read(Books({midnight(FIRST): items}))

    assert [charge.sub_account_name for charge in found] == ["Search", "proj_2", None]


@pytest.mark.parametrize(
    ("who", "named"),
    [(WHO, "org_1"), ({"type": "user_jwt", "user": {"id": "u"}}, None)],
)
async def test_the_organisation_is_named_where_it_is_known(who: Any, named: str | None) -> None:
    """Calls name the organisation of the key, as Together wants them to one day; one lookup serves the sync."""
    _, requests = await read(Books({midnight(FIRST): [item(1)]}, who), 29)

    assert [request.path for request in requests] == ["/v3/whoami", "/v1/billing/usage"]
    assert requests[1].first("organization_id") == named


async def test_an_organisation_that_is_set_is_not_looked_up() -> None:
    """With the id in the settings, costs take one call a month, and names are left out."""
    (charge,), requests = await read(Books({midnight(FIRST): [item(1)]}), organizationID="org_1")

    assert [request.path for request in requests] == ["/v1/billing/usage"]
    assert charge.sub_account_name == "proj_1"


@pytest.mark.parametrize(
    ("granularity", "end"), [("day", datetime(2026, 3, 20, tzinfo=UTC)), ("hour", datetime(2026, 3, 21, tzinfo=UTC))]
)
async def test_days_that_are_not_told_are_left_alone(granularity: str, end: datetime) -> None:
    """By days today is never told, so it is not read; months are read whole, newest first."""
    async with ScriptedServer() as server, opened(server, granularity=granularity) as connector:
        due = [Span.of_days(date(2026, 2, 27), date(2026, 3, 21))]
        windows = await connector.windows(due, Span.of_days(date(2026, 2, 10), date(2026, 3, 21)))
        first = await connector.windows([Span.of_days(NOW.date(), NOW.date() + DAY)], due[0])

    assert [(window.start, window.end) for window in windows] == [
        (datetime(2026, 3, 1, tzinfo=UTC), end),
        (datetime(2026, 2, 10, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
    ]
    assert month_start(first[0].start) == first[0].start


async def test_on_the_first_of_a_month_there_is_nothing_to_read_of_it() -> None:
    """By days, a month that is one day old has no window yet."""
    async with ScriptedServer() as server, opened(server, now=datetime(2026, 3, 1, 1, tzinfo=UTC)) as connector:
        today = Span.of_days(date(2026, 3, 1), date(2026, 3, 2))

        assert await connector.windows([today], today) == []


async def test_large_months_come_in_batches() -> None:
    """However many lines a month has, a batch stays small and none is lost."""
    async with ScriptedServer() as server:
        Books({midnight(FIRST): [item(1)] * (BATCH + 1), midnight(FIRST) + DAY: [item(1)] * BATCH}).open(server)
        async with opened(server) as connector:
            window = Window(Span.of_days(FIRST, FIRST + 2 * DAY))
            sizes = [len(batch) async for batch in connector.charges(window)]

    assert sizes == [BATCH, BATCH, 1]


async def read_pages(*pages: Mapping[str, Any]) -> list[Charge]:
    """The charges of March as the played pages tell it; each page names the next."""

    def page(request: Request) -> Reply:
        here = int(request.first("after") or 0)
        cursor = str(here + 1) if here + 1 < len(pages) else None
        common = {"billing_period": "2026-03", "currency": "USD", "organization_id": "org_1", "next_cursor": cursor}
        return Reply.json({**common, **pages[here]})

    async with ScriptedServer() as server:
        server.route("GET", "/v1/billing/usage", page)
        async with opened(server, organizationID="org_1") as connector:
            return await read_days(connector, FIRST, FIRST + 3 * DAY)


def window(day: int, *items: Any) -> Any:
    start = midnight(FIRST) + day * DAY
    return {"start_time": stamp(start), "end_time": stamp(start + DAY), "line_items": items}


async def test_a_month_that_moves_is_read_again() -> None:
    """Pages that speak of different states of the month are no whole month: the next sync reads it again."""
    ends = ("2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z")
    first, second = ({"data": [window(n, item(1))], "latest_window_end": end} for n, end in enumerate(ends))
    with pytest.raises(RetryLater, match="moved"):
        await read_pages(first, second)

    assert len(await read_pages(first, {**second, "latest_window_end": ends[0]})) == 2


@pytest.mark.parametrize(
    ("page", "reason", "words"),
    [
        ({"data": [window(0, item(1)), window(0, item(1))]}, "CursorLoop", "twice"),
        ({"data": [window(40, item(1))]}, "UnexpectedAnswer", "2026-04-11"),
        ({"data": [], "billing_period": "2026-02"}, "UnexpectedAnswer", "2026-02"),
        ({"data": [], "organization_id": "org_2"}, "UnexpectedAnswer", "org_2"),
        ({"data": [], "currency": "dollars"}, "UnexpectedAnswer", "currency"),
        ({"data": [window(0, item("free"))]}, "UnexpectedAnswer", r"data\.0\.line_items\.0\.cost"),
        ({"data": [window(0, item(1), {**item(1), "cost": None})]}, "UnexpectedAnswer", r"line_items\.1\.cost"),
        ({"data": [{**window(0), "start_time": "2026-03-02T00:00:00"}]}, "UnexpectedAnswer", "start_time"),
    ],
)
async def test_an_answer_to_another_question_is_refused(page: Mapping[str, Any], reason: str, words: str) -> None:
    """Windows that come twice or of another month, other organisations and lines without a cost reject the month."""
    with pytest.raises(Bug, match=words) as caught:
        await read_pages(page)
    assert caught.value.reason == reason


async def check(reply: Reply | None = None, key: str = KEY, path: str = "*", **block: Any) -> Account | ReconcilerError:
    """What `check` finds or raises; `reply` takes the place of the answers on `path`."""
    async with ScriptedServer() as server:
        Books().open(server)
        if reply is not None:
            server.fail(reply) if path == "*" else server.route("GET", path, lambda _: reply)
        async with opened(server, key, **block) as connector:
            return await checked(connector)


async def test_check_of_a_good_key() -> None:
    """A good key names its organisation; without a name where Together does not tell whose key it is."""
    assert await check() == Account("org_1", "Example")
    assert await check(failure(404, "Not found"), path="/v3/whoami") == Account("org_1", None)


@pytest.mark.parametrize(
    ("reply", "key", "block", "reason", "words"),
    [
        (None, "tgp_v1_unknown", {}, "Unauthorized", "mistyped, expired or deleted"),
        (None, KEY, {"organizationID": "org_2"}, "Forbidden", "together.organizationID"),
        (failure(404, "Not found"), KEY, {}, "NotFound", "support has to enable it"),
        (Reply.json({"code": "NOT_FOUND", "message": "no such route"}, 404), KEY, {}, "NotFound", "no such route"),
        (failure(400, "Invalid month"), KEY, {}, "BadRequest", "Invalid month"),
        (Reply(status=403, body=b"blocked by proxy"), KEY, {}, "Forbidden", "blocked by proxy"),
    ],
)
async def test_check_tells_keys_apart(
    reply: Reply | None, key: str, block: Mapping[str, Any], reason: str, words: str
) -> None:
    """Each kind of refusal has its reason, says what to do in Together's words too, and shows no key."""
    error = await check(reply, key, **block)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert key not in str(error)
