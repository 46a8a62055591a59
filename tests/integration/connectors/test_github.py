"""The GitHub connector against a vendor that speaks the documented protocol: usage by month, credits by day."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import BATCH, Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.github import GitHub, GitHubSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer, dump
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from reconciler.kinds.shape import faults
from tests.integration.connectors.github_vendor import COPILOT, FIRST, TOKEN, Books, credit, failure, item
from tests.integration.connectors.talk import checked, read_days, talking

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
NONE: Mapping[str, Any] = {}


def opened(
    server: ScriptedServer, token: str = TOKEN, now: datetime = NOW, **block: Any
) -> AbstractAsyncContextManager[GitHub]:
    return talking(GitHub, server, {"token": token}, now, {"account": "my-org", "baseURL": server.url, **block})


async def read(books: Books, days: int = 3, **block: Any) -> tuple[list[Charge], list[Request]]:
    """The charges of the first `days` days, and the requests that it took."""
    async with ScriptedServer() as server:
        books.open(server)
        async with opened(server, **block) as connector:
            return await read_days(connector, FIRST, FIRST + days * DAY), server.requests


class Everywhere(ConnectorConformance):
    """What every connector has to do; the accounts' kinds differ in the paths and in the cost centres."""

    connector = GitHub
    credentials: ClassVar[Mapping[str, str]] = {"token": TOKEN}
    smallest = Decimal("0.000000001")
    paged = False
    kind: ClassVar[str]

    def settings(self, base_url: str) -> GitHubSettings:
        return GitHubSettings.model_validate({"account": "my-org", "accountKind": self.kind, "baseURL": base_url})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        found: dict[str, list[Any]] = defaultdict(list)
        for line in lines:
            center = line.project if self.kind == "enterprise" and line.project != "one" else ""
            found[center].append(item(line.amount, line.day, sku=line.item, repositoryName=line.project))
        Books(found, centers=[{"id": "two", "name": "Two", "resources": []}]).open(server)


class TestOrganization(Everywhere):
    kind = "organization"


class TestEnterprise(Everywhere):
    kind = "enterprise"


class TestUser(Everywhere):
    kind = "user"


AMOUNTS = st.one_of(
    st.decimals(-(10**6), 10**9, allow_nan=False, places=12),
    st.decimals(0, 1, allow_nan=False, places=25),
    st.sampled_from([Decimal("1E-28"), Decimal("4.749999905"), Decimal("-0.0"), Decimal("0.30000000000000004")]),
)
LINES = st.builds(
    lambda net, gross, discount, number, fields: item(net, FIRST + number * DAY, gross, discount, **fields),
    AMOUNTS | st.integers(0, 10**6),
    AMOUNTS,
    AMOUNTS,
    st.integers(0, 40),
    st.sampled_from([NONE, COPILOT, {"product": "Packages", "unitType": "GigabyteHours"}]),
)
CREDITS = st.builds(lambda net, quantity: credit(net, grossQuantity=quantity), AMOUNTS, AMOUNTS)


@settings(max_examples=40)
@given(
    lines=st.dictionaries(st.sampled_from(["", "cc1", "cc2"]), st.lists(LINES, max_size=8)),
    told=st.dictionaries(st.integers(0, 40), st.lists(CREDITS, max_size=3), max_size=5),
    enterprise=st.booleans(),
)
async def test_charges_add_up_to_what_the_json_says(
    lines: Mapping[str, Sequence[Any]], told: Mapping[int, Sequence[Any]], enterprise: bool
) -> None:
    """By day, billed, list cost and quantity add up to what an independent reading of the usage gives, to the digit.

    Whatever the report of AI credits says by model, the sums are those of the usage.
    """
    lines = lines if enterprise else {"": lines.get("", ())}
    credits_ = {FIRST + number * DAY: rows for number, rows in told.items()}
    centers = [{"id": "cc1", "name": "One"}, {"id": "cc2", "name": "Two"}]
    block = {"accountKind": "enterprise"} if enterprise else {"copilotModels": True}
    found, _ = await read(Books(lines, credits_, centers), 41, **block)

    sums: dict[date, list[Fraction]] = defaultdict(lambda: [Fraction()] * 3)
    for each in found:
        figures = (each.billed_cost, each.list_cost, each.consumed_quantity)
        day = each.charge_period_start.date()
        sums[day] = [total + Fraction(figure or 0) for total, figure in zip(sums[day], figures, strict=True)]
    for rows in json.loads(dump(lines), parse_float=Fraction, parse_int=Fraction).values():
        for row in rows:
            day = date.fromisoformat(row["date"][:10])
            told_ = (row["netAmount"], row["grossAmount"], row["quantity"])
            sums[day] = [total - figure for total, figure in zip(sums[day], told_, strict=True)]
    assert not [day for day, left in sums.items() if any(left)]


