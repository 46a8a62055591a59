"""Anthropic's connector against a vendor that speaks the documented protocol of the Admin API and checks it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import Span, Window
from reconciler.connectors.anthropic import Anthropic, AnthropicSettings
from reconciler.connectors.base import BATCH, Account, Context, Credentials
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, RetryLater
from tests.integration.connectors.anthropic_vendor import (
    COSTS,
    SPLIT,
    USAGE,
    WORKSPACES,
    Row,
    Vendor,
    error,
    tokens,
    used,
)

KEY = "sk-ant-admin01-0123456789abcdef"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAYS = Span.of_days(date(2026, 11, 1), date(2026, 11, 22))


@asynccontextmanager
async def opened(vendor: Vendor, key: str = KEY, settings: AnthropicSettings | None = None) -> AsyncIterator[Anthropic]:
    """The connector as the reconciler makes it, with a client that does not really wait."""

    async def no_wait(_: float) -> None:
        return

    credentials = Credentials({"apiKey": key})
    async with VendorClient(
        base_url=vendor.server.url,
        policy=EgressPolicy(allow_loopback=True),
        meter=Meter(),
        redact=credentials.secrets(),
        sleep=no_wait,
    ) as http:
        block = settings or AnthropicSettings(base_url=vendor.server.url)
        yield Anthropic(block, Context(http, credentials, NOW))


async def read(vendor: Vendor, span: Span = DAYS) -> list[Charge]:
    async with opened(vendor) as connector:
        return [charge async for batch in connector.charges(Window(span)) for charge in batch]


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with ScriptedServer() as server:
        yield Vendor(server)


class TestAnthropic(ConnectorConformance):
    """What every connector keeps, kept by this one."""

    connector = Anthropic
    credentials: ClassVar = {"apiKey": KEY}
    smallest = Decimal("0.000001")

    def settings(self, base_url: str) -> AnthropicSettings:
        return AnthropicSettings(base_url=base_url)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        books = Vendor(server, self.per_page)
        for line in lines:
            names = {"workspace_id": f"wrkspc_{line.project}", "model": f"claude-{line.item}"}
            text = f"{line.item} Usage - Input Tokens"
            books.bill(f"{line.day}", tokens(f"{line.amount * 100:f}", description=text, **names))
            books.use(f"{line.day}", used(1000, **names))


async def test_a_row_becomes_a_charge_with_all_it_says(vendor: Vendor) -> None:
    """Every field of a cost row lands in its column, with its tokens and its workspace's name."""
    vendor.bill("2026-11-19", tokens("123.45", service_tier="batch", inference_geo="us"))
    vendor.use("2026-11-19", used(1500, service_tier="batch", inference_geo="us"))

    assert await read(vendor) == [
        Charge(
            charge_period_start=datetime(2026, 11, 19, tzinfo=UTC),
            charge_period_end=datetime(2026, 11, 20, tzinfo=UTC),
            billing_currency="USD",
            billed_cost=Decimal("1.2345"),
            x_origin="api",
            service_name="Claude API",
            service_provider_name="Anthropic",
            charge_category="Usage",
            charge_frequency="Usage-Based",
            charge_description="Claude Sonnet 4 Usage - Input Tokens (batch, 0-200k, us)",
            service_category="AI and Machine Learning",
            billing_account_id="org-1",
            sub_account_id="wrkspc_live",
            sub_account_name="Live",
            sku_id="Claude Sonnet 4 Usage - Input Tokens",
            x_model="claude-sonnet-4-20250514",
            x_token_type="input",
            consumed_quantity=Decimal(1500),
            consumed_unit="Tokens",
            extra={
                "x_cost_type": "tokens",
                "x_service_tier": "batch",
                "x_context_window": "0-200k",
                "x_inference_geo": "us",
            },
        )
    ]


