"""The Supabase connector against a server with projects and add-ons: what stands is charged by the hour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY
from reconciler.connectors.base import Account, Traits
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.connectors.supabase import Supabase, SupabaseSettings
from reconciler.errors import Bug, NeedsPerson, ReconcilerError
from tests.integration.connectors import talk
from tests.integration.connectors.supabase_vendor import (
    KEY,
    MICRO,
    ORG,
    PROJECTS,
    SMALL,
    Vendor,
    addon,
    database,
    project,
    refusal,
    variant,
)

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 2)
ORGANIZATION = f"/v1/organizations/{ORG}"


@asynccontextmanager
async def talking(
    vendor: Vendor, now: datetime = NOW, key: str = KEY, routes: Mapping[str, Reply] | None = None, **block: Any
) -> AsyncIterator[Supabase]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _always(reply))
        settings = {"organization": ORG, "baseURL": server.url, **block}
        async with talk.talking(Supabase, server, {"apiKey": key}, now, settings) as connector:
            yield connector


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, days: int = 1, first: date = FIRST, **given: Any) -> list[Charge]:
    async with talking(vendor, **given) as connector:
        return await talk.read_days(connector, first, first + days * DAY)


class Standing(Supabase):
    """The same connector, said to be coarser: what stands is charged on every day, not on one."""

    traits: ClassVar[Traits] = replace(Supabase.traits, grain="Month")


class TestSupabase(ConnectorConformance):
    """What every connector has to do. A line is an add-on whose price comes to it in the suite's ten days."""

    connector = Standing
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal(240)
    credits = False

    def settings(self, base_url: str) -> SupabaseSettings:
        return SupabaseSettings(organization=ORG, base_url=base_url)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        addons: dict[str, list[Any]] = {f"ref{number}": [] for number in range(4)}
        for place, line in enumerate(lines):
            priced = variant(f"{line.item}-{place}", line.amount / 240)
            addons[f"ref{place % len(addons)}"].append(addon("ipv4", priced))
        Vendor([project(ref, each) for ref, each in addons.items()], most=self.per_page).open(server)

    async def test_one_day_of_many(self) -> None:  # type: ignore[override]
        """Of ten days on which the same stands, one has a tenth."""
        vendor = Vendor([project("ref", [addon("ipv4", variant("ipv4", 10))])])
        one, ten = await read(vendor, 1), await read(vendor, 10)
        assert sum(each.billed_cost or 0 for each in one) * 10 == sum(each.billed_cost or 0 for each in ten) == 2400


PRICES = st.decimals(0, 100, allow_nan=False, places=6)


@hypothesis.settings(max_examples=30, deadline=None)
@given(
    prices=st.lists(st.tuples(PRICES, st.sampled_from(["hourly", "monthly"])), max_size=6),
    hour=st.integers(0, 23),
    most=st.integers(1, 3),
)
async def test_days_are_hours_times_supabases_prices(prices: list[tuple[Decimal, str]], hour: int, most: int) -> None:
    """Over a day of creation, a full day and a running one, costs are hours times the price."""
    created = f"2026-03-18T{hour:02}:00:00Z"
    projects = [
        project(f"ref{place}", [addon("ipv4", variant(f"v{place}", *price))], inserted_at=created)
        for place, price in enumerate(prices)
    ]
    found = await read(Vendor(projects, most=most), 3, date(2026, 3, 18))

    hours = 24 - hour + 24 + 12
    parts = [Fraction(price) * hours / (1 if interval == "hourly" else 744) for price, interval in prices]
    expected = sum(parts, Fraction(0))
    assert abs(sum(Fraction(each.billed_cost or 0) for each in found) - expected) < Fraction(1, 10**15)


