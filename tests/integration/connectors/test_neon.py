"""The Neon connector against a server that tells consumption, by Neon's own formulas worked out in fractions."""

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

from ledger.charge import Charge
from ledger.window import DAY, Span, Window
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.neon import Neon, NeonSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError
from tests.integration.connectors import talk
from tests.integration.connectors.neon_vendor import HISTORY, KEY, ORG, Used, Vendor, refusal

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 1)
GB = 10**9
CENT = Fraction(1, 10**18)


@asynccontextmanager
async def talking(
    vendor: Vendor, key: str = KEY, routes: Mapping[str, Reply] | None = None, **block: Any
) -> AsyncIterator[Neon]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _always(reply))
        settings = {"orgID": ORG, "baseURL": server.url, **block}
        async with talk.talking(Neon, server, {"apiKey": key}, vendor.now, settings) as connector:
            yield connector


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, first: date = FIRST, **given: Any) -> list[Charge]:
    """The charges of the month of `first`."""
    async with talking(vendor, **given) as connector:
        return await talk.read_days(connector, first, first + DAY)


class TestNeon(ConnectorConformance):
    """What every connector has to do. Private egress is what the suite's amounts are used up in, at $0.01 a GB."""

    connector = Neon
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    credits = False

    def settings(self, base_url: str) -> NeonSettings:
        return NeonSettings.model_validate({"orgID": ORG, "baseURL": base_url})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        used = [
            Used(line.day, "private_network_transfer_bytes", int(line.amount * 100 * GB), f"{line.item}-{line.project}")
            for line in lines
        ]
        Vendor(used, self.now, self.per_page).open(server)


COMPUTE = {"launch_v3": Fraction("0.106"), "scale_v3": Fraction("0.222"), "enterprise_v1": Fraction("0.222")}
STORAGE = {
    "root_branch_bytes_month": Fraction("0.35"),
    "child_branch_bytes_month": Fraction("0.35"),
    "instant_restore_bytes_month": Fraction("0.20"),
    "snapshot_storage_bytes_month": Fraction("0.09"),
}
METRICS = [
    "compute_unit_seconds",
    *STORAGE,
    "public_network_transfer_bytes",
    "private_network_transfer_bytes",
    "extra_branches_month",
]


def formula(used: Sequence[Used], free: int = 100) -> Fraction:
    """The month's cost as Neon's page on calculations has it, metric by metric."""
    cost, egress = Fraction(0), Fraction(0)
    branches: dict[Any, int] = defaultdict(int)
    for each in used:
        if each.metric == "compute_unit_seconds":
            cost += Fraction(each.value, 3600) * COMPUTE[each.plan]
        elif each.metric in STORAGE:
            cost += Fraction(each.value, 744 * GB) * STORAGE[each.metric]
        elif each.metric == "private_network_transfer_bytes":
            cost += Fraction(each.value, GB) * Fraction("0.01")
        elif each.metric == "public_network_transfer_bytes":
            egress += Fraction(each.value, GB)
        else:
            branches[each.project, each.plan, each.day] += each.value
    for (_, plan, _), hours in branches.items():
        cost += Fraction(max(0, hours - (9 if plan == "launch_v3" else 24) * 24), 744) * Fraction("1.50")
    return cost + max(Fraction(0), egress - free) * Fraction("0.10")


USED = st.builds(
    Used,
    st.integers(0, 19).map(lambda number: FIRST + number * DAY),
    st.sampled_from(METRICS),
    st.integers(0, 10**12) | st.integers(0, 800),
    st.sampled_from(["alpha-1", "beta-2", "gamma-3"]),
    st.sampled_from(sorted(COMPUTE)),
)


@hypothesis.settings(max_examples=30, deadline=None)
@given(used=st.lists(USED, max_size=20), most=st.integers(1, 5), echo=st.booleans(), free=st.integers(0, 1500))
async def test_a_month_is_what_neons_formulas_give(used: list[Used], most: int, echo: bool, free: int) -> None:
    """Whatever is used, in whatever pages, the month comes to what the published formulas give, all allowances once."""
    found = await read(Vendor(used, most=most, echo=echo), freeEgressGB=free)

    assert all(each.billed_cost is not None for each in found)
    assert abs(sum(Fraction(each.billed_cost or 0) for each in found) - formula(used, free)) < CENT


