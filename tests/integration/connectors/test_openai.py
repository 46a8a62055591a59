"""The OpenAI connector against a server that speaks the documented protocol, pages, quirks and refusals included."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, EPOCH, Span, Window, midnight
from reconciler.connectors.base import BATCH, Account, Context, Credentials
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient
from reconciler.connectors.openai import OpenAI, OpenAISettings
from reconciler.connectors.scripted import Handler, Reply, Request, ScriptedServer, dump
from reconciler.errors import Bug, NeedsPerson

KEY = "sk-admin-0123456789abcdef"
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 2)
NONE: Mapping[str, Any] = {}
SCOPES = "You have insufficient permissions for this operation. Missing scopes: api.usage.read."


def failure(status: int, message: str, code: str | None = None) -> Reply:
    return Reply.json({"error": {"message": message, "type": "error", "param": None, "code": code}}, status)


def row(value: object, line_item: str | None = "gpt-5.5, input", project: str | None = None, **fields: Any) -> Any:
    """A cost row as the live API sends it, with more fields than are documented."""
    amount = {"value": value, "currency": "usd"}
    shown = {"object": "organization.costs.result", "amount": amount, "line_item": line_item, "project_id": project}
    return {**shown, "api_key_id": None, "organization_id": "org-1", "project_name": None, **fields}


@dataclass
class Books:
    """What the played OpenAI knows: cost and usage rows by day, and projects; `buckets` is its longest page."""

    costs: Mapping[date, Sequence[Any]] = field(default_factory=dict)
    usage: Mapping[date, Sequence[Any]] = field(default_factory=dict)
    projects: Sequence[Any] = ()
    buckets: int = 180

    def open(self, server: ScriptedServer) -> None:
        """Answer on `server`."""
        server.route("GET", "/organization/costs", lambda request: self._buckets(request, self.costs, 180))
        server.route("GET", "/organization/usage/*", lambda request: self._buckets(request, self.usage, 31))
        server.route("GET", "/organization/projects", self._projects)

    def _buckets(self, request: Request, rows: Mapping[date, Sequence[Any]], most: int) -> Reply:
        limit = int(request.first("limit") or 7)
        asked = [pair for pair in request.query if pair[0] != "page"]
        token, _, place = (request.first("page") or f"{hash(str(asked))}/0").partition("/")
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return failure(401, "Incorrect API key provided: sk-****.", "invalid_api_key")
        if not 1 <= limit <= most or request.first("bucket_width") != "1d" or token != str(hash(str(asked))):
            return failure(400, f"Invalid limit, bucket_width or page: {request.target}")
        start, end = (int(request.first(name) or 0) for name in ("start_time", "end_time"))
        days = [EPOCH + DAY * number for number in range(start // 86400, end // 86400)]
        here, following = int(place), int(place) + min(limit, self.buckets)
        only = request.every("project_ids[]")
        data = [_bucket(day, rows.get(day.date(), ()), only) for day in days[here:following]]
        more = following < len(days)
        cursor = f"{token}/{following}" if more else None
        return Reply.json({"object": "page", "data": data, "has_more": more, "next_page": cursor})

    def _projects(self, request: Request) -> Reply:
        known = [project for project in self.projects if request.first("include_archived") == "true"]
        after = request.first("after")
        start = next((place + 1 for place, project in enumerate(known) if project["id"] == after), 0)
        page = known[start : start + min(int(request.first("limit") or 20), 2)]
        more = start + len(page) < len(known)
        last = page[-1]["id"] if page else None
        return Reply.json({"object": "list", "data": page, "has_more": more, "last_id": last})


def _bucket(day: datetime, rows: Sequence[Any], only: Sequence[str]) -> Any:
    results = [each for each in rows if not only or each["project_id"] in only]
    start = int(day.timestamp())
    times = {"start_time": start, "end_time": start + 86400, "start_time_iso": day.isoformat()}
    return {"object": "bucket", **times, "results": results}


@asynccontextmanager
async def talking(server: ScriptedServer, key: str, waits: list[float], **block: Any) -> AsyncIterator[OpenAI]:
    """The connector, asking `server`; how long it would have waited is noted in `waits`."""

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    policy, meter = EgressPolicy(allow_loopback=True), Meter(clock=lambda: NOW)
    async with VendorClient(base_url=server.url, policy=policy, meter=meter, redact=(key,), sleep=wait) as http:
        yield OpenAI(OpenAISettings.model_validate(block), Context(http, Credentials({"apiKey": key}), NOW))


async def read(
    books: Books, days: int = 3, routes: Mapping[str, Handler] = NONE, **block: Any
) -> tuple[list[Charge], list[Request]]:
    """The charges of the first `days` days, and the requests that it took; `routes` take the place of the books'."""
    async with ScriptedServer() as server:
        books.open(server)
        for path, handler in routes.items():
            server.route("GET", path, handler)
        async with talking(server, KEY, [], **block) as connector:
            window = Window(Span.of_days(FIRST, FIRST + days * DAY))
            return [charge async for batch in connector.charges(window) for charge in batch], server.requests