async def test_a_month_of_compute_is_covered_by_credits() -> None:
    """A paid organisation's credits take off what one Micro costs, and of larger compute just their amount."""
    month: Mapping[str, Any] = {"days": 31, "first": date(2026, 3, 1), "now": datetime(2026, 4, 2, tzinfo=UTC)}
    micro = await read(Vendor([project("a", [MICRO])]), **month)
    small = await read(Vendor([project("a", [SMALL])]), **month)
    none = await read(Vendor([project("a", [SMALL])]), computeCredit="0", **month)

    assert sum(each.billed_cost or 0 for each in micro) == 0
    bill = Decimal("0.0206") * 744
    assert sum(each.billed_cost or 0 for each in none) == bill
    assert abs(sum((each.billed_cost or Decimal(0) for each in small), Decimal(0)) - (bill - 10)) < Decimal("1E-15")
    assert {(each.charge_category, each.sku_id) for each in small if (each.billed_cost or 0) < 0} == {
        ("Credit", "compute_credit")
    }


async def test_an_add_on_becomes_charges_with_all_it_says() -> None:
    """Project, region, variant, hours and the price with its source and day arrive; a branch is marked as one."""
    vendor = Vendor(
        [project("a", [addon("ipv4", variant("ipv4_default", 4, "monthly", "Dedicated IPv4"))], is_branch=True)]
    )
    (found,) = await read(vendor)

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 2, tzinfo=UTC),
        charge_period_end=datetime(2026, 3, 3, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal("0.12903225806451612903"),
        x_origin="estimate",
        service_name="Supabase",
        service_provider_name="Supabase",
        service_category="Databases",
        charge_frequency="Usage-Based",
        charge_description="Dedicated IPv4",
        billing_account_id=ORG,
        sub_account_id="a",
        sub_account_name="The a",
        region_id="us-east-1",
        resource_id="a",
        resource_name="The a",
        sku_id="ipv4_default",
        consumed_quantity=Decimal(24),
        consumed_unit="Instances-Hours",
        pricing_quantity=Decimal("0.03225806451612903226"),
        pricing_unit="Instances-Months",
        extra={
            "x_is_branch": True,
            "ListUnitPrice": "4",
            "x_price_list_date": "2026-03-20",
            "x_price_list": "GET /v1/projects/{ref}/billing/addons",
        },
    )


async def test_replicas_and_disks_are_charged_beside_add_ons() -> None:
    """Read replicas cost the compute of their size; disks cost what is beyond the 8 GB of each project."""
    replica = database("small", identifier="db-eu", type="READ_REPLICA", region="eu-west-1", disk_volume_size_gb=10)
    primary = database("micro", disk_volume_size_gb=8, disk_type="gp3")
    vendor = Vendor([project("a", [MICRO], databases=[primary, replica])], offered=[SMALL["variant"]])
    found = await read(vendor, computeCredit="0")

    assert [(each.sku_id, each.resource_id, f"{each.billed_cost:.6f}") for each in found] == [
        ("ci_micro", "a", "0.322560"),
        ("disk_size", "db", "0.000000"),
        ("ci_small", "db-eu", "0.494400"),
        ("disk_size", "db-eu", f"{Decimal(10) * Decimal('0.125') / 31:.6f}"),
    ]
    assert found[2].region_id == "eu-west-1"


async def test_what_has_no_price_is_unpriced() -> None:
    """Compute of which no price is told, and other disks, show without one, until the Provider declares it."""
    kinds = [database("nano", disk_volume_size_gb=20, disk_type="io2")]
    vendor = Vendor([project("a", databases=kinds)])
    item = {"sku": "ci_nano", "unit": "Instances-Hours", "amount": "0.5", "currency": "USD"}
    found = await read(vendor)
    priced = await read(vendor, prices={"asOf": "2026-03-01", "items": [item]}, computeCredit="0")

    assert [(each.sku_id, each.billed_cost) for each in found] == [("ci_nano", None), ("disk_size_io2", None)]
    assert [each.billed_cost for each in priced] == [Decimal(12), None]


async def test_prices_of_another_kind_are_none() -> None:
    """An add-on that is priced neither by the hour nor by the month shows without a cost, and others are charged."""
    odd = addon("ipv4", variant("ipv4_default", 4, "per_query"))
    found = await read(Vendor([project("a", [odd, MICRO], databases=None)]), computeCredit="0")
    assert [each.billed_cost for each in found] == [None, Decimal("0.32256")]