async def test_a_line_becomes_a_charge_with_all_it_says() -> None:
    """Gross is the list cost, net the billed one, and what a quota covered stands beside them."""
    line = item(Decimal("0.006"), gross=Decimal("0.018"), discount=Decimal("0.012"))
    (charge,), _ = await read(Books({"": [line]}))

    assert charge == Charge(
        charge_period_start=midnight(FIRST),
        charge_period_end=midnight(FIRST) + DAY,
        billing_currency="USD",
        billed_cost=Decimal("0.006"),
        x_origin="api",
        service_name="GitHub Actions",
        service_provider_name="GitHub",
        charge_frequency="Usage-Based",
        charge_description="Actions Linux",
        service_category="Developer Tools",
        billing_account_id="my-org",
        sub_account_id="my-org",
        sub_account_name="my-org",
        resource_id="my-repo",
        resource_name="my-repo",
        sku_id="Actions Linux",
        consumed_quantity=Decimal(3),
        consumed_unit="Minutes",
        pricing_quantity=Decimal(3),
        pricing_unit="Minutes",
        list_cost=Decimal("0.018"),
        extra={"ListUnitPrice": "0.006", "x_discount": "0.012"},
    )


async def test_what_a_quota_covers_costs_nothing_and_keeps_its_list_cost() -> None:
    """Included usage is billed 0, which is a price: its line stays, with what it would have cost."""
    (charge,), _ = await read(Books({"": [item(0, gross=Decimal("0.018"), discount=Decimal("0.018"))]}))

    assert (charge.billed_cost, charge.list_cost) == (Decimal(0), Decimal("0.018"))


async def test_seats_are_read_like_everything_else() -> None:
    """Copilot's seats come as parts of months, without a repository, and are costs that recur."""
    seat = {"product": "Copilot", "sku": "Copilot Business", "unitType": "UserMonths", "repositoryName": ""}
    line = {**item(Decimal("4.749999905"), quantity=Decimal("0.249999995")), **seat}
    (charge,), _ = await read(Books({"": [line]}))

    assert (charge.billed_cost, charge.consumed_quantity) == (Decimal("4.749999905"), Decimal("0.249999995"))
    assert (charge.service_name, charge.service_category) == ("GitHub Copilot", "AI and Machine Learning")
    assert (charge.charge_frequency, charge.consumed_unit, charge.resource_id) == ("Recurring", "User-Months", None)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-03", 3),
        ("2026-03-03T23:59:59Z", 3),
        ("2026-03-03T23:59:59-02:00", 4),
        ("2026-03-03T00:00:00", 3),
    ],
)
async def test_dates_are_days_or_moments(text: str, day: int) -> None:
    """A day is itself, a moment belongs to its UTC day."""
    found, _ = await read(Books({"": [item(1, date=text)]}))

    assert [charge.charge_period_start.day for charge in found] == [day]


async def test_a_month_takes_one_call() -> None:
    """Whatever days of a month are due, the month is read whole by one call; each month that is due is."""
    books = Books({"": [item(1, FIRST + number * DAY) for number in range(35)]})
    async with ScriptedServer() as server:
        books.open(server)
        async with opened(server, now=datetime(2026, 4, 7, tzinfo=UTC)) as connector:
            due = [Span.of_days(date(2026, 3, 31), date(2026, 4, 8))]
            windows = await connector.windows(due, Span.of_days(date(2026, 3, 10), date(2026, 4, 8)))
            charges = [charge for window in windows async for batch in connector.charges(window) for charge in batch]

    assert [window.span for window in windows] == [
        Span.of_days(date(2026, 4, 1), date(2026, 4, 8)),
        Span.of_days(date(2026, 3, 10), date(2026, 4, 1)),
    ]
    assert len(server.requests) == 2
    assert len(charges) == 27
    assert [(request.first("year"), request.first("month"), request.first("day")) for request in server.requests] == [
        ("2026", "4", None),
        ("2026", "3", None),
    ]