class TestOpenAI(ConnectorConformance):
    """What every connector has to do, done by this one."""

    connector = OpenAI
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal("0.000001")

    def settings(self, base_url: str) -> OpenAISettings:
        return OpenAISettings(base_url=base_url)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        costs: dict[date, list[Any]] = defaultdict(list)
        for line in lines:
            amount = {"value": line.amount, "currency": line.currency.lower()}
            costs[line.day].append(row(0, f"{line.item}-1, input", f"proj_{line.project}", amount=amount))
        projects = [{"id": f"proj_{name}", "name": name} for name in ("one", "two", "three")]
        Books(costs, projects=projects, buckets=self.per_page).open(server)


FORMS: Sequence[Callable[[Decimal], object]] = (lambda value: value, str, lambda value: f"{value.normalize():f}")
AMOUNTS = st.one_of(
    st.decimals(-(10**9), 10**9, allow_nan=False, places=12),
    st.decimals(-1, 1, allow_nan=False, places=25),
    st.sampled_from([Decimal("0E-6176"), Decimal("1E-28"), Decimal("1.5E+9"), Decimal("-0.0")]),
)
TEXTS = st.none() | st.text(max_size=20) | st.sampled_from(["gpt-5.5, input", "Promotional credit", "Sales tax"])
ROWS = st.builds(
    lambda value, form, code, text, project, quantity: row(
        0, text, project, amount={"value": form(value), "currency": code}, quantity=quantity, quantity_unit="tokens"
    ),
    AMOUNTS,
    st.sampled_from(FORMS),
    st.sampled_from(["usd", "USD", "eur"]),
    TEXTS,
    st.sampled_from([None, "proj_1", "proj_2"]),
    st.none() | st.integers(0, 10**9),
)


def independent_sums(body: str) -> dict[tuple[int, str], Fraction]:
    """The sums per day and currency of cost rows, read from the JSON text with other means than the connector's."""
    sums: dict[tuple[int, str], Fraction] = defaultdict(Fraction)
    for day, rows in json.loads(body, parse_float=Fraction, parse_int=Fraction).items():
        for each in rows:
            sums[int(day), each["amount"]["currency"].upper()] += Fraction(each["amount"]["value"])
    return {key: total for key, total in sums.items() if total}


@settings(max_examples=40)
@given(days=st.lists(st.lists(ROWS, max_size=6), min_size=1, max_size=12), buckets=st.integers(1, 12))
async def test_charges_add_up_to_what_the_json_says(days: list[list[Any]], buckets: int) -> None:
    """Per currency and day the charges add up to what an independent reading of the JSON gives, to the last digit."""
    text = dump(dict(enumerate(days)))
    costs = {FIRST + number * DAY: rows for number, rows in enumerate(days)}
    found, _ = await read(Books(costs, buckets=buckets), len(days), daysPerCall=5)

    sums: dict[tuple[int, str], Fraction] = defaultdict(Fraction)
    for charge in found:
        assert charge.billed_cost is not None
        sums[(charge.charge_period_start - midnight(FIRST)).days, charge.billing_currency] += Fraction(
            charge.billed_cost
        )
    assert len(found) == sum(map(len, days))
    assert {key: total for key, total in sums.items() if total} == independent_sums(text)


async def test_every_page_is_asked_for_with_all_parameters() -> None:
    """A cursor goes beside the whole question, in brackets as OpenAI's own clients write them."""
    _, requests = await read(Books({FIRST: [row(1)]}, buckets=2), 8, projectIDs=["proj_1", "proj_2"])
    costs = [request for request in requests if request.path == "/organization/costs"]

    assert len({request.first("page") for request in costs}) == len(costs) == 4
    for request in costs:
        assert request.every("group_by[]") == ["project_id", "line_item"]
        assert request.every("project_ids[]") == ["proj_1", "proj_2"]
        assert (request.first("limit"), request.first("bucket_width")) == ("8", "1d")
        assert request.first("start_time") == "1772409600"


async def test_a_month_takes_few_calls() -> None:
    """A month that measures itself and has no projects takes a call for every eight days, and no other."""
    measured = row(1, quantity=5, quantity_unit="tokens")
    found, requests = await read(Books({FIRST + number * DAY: [measured] for number in range(30)}), 30)

    assert len(found) == 30
    assert [request.path for request in requests] == ["/organization/costs"] * 4