@pytest.mark.parametrize(
    ("metric", "value", "plan", "cost"),
    [
        ("compute_unit_seconds", 500_000, "scale_v3", "30.8333333333333333333"),
        ("root_branch_bytes_month", 1_488_000_000_000, "launch_v3", "0.7"),
        ("extra_branches_month", 288, "launch_v3", "0.1451612903225806452"),
        ("extra_branches_month", 216, "launch_v3", "0"),
        ("public_network_transfer_bytes", 100 * GB, "launch_v3", "0"),
        ("public_network_transfer_bytes", 101 * GB, "launch_v3", "0.1"),
    ],
)
async def test_the_examples_of_neons_own_page(metric: str, value: int, plan: str, cost: str) -> None:
    """What Neon's documentation works out comes out."""
    (found,) = await read(Vendor([Used(FIRST, metric, value, plan=plan)]))
    assert f"{found.billed_cost:f}".startswith(cost[:20])


async def test_free_egress_is_used_up_in_order_and_shared() -> None:
    """The organisation's free egress goes to the days as they come; a day beyond it is shared by its projects."""
    egress = "public_network_transfer_bytes"
    used = [
        Used(FIRST, egress, 90 * GB),
        Used(FIRST + DAY, egress, 30 * GB),
        Used(FIRST + DAY, egress, 10 * GB, "beta-2"),
        Used(FIRST + 2 * DAY, egress, 5 * GB, "beta-2"),
    ]
    found = await read(Vendor(used))

    costs = {(each.charge_period_start.day, each.sub_account_id): f"{each.billed_cost:f}" for each in found}
    assert costs == {(1, "alpha-1"): "0", (2, "alpha-1"): "2.25", (2, "beta-2"): "0.75", (3, "beta-2"): "0.5"}
    assert {(each.consumed_quantity, each.consumed_unit) for each in found} == {
        (Decimal(quantity), "GB") for quantity in (90, 30, 10, 5)
    }


async def test_a_figure_becomes_a_charge_with_all_it_says() -> None:
    """Project by id and name, region, plan, quantity and the list that priced it, with its date, all arrive."""
    (found,) = await read(Vendor([Used(FIRST, "compute_unit_seconds", 18346)]))

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 1, tzinfo=UTC),
        charge_period_end=datetime(2026, 3, 2, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal("0.54018777777777777778"),
        x_origin="estimate",
        service_name="Neon",
        service_provider_name="Neon",
        service_category="Databases",
        charge_frequency="Usage-Based",
        charge_description="compute",
        billing_account_id=ORG,
        sub_account_id="alpha-1",
        sub_account_name="shop",
        region_id="aws-us-east-1",
        sku_id="launch/compute",
        consumed_quantity=Decimal(18346),
        consumed_unit="CU-Seconds",
        pricing_quantity=Decimal("5.09611111111111111111"),
        pricing_unit="CU-Hours",
        extra={
            "x_plan": "launch_v3",
            "ListUnitPrice": "0.106",
            "x_price_list_date": "2026-05-28",
            "x_price_list": "https://neon.com/docs/introduction/usage-calculations",
        },
    )


async def test_plans_and_metrics_without_a_price_are_unpriced() -> None:
    """Compute of a plan whose rate is not known has no cost, until the Provider declares one."""
    vendor = Vendor([Used(FIRST, "compute_unit_seconds", 7200, plan="titan_v9")])
    (unpriced,) = await read(vendor)
    item = {"sku": "titan_v9/compute", "unit": "CU-Hours", "amount": "0.50", "currency": "EUR"}
    (priced,) = await read(vendor, prices={"asOf": "2026-03-01", "items": [item]})

    assert (unpriced.billed_cost, unpriced.sku_id) == (None, "titan_v9/compute")
    assert (priced.billed_cost, priced.billing_currency) == (Decimal(1), "EUR")
    assert (priced.extra or {})["x_price_list_date"] == "2026-03-01"


async def test_months_before_the_last_sixty_days_are_months() -> None:
    """Days that Neon no longer tells are read as their month, with the same allowances, in one question."""
    used = [Used(date(2026, 1, day), "public_network_transfer_bytes", 60 * GB) for day in (5, 6)]
    vendor = Vendor(used)
    (found,) = await read(vendor, date(2026, 1, 5))

    assert (found.charge_period_start, found.charge_period_end) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
    )
    assert found.billed_cost == Decimal(2)
    asked = [request for request in vendor.asked if request.path == HISTORY]
    assert {request.first("granularity") for request in asked} == {"monthly"}
    assert {(request.first("from"), request.first("to")) for request in asked} == {
        ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")
    }


async def test_projects_that_are_gone_keep_their_usage() -> None:
    """A deleted project goes by its id; where projects may not be listed, all do, and costs are the same."""
    vendor = Vendor([Used(FIRST, "private_network_transfer_bytes", GB, project) for project in ("alpha-1", "gone-9")])
    named = await read(vendor)
    bare = await read(vendor, routes={"/projects": refusal(403, "", "project-scoped key")})

    assert [each.sub_account_name for each in named] == ["shop", "gone-9"]
    assert [each.sub_account_name for each in bare] == ["alpha-1", "gone-9"]
    assert sum(each.billed_cost or 0 for each in named) == sum(each.billed_cost or 0 for each in bare)