@pytest.mark.parametrize(
    ("cost_type", "description"),
    [
        ("web_search", "Web Search Usage"),
        ("code_execution", "Code Execution Usage"),
        ("session_usage", "Managed Agents Session Usage"),
        ("cost_of_tomorrow", "Something New"),
        (None, None),
    ],
)
async def test_every_kind_of_cost_is_kept(vendor: Vendor, cost_type: str | None, description: str | None) -> None:
    """Costs that are no tokens, of kinds known and unknown, are charges like the others."""
    nothing = dict.fromkeys(("model", "token_type", "service_tier", "context_window", "inference_geo"))
    vendor.bill("2026-11-19", tokens("250", cost_type=cost_type, description=description, **nothing))

    (charge,) = await read(vendor)

    assert (charge.billed_cost, charge.sku_id, charge.charge_description) == (Decimal("2.5"), description, description)
    assert charge.extra == ({"x_cost_type": cost_type} if cost_type else None)
    assert (charge.consumed_quantity, charge.consumed_unit) == (None, None)


async def test_web_searches_are_counted_in_requests(vendor: Vendor) -> None:
    """A web search row shows how many searches it bills, whichever models made them."""
    nothing = dict.fromkeys(("model", "token_type", "service_tier", "context_window", "inference_geo"))
    vendor.bill("2026-11-19", tokens("30", cost_type="web_search", description="Web Search Usage", **nothing))
    for model, searches in (("claude-sonnet-4-20250514", 2), ("claude-haiku-4-5", 1)):
        vendor.use("2026-11-19", used(0, model=model, server_tool_use={"web_search_requests": searches}))

    (charge,) = await read(vendor)

    assert (charge.consumed_quantity, charge.consumed_unit) == (Decimal(3), "Requests")


@pytest.mark.parametrize(
    ("workspace", "expected"),
    [
        (None, ("default", "Default Workspace")),
        ("wrkspc_beta", ("wrkspc_beta", "Beta")),
        ("wrkspc_old", ("wrkspc_old", "Old")),
        ("wrkspc_gone", ("wrkspc_gone", "wrkspc_gone")),
    ],
)
async def test_workspaces_have_names(vendor: Vendor, workspace: str | None, expected: tuple[str, str]) -> None:
    """A workspace shows its name, archived or on a later page; the default one has an id; an unknown one keeps its."""
    vendor.bill("2026-11-19", tokens("1", workspace_id=workspace))
    vendor.use("2026-11-19", used(7, workspace_id=workspace))

    (charge,) = await read(vendor)

    assert (charge.sub_account_id, charge.sub_account_name) == expected
    assert charge.consumed_quantity == 7


async def test_tokens_stay_on_their_day(vendor: Vendor) -> None:
    """A day's tokens belong to that day's row, and usage without a cost row makes no charge."""
    vendor.bill("2026-11-18", tokens("1"))
    vendor.bill("2026-11-19", tokens("2"))
    vendor.use("2026-11-17", used(1))
    vendor.use("2026-11-19", used(5), used(999, service_tier="priority"))

    charges = await read(vendor)

    assert [(charge.billed_cost, charge.consumed_quantity) for charge in charges] == [
        (Decimal("0.01"), None),
        (Decimal("0.02"), Decimal(5)),
    ]


async def test_each_report_is_asked_once_a_month_with_its_groups(vendor: Vendor) -> None:
    """A month takes one call per report, grouped so that no dimension is merged, and names are asked for once."""
    async with opened(vendor) as connector:
        windows = await connector.windows([Span.of_days(date(2026, 10, 1), date(2026, 11, 22))], DAYS)
        for window in windows:
            assert [batch async for batch in connector.charges(window)] == []

    assert [f"{window.start:%m-%d} {window.end:%m-%d}" for window in windows] == ["11-01 11-22", "10-01 11-01"]
    assert [request.first("ending_at") for request in vendor.asked(COSTS)] == [
        "2026-11-22T00:00:00Z",
        "2026-11-01T00:00:00Z",
    ]
    assert {tuple(request.every("group_by[]")) for request in vendor.asked(COSTS)} == {("workspace_id", "description")}
    assert set(vendor.asked(USAGE)[0].every("group_by[]")) == SPLIT[USAGE] - {"api_key_id"}
    assert (len(vendor.asked(USAGE)), len(vendor.asked(WORKSPACES))) == (2, 2)