async def test_projects_go_by_their_names() -> None:
    """Projects, archived ones too, are looked up once a sync; gone and nameless ones go by their ids."""
    known: list[Any] = [{"id": f"proj_{number}", "name": f"Name {number}", "status": "archived"} for number in range(5)]
    known.append({"id": "proj_nameless", "name": None})
    costs = [row(1, "a", "proj_4"), row(1, "b", "proj_gone"), row(1, "c", "proj_nameless"), row(1, "d", None)]
    found, requests = await read(Books({FIRST: costs, FIRST + 20 * DAY: costs}, projects=known), 21)

    assert [(charge.sub_account_id, charge.sub_account_name) for charge in found[:4]] == [
        ("proj_4", "Name 4"),
        ("proj_gone", "proj_gone"),
        ("proj_nameless", "proj_nameless"),
        (None, None),
    ]
    assert sum(request.path == "/organization/projects" for request in requests) == 3


@pytest.mark.parametrize("reply", [failure(403, "Missing scopes: api.management.read"), failure(404, "Invalid URL")])
@pytest.mark.parametrize("path", ["/organization/projects", "/organization/usage/completions"])
async def test_costs_do_not_wait_for_names_and_tokens(reply: Reply, path: str) -> None:
    """A key that may read costs but neither projects nor usage still yields every cost, with ids and no counts."""
    found, _ = await read(Books({FIRST: [row("2.5", project="proj_1")]}), routes={path: lambda _: reply})

    assert [(charge.billed_cost, charge.sub_account_name) for charge in found] == [(Decimal("2.5"), "proj_1")]
    assert (found[0].consumed_quantity, found[0].consumed_unit) == (None, "Tokens")


async def test_tokens_are_joined_by_day_project_model_and_type() -> None:
    """Usage completes token lines without a quantity, each by its own day, project, model and token type.

    The played server repeats the same rows at every usage endpoint, and still nothing counts twice.
    """
    lines = ["gpt-5.5, input", "gpt-5.5, cached input", "gpt-5.5, output", "text-embedding-3-small, input"]
    used = {"input_tokens": 100, "input_cached_tokens": 30, "output_tokens": 7}
    costs = {
        FIRST: [row(1, text, project) for project in ("proj_1", "proj_2") for text in lines],
        FIRST + DAY: [row(1, lines[0], "proj_1", quantity=Decimal("0.5"), quantity_unit="1000_tokens")],
    }
    usage = {
        FIRST: [
            {"project_id": "proj_1", "model": "gpt-5.5", **used},
            {"project_id": "proj_1", "model": "text-embedding-3-small", "input_tokens": 9},
            {"project_id": "proj_2", "model": "gpt-5.5-pro", **used},
        ],
        FIRST + DAY: [{"project_id": "proj_1", "model": "gpt-5.5", **used}],
    }
    found, requests = await read(Books(costs, usage), 2)

    assert [charge.consumed_quantity for charge in found] == [70, 30, 7, 9, None, None, None, None, 500]
    assert {charge.consumed_unit for charge in found} == {"Tokens"}
    asked = {request.path for request in requests}
    assert asked >= {"/organization/usage/completions", "/organization/usage/embeddings"}


async def test_tokens_find_their_line_in_every_batch() -> None:
    """However many lines a day has, and in how many batches they come, each gets the tokens of its own project."""
    projects = [f"proj_{number}" for number in range(2 * BATCH + 1)]
    costs = {FIRST: [row(1, project=project) for project in projects]}
    usage = [{"project_id": each, "model": "gpt-5.5", "input_tokens": n} for n, each in enumerate(projects)]
    found, _ = await read(Books(costs, {FIRST: usage}))

    assert [charge.consumed_quantity for charge in found] == list(range(2 * BATCH + 1))


async def test_days_may_be_late_and_change() -> None:
    """A day that was empty fills, and a day that changed is read anew: nothing of an earlier reading is kept."""
    books = Books({FIRST: [row(1), row(2, "Vector storage")]})
    before, _ = await read(books)
    books.costs = {FIRST: [row("1.25")], FIRST + DAY: [row(-1, "Promotional credit")]}
    after, _ = await read(books)

    assert [charge.billed_cost for charge in before] == [1, 2]
    assert [(charge.billed_cost, charge.charge_category) for charge in after] == [
        (Decimal("1.25"), "Usage"),
        (-1, "Credit"),
    ]


async def test_today_is_read_though_it_is_not_over() -> None:
    """The bucket of a day that is not over ends at the present; its charges are those of the whole day."""
    start = int(midnight(FIRST).timestamp())
    bucket = {"start_time": start, "end_time": start + 4711, "results": [row(1)]}
    page = Reply.json({"data": [bucket], "has_more": False})
    (charge,), _ = await read(Books(), 1, {"/organization/costs": lambda _: page})

    assert (charge.charge_period_start, charge.charge_period_end) == (midnight(FIRST), midnight(FIRST) + DAY)


