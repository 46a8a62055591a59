"""The Render connector against a server that lists what stands: instances, databases and disks by the hour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY
from reconciler.connectors.base import Account, Traits
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.conformance.httpfaults import SHAPES
from reconciler.connectors.render import Render, RenderSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError
from tests.integration.connectors import talk
from tests.integration.connectors.render_vendor import KEY, OWNER, Vendor, refusal, service, store

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 2)


@asynccontextmanager
async def talking(
    vendor: Vendor, now: datetime = NOW, key: str = KEY, routes: Mapping[str, Reply] | None = None, **block: Any
) -> AsyncIterator[Render]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _always(reply))
        async with talk.talking(Render, server, {"apiKey": key}, now, {"baseURL": server.url, **block}) as connector:
            yield connector


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, days: int = 1, first: date = FIRST, **given: Any) -> list[Charge]:
    async with talking(vendor, **given) as connector:
        return await talk.read_days(connector, first, first + days * DAY)


def own(sku: str, unit: str, amount: str, per: str = "1") -> Mapping[str, Any]:
    """Prices of one's own, for one SKU."""
    item = {"sku": sku, "unit": unit, "amount": amount, "per": per, "currency": "USD"}
    return {"asOf": "2026-03-01", "items": [item]}


class Standing(Render):
    """The same connector, said to be coarser: what stands is charged on every day, not on one."""

    traits: ClassVar[Traits] = replace(Render.traits, grain="Month")


class TestRender(ConnectorConformance):
    """What every connector has to do. A line is a disk of as many GB, at $1 for each GB in the suite's ten days."""

    connector = Standing
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal(1)
    credits = False

    def settings(self, base_url: str) -> RenderSettings:
        return RenderSettings.model_validate({"baseURL": base_url, "prices": own("disk", "GB-Hours", "1", "240")})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        sizes = [Decimal(0)] * 4
        for place, line in enumerate(lines):
            sizes[place % len(sizes)] += line.amount
        disks = [
            service(f"srv-{place}", "free", details={"disk": {"id": "dsk", "name": "data", "sizeGB": size}})
            for place, size in enumerate(sizes)
        ]
        Vendor(disks, most=self.per_page).open(server)

    @pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "[]"])
    async def test_json_of_another_shape(self, shape: str, tmp_path: Path) -> None:
        """As the suite has it, but for an empty list, which is how Render says that there is nothing."""
        await super().test_json_of_another_shape(shape, tmp_path)

    async def test_one_day_of_many(self) -> None:  # type: ignore[override]
        """Of ten days on which the same stands, one has a tenth."""
        vendor = Vendor([service("srv-1")])
        prices = own("starter", "Instances-Hours", "0.5")
        one, ten = await read(vendor, 1, prices=prices), await read(vendor, 10, prices=prices)
        assert sum(each.billed_cost or 0 for each in one) * 10 == sum(each.billed_cost or 0 for each in ten) == 120


PLANS = {"starter": 7, "standard": 25, "pro": 85, "pro_plus": 175, "pro_max": 225, "pro_ultra": 450}