async def test_an_enterprise_is_read_by_cost_centre() -> None:
    """Usage without a cost centre and that of each comes in a call of its own, which the charges tell."""
    lines = {"": [item(1)], "cc1": [item(2, organizationName="other-org")]}
    found, requests = await read(Books(lines, centers=[{"id": "cc1", "name": "Research"}]), accountKind="enterprise")

    assert [(charge.billed_cost, charge.sub_account_id) for charge in found] == [
        (Decimal(1), "my-org"),
        (Decimal(2), "other-org"),
    ]
    assert [(charge.extra or {}).get("x_cost_center_name") for charge in found] == [None, "Research"]
    assert [request.path.rpartition("/")[2] for request in requests] == ["cost-centers", "usage", "usage"]


@pytest.mark.parametrize("status", [403, 404])
async def test_an_enterprise_is_not_read_without_its_cost_centres(status: int) -> None:
    """Usage of cost centres that cannot be listed would be missing without a trace, so nothing is read."""
    async with ScriptedServer() as server:
        Books({"": [item(1)]}).open(server)
        path = "/enterprises/my-org/settings/billing/cost-centers"
        server.route("GET", path, lambda _: failure(status, "Not Found"))
        async with opened(server, accountKind="enterprise") as connector:
            assert isinstance(await checked(connector), NeedsPerson)
            with pytest.raises(NeedsPerson):
                await read_days(connector, FIRST, FIRST + DAY)


async def test_ai_credits_are_told_by_model() -> None:
    """Where asked for, the day's credits come by model; what the reports differ by is a line without one."""
    lines = [item(Decimal("2.5"), quantity=250, **COPILOT), item(7)]
    told = [credit(1), credit(Decimal("0.5"), "GPT-6", unitType="credits"), credit(9, unitType="Requests")]
    found, requests = await read(Books({"": lines}, {FIRST: told}), copilotModels=True)

    assert [(charge.x_model, charge.billed_cost, charge.consumed_quantity) for charge in found] == [
        (None, Decimal(7), Decimal(3)),
        ("Claude Sonnet 5", Decimal(1), Decimal(100)),
        ("GPT-6", Decimal("0.5"), Decimal(100)),
        (None, Decimal(1), Decimal(50)),
    ]
    assert {charge.consumed_unit for charge in found} == {"Minutes", "AI Credits"}
    assert {charge.sub_account_id for charge in found} == {"my-org"}
    assert sum(request.path.endswith("ai_credit/usage") for request in requests) == 1


async def test_ai_credits_are_not_asked_for_unless_wanted() -> None:
    """By default credits are lines of the usage like all others, and take no further call."""
    found, requests = await read(Books({"": [item(1, **COPILOT)]}, {FIRST: [credit(1)]}))

    assert [(charge.x_model, charge.sku_id) for charge in found] == [(None, "Copilot AI Credits")]
    assert len(requests) == 1


@pytest.mark.parametrize("reply", [failure(404, "Not Found"), failure(403, "No"), Reply.json({"usageItems": []})])
async def test_costs_do_not_wait_for_models(reply: Reply) -> None:
    """Where credits by model are refused or empty, the usage's own lines stay, with every cost."""
    async with ScriptedServer() as server:
        Books({"": [item(1, **COPILOT)]}).open(server)
        server.route("GET", "/organizations/my-org/settings/billing/ai_credit/usage", lambda _: reply)
        async with opened(server, copilotModels=True) as connector:
            (charge,) = await read_days(connector, FIRST, FIRST + DAY)

    assert (charge.billed_cost, charge.x_model) == (Decimal(1), None)


async def test_large_months_come_in_batches() -> None:
    """However many lines a month has, a batch stays small and none is lost."""
    async with ScriptedServer() as server:
        Books({"": [item(1)] * (BATCH + 1)}).open(server)
        async with opened(server) as connector:
            window = Window(Span.of_days(FIRST, FIRST + DAY))
            sizes = [len(batch) async for batch in connector.charges(window)]

    assert sizes == [BATCH, 1]