async def test_large_days_come_in_batches(vendor: Vendor) -> None:
    """A day of more rows than a batch holds arrives in several batches, whole."""
    vendor.bill("2026-11-19", *(tokens("1", description=f"Model {n}") for n in range(2 * BATCH + 1)))

    async with opened(vendor) as connector:
        sizes = [len(batch) async for batch in connector.charges(Window(DAYS))]

    assert sizes == [BATCH, BATCH, 1]


@hypothesis.settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 21),
            st.builds(
                lambda units, places: Decimal(units).scaleb(-places), st.integers(-(10**20), 10**20), st.integers(0, 30)
            ),
            st.sampled_from(["wrkspc_live", "wrkspc_beta", None]),
            st.integers(0, 3),
        )
    ),
    st.integers(1, 31),
)
async def test_the_sum_is_the_vendors_sum(rows: list[tuple[int, Decimal, str | None, int]], per_page: int) -> None:
    """Charges add up to what a plain reading of the same JSON adds up to, to the last fraction of a cent."""
    async with ScriptedServer() as server:
        vendor = Vendor(server, per_page)
        for day, amount, workspace, item in rows:
            vendor.bill(f"2026-11-{day:02}", tokens(f"{amount:f}", workspace_id=workspace, description=f"item {item}"))
            vendor.use(f"2026-11-{day:02}", used(10, workspace_id=workspace))
        vendor.server.requests.clear()

        charges = await read(vendor)

        bodies = [vendor.report(request).body.decode() for request in vendor.asked(COSTS)]
    amounts = re.findall(r'"amount": ?"([^"]+)"', "".join(bodies))
    assert len(charges) == len(amounts) == len(rows)
    assert sum(Fraction(charge.billed_cost or 0) for charge in charges) == sum(map(Fraction, amounts)) / 100


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ({**tokens("1"), "amount": None}, "results.1.amount"),
        ({"currency": "USD", "description": "no amount"}, "results.1.amount"),
        (tokens("1.2.3"), "results.1.amount"),
        (tokens("1", currency="DOLLARS"), "results.1.currency"),
        (tokens("1", model=4), "results.1.model"),
    ],
)
async def test_a_row_that_cannot_be_counted_refuses_the_window(vendor: Vendor, row: Row, where: str) -> None:
    """One row without a certain amount fails the window it is in, and the error says where the row stands."""
    vendor.bill("2026-11-19", tokens("1"), row)

    with pytest.raises(Bug, match=re.escape(where)):
        await read(vendor)


async def test_days_that_were_not_asked_for_refuse_the_window(vendor: Vendor) -> None:
    """An answer about other days is not taken for days without costs."""
    other = {"starting_at": "2026-10-31T00:00:00Z", "ending_at": "2026-11-01T00:00:00Z", "results": [tokens("1")]}
    vendor.server.route("GET", COSTS, lambda _: Reply.json({"data": [other], "has_more": False, "next_page": None}))

    with pytest.raises(Bug, match="2026-10-31"):
        await read(vendor)


async def test_a_day_that_comes_back_refuses_the_window(vendor: Vendor) -> None:
    """Pages that overlap are not added up: a day that was told already ends the run."""
    day = {"starting_at": "2026-11-19T00:00:00Z", "ending_at": "2026-11-20T00:00:00Z", "results": [tokens("1")]}
    pages: dict[str | None, Row] = {
        None: {"has_more": True, "next_page": "page_2"},
        "page_2": {"has_more": False, "next_page": None},
    }
    vendor.server.route("GET", COSTS, lambda asked: Reply.json({"data": [day], **pages[asked.first("page")]}))

    with pytest.raises(Bug, match="2026-11-19 twice") as caught:
        await read(vendor)
    assert caught.value.reason == "CursorLoop"