@hypothesis.settings(max_examples=30, deadline=None)
@given(
    plans=st.lists(st.tuples(st.sampled_from(sorted(PLANS)), st.integers(0, 9)), max_size=8),
    second=st.integers(0, 86399),
    most=st.integers(1, 4),
)
async def test_instances_cost_their_plans_by_the_second(plans: list[tuple[str, int]], second: int, most: int) -> None:
    """Over a day of creation, a full day and a running one, costs are the shipped monthly prices by the second."""
    created = datetime(2026, 3, 18, second // 3600, second // 60 % 60, second % 60, tzinfo=UTC).isoformat()
    services = [service(f"srv-{at}", *plan, createdAt=created) for at, plan in enumerate(plans)]
    found = await read(Vendor(services, most=most), 3, date(2026, 3, 18))

    seconds = 86400 - second + 86400 + 43200
    parts = [Fraction(PLANS[plan] * instances * seconds, 31 * 86400) for plan, instances in plans]
    gap = sum((Fraction(each.billed_cost or 0) for each in found), Fraction(0)) - sum(parts, Fraction(0))
    assert abs(gap) < Fraction(1, 10**15)


async def test_a_whole_month_costs_its_price() -> None:
    """A month of an instance costs what the list says, whatever the length of the month."""
    for first, days in ((date(2026, 2, 1), 28), (date(2026, 1, 11), 21)):
        found = await read(Vendor([service("srv-1", createdAt="2025-01-01T00:00:00Z")]), days, first)
        cost = sum((each.billed_cost or Decimal(0) for each in found), Decimal(0))
        assert round(cost, 15) == round(Decimal(7) * days / (28 if days == 28 else 31), 15)


async def test_a_service_becomes_charges_with_all_it_says() -> None:
    """Workspace, project by its environment, region, plan, hours and the list with its date arrive."""
    (found,) = await read(Vendor([service("srv-1", "standard", 2)]))

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 2, tzinfo=UTC),
        charge_period_end=datetime(2026, 3, 3, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal("1.61290322580645161290"),
        x_origin="estimate",
        service_name="Render",
        service_provider_name="Render",
        service_category="Compute",
        charge_frequency="Usage-Based",
        charge_description="web service",
        billing_account_id=OWNER,
        sub_account_id="prj-1",
        sub_account_name="Shop",
        region_id="frankfurt",
        resource_id="srv-1",
        resource_name="The srv-1",
        sku_id="standard",
        consumed_quantity=Decimal(48),
        consumed_unit="Instances-Hours",
        pricing_quantity=Decimal("0.06451612903225806452"),
        pricing_unit="Instances-Months",
        extra={
            "BillingAccountName": "Example Ltd",
            "x_environment_id": "evm-1",
            "ListUnitPrice": "25",
            "x_price_list_date": "2026-05-04",
            "x_price_list": "https://render.com/pricing",
        },
    )


async def test_what_has_no_price_is_unpriced() -> None:
    """Databases, key values, disks, cron jobs and plans that the list does not know show without a cost."""
    disk = {"disk": {"id": "dsk-1", "name": "data", "sizeGB": 10}, "autoscaling": {"enabled": True, "min": 1, "max": 3}}
    vendor = Vendor(
        [service("srv-1", "custom", details=disk), service("crn-1", "starter", None, type="cron_job")],
        [store("dpg-1", "basic_1gb", diskSizeGB=5), store("dpg-2", "pro_8gb", highAvailabilityEnabled=True)],
        [store("red-1", "starter")],
    )
    found = await read(vendor)

    assert {each.billed_cost for each in found} == {None}
    assert [(each.sku_id, each.resource_id, f"{each.consumed_quantity:f}") for each in found] == [
        ("custom", "srv-1", "24"),
        ("disk", "srv-1", "240"),
        ("cron/starter", "crn-1", "24"),
        ("postgres/basic_1gb", "dpg-1", "24"),
        ("postgres_storage", "dpg-1", "120"),
        ("postgres/pro_8gb/ha", "dpg-2", "24"),
        ("keyvalue/starter", "red-1", "24"),
    ]
    assert (found[0].extra or {})["x_autoscaling"] is True
    priced = await read(vendor, prices=own("postgres_storage", "GB-Months", "0.30"))
    assert [each.billed_cost for each in priced if each.billed_cost is not None] == [Decimal("0.04838709677419354839")]