async def test_own_prices_go_before_supabases() -> None:
    """A price that the Provider declares holds also for add-ons whose price is told."""
    item = {"sku": "ci_micro", "unit": "Instances-Hours", "amount": "0.01", "currency": "USD"}
    prices = {"asOf": "2026-03-01", "items": [item]}
    (found,) = await read(Vendor([project("a", [MICRO])]), prices=prices, computeCredit="0")
    assert found.billed_cost == Decimal("0.24")


@pytest.mark.parametrize("status", ["INACTIVE", "REMOVED", "INIT_FAILED"])
async def test_paused_projects_cost_nothing(status: str) -> None:
    """Projects that are paused or gone are not asked for add-ons."""
    vendor = Vendor([project("a", [MICRO], status=status)])
    assert await read(vendor) == []
    assert not any("billing" in request.path for request in vendor.asked)


async def test_free_plans_cost_nothing_but_what_is_declared() -> None:
    """On the free plan nothing is charged; a fee that is declared is, whatever the plan."""
    vendor = Vendor([project("a", [MICRO])], plan="free")
    assert await read(vendor) == []
    plan = {"name": "Pro", "amount": "25.00", "currency": "USD", "start": "2026-01-02"}
    (fee,) = await read(vendor, plan=plan)
    assert (fee.billed_cost, fee.sku_id, fee.charge_period_start.date()) == (Decimal(25), "Pro", FIRST)


async def test_projects_that_are_missing_stop_the_sync() -> None:
    """Where pages hold fewer projects than there are, nothing is stored."""
    answer = {"projects": [project("a")], "pagination": {"count": 2, "limit": 100, "offset": 0}}
    none = {"projects": [], "pagination": {"count": 2, "limit": 100, "offset": 0}}
    for reply in (answer, none):
        with pytest.raises(Bug):
            await read(Vendor([project("a")]), routes={PROJECTS: Reply.json(reply)})


async def test_one_reading_serves_all_windows() -> None:
    """Windows over a month's end are charged from one reading of what there is."""
    vendor = Vendor([project("a", [MICRO])])
    found = await read(vendor, 4, date(2026, 2, 27), computeCredit="0")
    assert len(found) == 4
    assert len(vendor.asked) == 3


async def check(vendor: Vendor | None = None, **given: Any) -> Account | ReconcilerError:
    async with talking(vendor or Vendor([project("a", [MICRO])]), **given) as connector:
        return await talk.checked(connector)


async def test_a_good_token_names_its_organisation() -> None:
    """`check` tells organisation and plan, and tries the permission to read add-ons."""
    vendor = Vendor([project("a", [MICRO])])
    assert await check(vendor) == Account(ORG, "Example Ltd", ("plan pro",))
    assert len(vendor.asked) == 3
    assert await check(Vendor(plan=None)) == Account(ORG, "Example Ltd")


ADDONS = "/v1/projects/a/billing/addons"
NO_RIGHT = refusal(403, "Your account does not have the necessary privileges to access this endpoint")


@pytest.mark.parametrize(
    ("given", "reason", "words"),
    [
        ({"key": "sbp_another0123456789"}, "Unauthorized", "mistyped, expired or revoked"),
        ({"key": "eyJhbGciOiJIUzI1NiJ9.e30"}, "Unauthorized", "project's API key"),
        ({"key": "sb_secret_0123456789"}, "Unauthorized", "secret key"),
        ({"routes": {ADDONS: NO_RIGHT}}, "Forbidden", "infra_add_ons_read"),
        ({"organization": "other"}, "NotFound", "supabase.organization"),
        ({"routes": {ORGANIZATION: refusal(400, "odd")}}, "BadRequest", "odd"),
        ({"routes": {ORGANIZATION: Reply(status=403, body=b"blocked by proxy")}}, "Forbidden", "blocked by proxy"),
    ],
    ids=["token", "jwt", "secret key", "permission", "organisation", "question", "proxy"],
)
async def test_refusals_say_what_to_do(given: Mapping[str, Any], reason: str, words: str) -> None:
    """A wrong token, a project's key, a missing permission and a wrong organisation are told apart."""
    error = await check(**given)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert "docs/connectors/supabase.md" in str(error)
    assert str(given.get("key", KEY)) not in str(error)