async def test_another_month_than_the_one_asked_for_is_refused() -> None:
    """Lines of other months, which would be stored in no window or in the wrong one, reject the answer."""
    async with ScriptedServer() as server:
        lines = {"usageItems": [item(1, date(2026, 4, 2))]}
        server.route("GET", "/organizations/my-org/settings/billing/usage", lambda _: Reply.json(lines))
        async with opened(server) as connector:
            with pytest.raises(Bug, match="2026-04-02"):
                await read_days(connector, FIRST, FIRST + DAY)


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ({"netAmount": None}, "netAmount"),
        ({"netAmount": "free"}, "netAmount"),
        ({"grossAmount": True}, "grossAmount"),
        ({"date": f"{FIRST} at noon"}, "date"),
        ({"quantity": []}, "quantity"),
        ({"product": ""}, "product"),
    ],
)
async def test_an_incomplete_line_rejects_the_month(bad: Mapping[str, Any], place: str) -> None:
    """A line that cannot be read stops the window and says where it is; it is never counted as nothing."""
    with pytest.raises(Bug, match=rf"usageItems\.1\.{place}"):
        await read(Books({"": [item(1), {**item(1), **bad}]}))


async def check(reply: Reply | None = None, token: str = TOKEN, **block: Any) -> Account | ReconcilerError:
    """What `check` finds or raises; `reply` takes the place of every answer."""
    async with ScriptedServer() as server:
        Books().open(server)
        if reply is not None:
            server.fail(reply)
        async with opened(server, token, **block) as connector:
            return await checked(connector)


@pytest.mark.parametrize("kind", ["organization", "enterprise", "user"])
async def test_check_of_a_good_token(kind: str) -> None:
    """A token that reads the account's billing is good, and names the account."""
    assert await check(accountKind=kind) == Account("my-org", "my-org")


@pytest.mark.parametrize(
    ("status", "message", "token", "kind", "reason", "words"),
    [
        (401, "Bad credentials", TOKEN, "organization", "Unauthorized", "mistyped, expired or revoked"),
        (403, "Must have admin rights", TOKEN, "organization", "Forbidden", "owner or billing manager of the organi"),
        (403, "Forbidden", TOKEN, "enterprise", "Forbidden", "manage_billing:enterprise"),
        (403, "Resource not accessible", "github_pat_0123456", "organization", "Forbidden", "Administration (read)"),
        (403, "Resource not accessible", "ghs_0123456789", "organization", "Forbidden", "installation token"),
        (403, "Protected by organization SAML enforcement.", TOKEN, "organization", "Forbidden", "Configure SSO"),
        (404, "Not Found", TOKEN, "user", "NotFound", "enhanced billing platform"),
        (410, "Gone", TOKEN, "user", "Refused", "github.baseURL"),
        (400, "Bad request", TOKEN, "user", "BadRequest", "Bad request"),
    ],
)
async def test_check_tells_tokens_apart(
    status: int, message: str, token: str, kind: str, reason: str, words: str
) -> None:
    """Each kind of refusal has its reason, says what to do and what GitHub said, and shows no token."""
    error = await check(failure(status, message), token, accountKind=kind)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert message in str(error)
    assert token not in str(error)


@pytest.mark.parametrize(
    ("reply", "after"),
    [
        (failure(403, "API rate limit exceeded for user ID 1.", **{"x-ratelimit-remaining": "0"}), None),
        (failure(403, "You have exceeded a secondary rate limit.", **{"Retry-After": "60"}), timedelta(minutes=1)),
        (failure(403, "Slow down", **{"Retry-After": "60"}), timedelta(minutes=1)),
    ],
)
async def test_a_rate_limit_is_no_missing_right(reply: Reply, after: timedelta | None) -> None:
    """A 403 that is a rate limit asks for nobody: it says when to come back, where GitHub does."""
    error = await check(reply)

    assert isinstance(error, RetryLater)
    assert (error.reason, error.after) == ("RateLimited", after)


@pytest.mark.parametrize(
    "block",
    [
        {},
        {"account": ""},
        {"account": "a/b"},
        {"account": "..", "accountKind": "user"},
        {"account": "a", "accountKind": "team"},
        {"account": "a", "accountKind": "enterprise", "copilotModels": True},
        {"account": "a", "baseURL": "ftp://x"},
    ],
)
def test_settings_have_bounds(block: Mapping[str, Any]) -> None:
    """An account that is no name, kinds that do not exist and combinations that make no sense are refused."""
    assert faults(GitHubSettings, block)