async def test_a_plans_fee_is_one_more_line() -> None:
    """A contract's monthly fee stands beside the usage, on the first of the month."""
    plan = {"name": "Enterprise", "amount": "500.00", "currency": "USD"}
    used, fee = await read(Vendor([Used(FIRST, "private_network_transfer_bytes", GB)]), plan=plan)

    assert (fee.billed_cost, fee.charge_category, fee.sku_id) == (Decimal(500), "Purchase", "Enterprise")
    assert (fee.charge_period_start.date(), fee.x_origin, fee.billing_account_id) == (FIRST, "estimate", ORG)
    assert used.billed_cost == Decimal("0.01")


async def test_windows_are_whole_months() -> None:
    """Allowances are a month's, so what is due is read by whole months; the open one ends with tonight."""
    async with talking(Vendor()) as connector:
        due = [Span.of_days(date(2026, 2, 28), date(2026, 3, 2))]
        windows = await connector.windows(due, Span.of_days(date(2026, 2, 10), date(2026, 3, 21)))
    assert windows == [
        Window(Span.of_days(date(2026, 3, 1), date(2026, 3, 21))),
        Window(Span.of_days(date(2026, 2, 1), date(2026, 3, 1))),
    ]


async def test_an_organisation_without_use_takes_one_call() -> None:
    """Where nothing was used there is nothing to name."""
    vendor = Vendor()
    assert await read(vendor) == []
    assert [request.path for request in vendor.asked] == [HISTORY]


FRAME = {"timeframe_start": "2026-03-01T00:00:00Z", "timeframe_end": "2026-03-02T00:00:00Z"}


@pytest.mark.parametrize(
    "frame",
    [
        {**FRAME, "metrics": [{"metric_name": "compute_unit_seconds", "value": None}]},
        {**FRAME, "metrics": [{"metric_name": "compute_unit_seconds", "value": "much"}]},
        {**FRAME, "metrics": None},
        {**FRAME, "timeframe_start": "2026-03-01", "metrics": []},
    ],
)
async def test_usage_that_cannot_be_counted_stops_its_month(frame: Mapping[str, Any]) -> None:
    """A figure that is none fails the month, and is never skipped."""
    row = {"project_id": "alpha-1", "periods": [{"period_plan": "launch_v3", "consumption": [frame]}]}
    with pytest.raises(Bug):
        await read(Vendor(), routes={HISTORY: Reply.json({"projects": [row]})})


async def test_metrics_that_nobody_knows_are_unpriced() -> None:
    """Should Neon tell more than it was asked for, that has no price, and shows."""
    frame = {**FRAME, "metrics": [{"metric_name": "gpu_seconds", "value": 5}]}
    row = {"project_id": "alpha-1", "periods": [{"period_plan": "launch_v3", "consumption": [frame]}]}
    (found,) = await read(Vendor(), routes={HISTORY: Reply.json({"projects": [row]})})
    assert (found.sku_id, found.billed_cost, found.consumed_quantity) == ("gpu_seconds", None, Decimal(5))


async def check(vendor: Vendor | None = None, **given: Any) -> Account | ReconcilerError:
    async with talking(vendor or Vendor(), **given) as connector:
        return await talk.checked(connector)


async def test_a_good_key_names_its_organisation() -> None:
    """`check` tells the organisation; without a name where the key is not told one."""
    assert await check() == Account(ORG, "Example Ltd")
    assert await check(routes={f"/organizations/{ORG}": refusal(403, "", "no")}) == Account(ORG)


@pytest.mark.parametrize(
    ("given", "reason", "words"),
    [
        ({"key": "napi_another0123456789"}, "Unauthorized", "mistyped or revoked"),
        ({"orgID": "org-other"}, "NotFound", "neon.orgID"),
        ({"routes": {HISTORY: refusal(403, "", "plan")}}, "Forbidden", "Free plan"),
        ({"routes": {HISTORY: refusal(406, "", "lookback")}}, "Refused", "spec.history"),
        ({"routes": {HISTORY: refusal(400, "", "odd")}}, "BadRequest", "odd"),
        ({"routes": {HISTORY: Reply(status=403, body=b"blocked by proxy")}}, "Forbidden", "blocked by proxy"),
    ],
    ids=["key", "organisation", "plan", "lookback", "question", "proxy"],
)
async def test_refusals_say_what_to_do(given: Mapping[str, Any], reason: str, words: str) -> None:
    """A wrong key, a wrong organisation and a plan without the API are told apart, without the key."""
    error = await check(**given)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert "docs/connectors/neon.md" in str(error)
    assert str(given.get("key", KEY)) not in str(error)