async def test_fewer_days_per_call_give_the_same(vendor: Vendor) -> None:
    """The setting daysPerCall cuts answers smaller and changes no figure."""
    vendor.bill("2026-11-02", tokens("1"))
    vendor.bill("2026-11-20", tokens("2"))
    whole = await read(vendor)
    vendor.server.requests.clear()

    settings = AnthropicSettings.model_validate({"baseURL": vendor.server.url, "daysPerCall": 5})
    async with opened(vendor, settings=settings) as connector:
        cut = [charge async for batch in connector.charges(Window(DAYS)) for charge in batch]

    assert cut == whole
    assert [request.first("limit") for request in vendor.asked(COSTS)] == ["5"] * 5


@pytest.mark.parametrize("more", [{"has_more": True}, {"has_more": True, "next_page": None}, {}])
async def test_pages_must_say_whether_more_follow(vendor: Vendor, more: Row) -> None:
    """A page that promises more without saying where, or says nothing of more, is no whole answer."""
    vendor.server.route("GET", COSTS, lambda _: Reply.json({"data": [], **more}))

    with pytest.raises(Bug):
        await read(vendor)


async def test_check_names_the_organization(vendor: Vendor) -> None:
    """A good Admin key opens its organization in a few cheap calls, one of them for costs."""
    async with opened(vendor, f"{KEY}\n") as connector:
        assert await connector.check() == Account("org-1", "Example")

    assert [request.path for request in vendor.server.requests][:2] == ["/v1/organizations/me", COSTS]
    assert vendor.asked(COSTS)[0].first("limit") == "1"


@pytest.mark.parametrize(
    ("key", "reply", "reason", "words"),
    [
        ("\nsk-ant-api03-0123456789\n", None, "Unauthorized", "not an Admin key"),
        ("sk-ant-admin01-0123456", error(401, "authentication_error", "invalid x-api-key"), "Unauthorized", "mistyped"),
        ("sk-ant-api03-0123456789", error(403, "permission_error", "no"), "Forbidden", "one workspace"),
        (KEY, error(400, "invalid_request_error", "disabled", "organization_on_hold"), "BadRequest", "on hold"),
        (KEY, error(404, "not_found_error", "Not found"), "NotFound", "baseURL"),
    ],
)
async def test_check_tells_keys_apart(vendor: Vendor, key: str, reply: Reply | None, reason: str, words: str) -> None:
    """A key of the wrong kind, a dead one, one without the right and a blocked organization each have their words."""
    if reply is not None:
        vendor.server.fail(reply)

    async with opened(vendor, key) as connector:
        with pytest.raises(NeedsPerson, match=words) as caught:
            await connector.check()

    assert caught.value.reason == reason
    assert key.strip() not in str(caught.value)


async def test_check_tries_costs_as_well(vendor: Vendor) -> None:
    """A key that may name its organization but not read its costs does not pass."""
    vendor.server.route("GET", COSTS, lambda _: error(403, "permission_error", "missing scope"))

    async with opened(vendor) as connector:
        with pytest.raises(NeedsPerson, match="Settings > Admin keys"):
            await connector.check()


async def test_names_do_not_hold_up_costs(vendor: Vendor) -> None:
    """A key that may not list workspaces reads the costs by workspace id, and `check` says so."""
    vendor.bill("2026-11-19", tokens("1"))
    vendor.server.route("GET", WORKSPACES, lambda _: error(403, "permission_error", "missing scope"))

    (charge,) = await read(vendor)
    async with opened(vendor) as connector:
        account = await connector.check()

    assert (charge.sub_account_id, charge.sub_account_name) == ("wrkspc_live", "wrkspc_live")
    assert "may not list workspaces" in account.notes[0]


async def test_overload_passes(vendor: Vendor) -> None:
    """An overloaded vendor (529) is asked again within the run, and given up for later if it stays so."""
    vendor.bill("2026-11-19", tokens("1"))
    overloaded = error(529, "overloaded_error", "Overloaded")
    vendor.server.fail(overloaded, times=2)
    assert len(await read(vendor)) == 1

    vendor.server.fail(overloaded)
    with pytest.raises(RetryLater, match="529"):
        await read(vendor)