@pytest.mark.parametrize(
    ("days", "reason"),
    [([0, 1, 0], "CursorLoop"), ([0, 0, 1], None), ([-1], "UnexpectedAnswer"), ([3], "UnexpectedAnswer")],
)
async def test_pages_hold_the_days_that_were_asked_for_once(days: list[int], reason: str | None) -> None:
    """A day may be split between two pages, but comes back no later, and no other day comes."""

    def page(request: Request) -> Reply:
        here = int(request.first("page") or 0)
        more = here + 1 < len(days)
        bucket = _bucket(midnight(FIRST) + days[here] * DAY, [row(1)], ())
        return Reply.json({"data": [bucket], "has_more": more, "next_page": str(here + 1) if more else None})

    routes: Mapping[str, Handler] = {"/organization/costs": page}
    if reason is None:
        assert len((await read(Books(), 2, routes))[0]) == len(days)
        return
    with pytest.raises(Bug) as caught:
        await read(Books(), 2, routes)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ({"amount": None}, "amount"),
        ({"amount": {"currency": "usd"}}, "amount.value"),
        ({"amount": {"value": None, "currency": "usd"}}, "amount.value"),
        ({"amount": {"value": "n/a", "currency": "usd"}}, "amount.value"),
        ({"amount": {"value": 1}}, "amount.currency"),
        ({"amount": {"value": 1, "currency": "dollars"}}, "amount.currency"),
        ({"line_item": 5}, "line_item"),
        ({"quantity": "many"}, "quantity"),
    ],
)
async def test_an_incomplete_row_rejects_the_page(bad: Mapping[str, Any], place: str) -> None:
    """A row without a whole amount stops the window, says which row it is, and is never counted as nothing."""
    with pytest.raises(Bug, match=rf"data\.1\.results\.1\.{place}"):
        await read(Books({FIRST: [row(1)], FIRST + DAY: [row(1), row(1) | bad]}))


async def checked(
    books: Books, reply: Reply | None = None, key: str = KEY, path: str = "*", **block: Any
) -> tuple[Any, list[float]]:
    """What `check` finds or raises, and what it would have waited; `reply` takes the place of answers on `path`."""
    waits: list[float] = []
    async with ScriptedServer() as server:
        books.open(server)
        if reply is not None:
            server.fail(reply) if path == "*" else server.route("GET", path, lambda _: reply)
        async with talking(server, key, waits, **block) as connector:
            try:
                return await connector.check(), waits
            except NeedsPerson as error:
                return error, waits


async def test_check_of_an_admin_key() -> None:
    """A good key names its organisation, where a cost row tells it."""
    yesterday = NOW.date() - DAY

    assert (await checked(Books({yesterday: [row(1)]})))[0] == Account("org-1")
    assert (await checked(Books()))[0] == Account()


async def test_check_tells_that_names_are_missing() -> None:
    """A key that reads costs but no projects is good, and what it lacks is told."""
    reply = failure(403, "Missing scopes: api.management.read")
    account, _ = await checked(Books(), reply, path="/organization/projects")

    assert "api.management.read" in account.notes[0]


@pytest.mark.parametrize(
    ("key", "reply", "reason", "words"),
    [
        ("sk-admin-unknown0", None, "Unauthorized", "mistyped, expired or deleted"),
        ("sk-proj-0123456789", failure(403, SCOPES), "Forbidden", "belongs to one project"),
        ("sk-proj-0123456789", failure(401, SCOPES), "Forbidden", "belongs to one project"),
        ("sk-admin-0123456789", failure(403, SCOPES), "Forbidden", "api.usage.read"),
        (KEY, failure(403, "Organization is not verified"), "Forbidden", "Organization is not verified"),
        (KEY, failure(404, "Invalid URL"), "NotFound", "openai.baseURL"),
        (KEY, failure(429, "You exceeded your current quota.", "insufficient_quota"), "QuotaSpent", "/billing"),
    ],
)
async def test_check_tells_keys_apart(key: str, reply: Reply | None, reason: str, words: str) -> None:
    """Each kind of refusal has its reason and says what to do; none is tried again, and no key is shown."""
    error, waits = await checked(Books(), reply, key)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert key not in str(error)
    assert not waits


async def test_check_of_projects_that_are_named() -> None:
    """Projects that the settings name must exist: a typing error would read as costs of nothing."""
    books = Books(projects=[{"id": "proj_1", "name": "One"}])
    error, _ = await checked(books, projectIDs=["proj_1", "proj_2"])

    assert isinstance(error, NeedsPerson)
    assert "no project proj_2:" in str(error)
    assert (await checked(books, projectIDs=["proj_1"]))[0] == Account()