@pytest.mark.parametrize(
    "vendor",
    [
        Vendor([service("srv-1", None, None, type="static_site")]),
        Vendor([service("srv-1", "free")]),
        Vendor([service("srv-1", serviceDetails=None)]),
        Vendor([service("srv-1", suspended="suspended")]),
        Vendor([service("srv-1", "starter", 0)]),
        Vendor(databases=[store("dpg-1", "free", diskSizeGB=1)]),
        Vendor(databases=[store("dpg-1", "basic_1gb", suspended="suspended")]),
        Vendor(stores=[store("red-1", "free"), store("red-2", "pro", status="suspended")]),
    ],
    ids=["static", "free", "bare", "suspended", "scaled down", "free database", "suspended database", "key values"],
)
async def test_what_costs_nothing_costs_nothing(vendor: Vendor) -> None:
    """Static sites, free plans and what is suspended or scaled to none have no cost, and are no unpriced lines."""
    assert [each.billed_cost for each in await read(vendor) if each.billed_cost != 0] == []


async def test_one_workspace_of_several() -> None:
    """Where the settings name a workspace, only what is in it is listed."""
    other = {"id": "usr-9", "name": "Me", "type": "user"}
    vendor = Vendor(
        [service("srv-1"), service("srv-2", ownerId="usr-9")], owners=[{"id": OWNER, "name": "Team"}, other]
    )

    assert {each.resource_id for each in await read(vendor)} == {"srv-1", "srv-2"}
    assert {each.resource_id for each in await read(vendor, ownerID="usr-9")} == {"srv-2"}


async def test_the_plans_fee_is_one_more_line() -> None:
    """The workspace's fee stands beside what runs."""
    plan = {"name": "Professional", "amount": "19.00", "currency": "USD", "start": "2026-03-02"}
    (fee,) = await read(Vendor(), plan=plan)
    assert (fee.billed_cost, fee.charge_category, fee.sku_id) == (Decimal(19), "Purchase", "Professional")


@pytest.mark.parametrize(
    "rows",
    [
        [{"service": {"id": "srv-1", "type": "web_service"}}],
        [{"cursor": "1", "service": {"id": "srv-1"}}],
        [{"cursor": "1"}],
        [{"cursor": "1", "service": service("srv-1", createdAt="yesterday")}],
    ],
    ids=["no cursor", "no type", "nothing", "no time"],
)
async def test_lists_that_cannot_be_counted_stop_the_sync(rows: Sequence[Any]) -> None:
    """Elements that are none, or without a cursor, fail the sync, and are never skipped."""
    with pytest.raises(Bug):
        await read(Vendor(), routes={"/v1/services": Reply.json(rows)})


async def check(vendor: Vendor | None = None, **given: Any) -> Account | ReconcilerError:
    async with talking(vendor or Vendor(), **given) as connector:
        return await talk.checked(connector)


async def test_a_good_key_names_its_workspace() -> None:
    """`check` tells the workspace, or all of them where there are several."""
    two = Vendor(owners=[{"id": "tea-1", "name": "Team"}, {"id": "usr-1", "name": None}])
    assert await check() == Account(OWNER, "Example Ltd")
    assert await check(two, ownerID="usr-1") == Account("usr-1", None)
    assert await check(two) == Account(notes=("2 workspaces: Team, usr-1",))


@pytest.mark.parametrize(
    ("given", "reason", "words"),
    [
        ({"key": "rnd_another0123456789"}, "Unauthorized", "mistyped or revoked"),
        ({"ownerID": "tea-other"}, "NotFound", "render.ownerID"),
        ({"routes": {"/v1/owners": refusal(403, "forbidden")}}, "Forbidden", "may not read this workspace"),
        ({"routes": {"/v1/owners": refusal(404, "not found")}}, "NotFound", "render.baseURL"),
        ({"routes": {"/v1/owners": refusal(400, "odd")}}, "BadRequest", "odd"),
        ({"routes": {"/v1/owners": Reply(status=403, body=b"blocked by proxy")}}, "Forbidden", "blocked by proxy"),
    ],
    ids=["key", "workspace", "right", "address", "question", "proxy"],
)
async def test_refusals_say_what_to_do(given: Mapping[str, Any], reason: str, words: str) -> None:
    """A wrong key, a wrong workspace and a missing right are told apart."""
    error = await check(**given)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert "docs/connectors/render.md" in str(error)
    assert str(given.get("key", KEY)) not in str(error)
