"""The Fly.io connector against a server that lists apps, machines and volumes: what runs is charged by the hour."""

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
from reconciler.connectors.flyio import Flyio, FlyioSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError
from tests.integration.connectors import talk
from tests.integration.connectors.flyio_vendor import KEY, OLD_KEY, ORG, Vendor, machine, refusal, volume

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST = date(2026, 3, 2)


@asynccontextmanager
async def talking(
    vendor: Vendor, now: datetime = NOW, key: str = KEY, routes: Mapping[str, Reply] | None = None, **block: Any
) -> AsyncIterator[Flyio]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _always(reply))
        settings = {"organization": ORG, "baseURL": server.url, **block}
        async with talk.talking(Flyio, server, {"apiKey": key}, now, settings) as connector:
            yield connector


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, days: int = 1, first: date = FIRST, **given: Any) -> list[Charge]:
    async with talking(vendor, **given) as connector:
        return await talk.read_days(connector, first, first + days * DAY)


def own(*items: tuple[str, str, str]) -> Mapping[str, Any]:
    """Prices of one's own: SKU, unit and amount."""
    told = [{"sku": sku, "unit": unit, "amount": amount, "currency": "USD"} for sku, unit, amount in items]
    return {"asOf": "2026-03-01", "items": told}


class Standing(Flyio):
    """The same connector, said to be coarser: what stands is charged on every day, not on one."""

    traits: ClassVar[Traits] = replace(Flyio.traits, grain="Month")


class TestFlyio(ConnectorConformance):
    """What every connector has to do. A line is a volume of as many GB, at $1 for each GB in the suite's ten days."""

    connector = Standing
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal(1)
    credits = False
    paged = False

    def settings(self, base_url: str) -> FlyioSettings:
        item = {"sku": "volume", "unit": "GB-Hours", "amount": "1", "per": "240", "currency": "USD"}
        prices = {"asOf": "2026-03-01", "items": [item]}
        return FlyioSettings.model_validate({"organization": ORG, "baseURL": base_url, "prices": prices})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        volumes = [volume(f"vol_{place}", line.amount, name=line.item) for place, line in enumerate(lines)]
        Vendor(volumes={"app": volumes}).open(server)

    @pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "[]"])
    async def test_json_of_another_shape(self, shape: str, tmp_path: Path) -> None:
        """As the suite has it, but for an empty list, which is how Fly.io says that there is nothing."""
        await super().test_json_of_another_shape(shape, tmp_path)

    async def test_one_day_of_many(self) -> None:  # type: ignore[override]
        """Of ten days on which the same stands, one has a tenth."""
        vendor = Vendor(volumes={"app": [volume("vol_1", 30)]})
        one, ten = await read(vendor), await read(vendor, 10)
        assert (
            sum(each.billed_cost or 0 for each in one) * 10
            == sum(each.billed_cost or 0 for each in ten)
            == Decimal("1.5")
        )


MACHINES = st.tuples(st.sampled_from(["shared", "performance"]), st.integers(1, 16), st.integers(0, 64))


@hypothesis.settings(max_examples=30, deadline=None)
@given(
    machines=st.lists(MACHINES, max_size=6),
    sizes=st.lists(st.integers(1, 500), max_size=4),
    second=st.integers(0, 86399),
)
async def test_costs_are_seconds_times_prices(machines: list[Any], sizes: list[int], second: int) -> None:
    """Over a day of creation, a full day and a running one, costs are the prices of 30 days by the second."""
    created = datetime(2026, 3, 18, second // 3600, second // 60 % 60, second % 60, tzinfo=UTC).isoformat()
    base = {"shared": 256, "performance": 2048}
    running = [
        machine(f"m{place}", kind, cpus, base[kind] * cpus + 512 * more, created_at=created)
        for place, (kind, cpus, more) in enumerate(machines)
    ]
    volumes = [volume(f"vol_{place}", size, created_at=created) for place, size in enumerate(sizes)]
    presets = sorted({f"{kind}-cpu-{cpus}x" for kind, cpus, _ in machines})
    prices = own(("extra_ram", "GB-Months", "5"), *((preset, "Machines-Months", "3.20") for preset in presets))
    vendor = Vendor({"web": running}, {"web": volumes})
    found = await read(vendor, 3, date(2026, 3, 18), prices=prices)

    months = Fraction(86400 - second + 86400 + 43200, 720 * 3600)
    extra = sum(Fraction(more, 2) for _, _, more in machines)
    price = len(machines) * Fraction("3.2") + extra * 5 + sum(sizes) * Fraction("0.15")
    gap = sum((Fraction(each.billed_cost or 0) for each in found), Fraction(0)) - months * price
    assert abs(gap) < Fraction(1, 10**15)


async def test_a_volume_becomes_charges_with_all_it_says() -> None:
    """App, region, size, hours and the list with its date arrive."""
    (found,) = await read(Vendor(volumes={"web": [volume("vol_1", 10)]}))

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 2, tzinfo=UTC),
        charge_period_end=datetime(2026, 3, 3, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal("0.05"),
        x_origin="estimate",
        service_name="Fly.io",
        service_provider_name="Fly.io",
        service_category="Storage",
        charge_frequency="Usage-Based",
        charge_description="volume",
        billing_account_id=ORG,
        sub_account_id="web",
        sub_account_name="web",
        region_id="fra",
        resource_id="vol_1",
        resource_name="data",
        sku_id="volume",
        consumed_quantity=Decimal(240),
        consumed_unit="GB-Hours",
        pricing_quantity=Decimal("0.33333333333333333333"),
        pricing_unit="GB-Months",
        extra={
            "ListUnitPrice": "0.15",
            "x_price_list_date": "2026-08-05",
            "x_price_list": "https://fly.io/docs/about/pricing/",
        },
    )


async def test_machines_without_a_price_are_unpriced() -> None:
    """Presets, memory, GPUs and machines of unknown size show without a cost until the Provider declares one."""
    guest = {"cpu_kind": "performance", "cpus": 8, "memory_mb": 32768, "gpu_kind": "a100-pcie-40gb"}
    told = [
        machine("m1"),
        machine("m2", memory=1024),
        machine("m3", config={"guest": guest}),
        machine("m4", config=None),
    ]
    found = await read(Vendor({"web": told}))

    assert {each.billed_cost for each in found} == {None}
    assert [(each.sku_id, f"{each.consumed_quantity:f}", each.consumed_unit) for each in found] == [
        ("shared-cpu-1x", "24", "Machines-Hours"),
        ("shared-cpu-1x", "24", "Machines-Hours"),
        ("extra_ram", "18", "GB-Hours"),
        ("performance-cpu-8x", "24", "Machines-Hours"),
        ("extra_ram", "384", "GB-Hours"),
        ("gpu/a100-pcie-40gb", "24", "Machines-Hours"),
        ("unknown", "24", "Machines-Hours"),
    ]


async def test_a_regions_own_price_goes_before() -> None:
    """A price of a preset in a region holds there, the price without a region elsewhere."""
    prices = own(("shared-cpu-1x", "Machines-Hours", "0.01"), ("shared-cpu-1x/gru", "Machines-Hours", "0.02"))
    found = await read(Vendor({"web": [machine("m1"), machine("m2", region="gru")]}), prices=prices)

    assert [(each.sku_id, f"{each.billed_cost:f}") for each in found] == [
        ("shared-cpu-1x", "0.24"),
        ("shared-cpu-1x/gru", "0.48"),
    ]


@pytest.mark.parametrize("state", ["stopped", "suspended", "created", "destroyed", "failed"])
async def test_machines_that_do_not_run_cost_nothing(state: str) -> None:
    """Only what runs is charged; a volume is as long as it is not destroyed."""
    vendor = Vendor({"web": [machine("m1", state=state)]}, {"web": [volume("vol_1", 1, state="pending_destroy")]})
    assert await read(vendor) == []


async def test_the_plans_fee_is_one_more_line() -> None:
    """A support plan's fee stands beside what runs."""
    plan = {"name": "Standard support", "amount": "29.00", "currency": "USD", "start": "2026-03-02"}
    (fee,) = await read(Vendor(), plan=plan)
    assert (fee.billed_cost, fee.charge_category, fee.billing_account_id) == (Decimal(29), "Purchase", ORG)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/apps/web/machines", [{"id": "m1"}]),
        ("/v1/apps/web/machines", [machine("m1", config={"guest": {"cpu_kind": "shared"}})]),
        ("/v1/apps/web/volumes", [volume("vol_1", None)]),
        ("/v1/apps/web/volumes", [volume("vol_1", 1, created_at="yesterday")]),
        ("/v1/apps", {"apps": []}),
    ],
    ids=["no state", "no size", "no gigabytes", "no time", "fine"],
)
async def test_lists_that_cannot_be_counted_stop_the_sync(path: str, answer: Any) -> None:
    """Things that are none fail the sync, and are never skipped; an organisation without apps is no fault."""
    vendor, routes = Vendor({"web": [machine("m1")]}), {path: Reply.json(answer)}
    if path == "/v1/apps":
        assert await read(vendor, routes=routes) == []
        return
    with pytest.raises(Bug):
        await read(vendor, routes=routes)


async def test_apps_that_are_missing_stop_the_sync() -> None:
    """Where Fly.io has more apps than it tells, nothing is stored."""
    with pytest.raises(Bug, match="3 apps and told 1"):
        await read(Vendor({"web": [machine("m1")]}, total=3))


async def check(vendor: Vendor | None = None, **given: Any) -> Account | ReconcilerError:
    async with talking(vendor or Vendor({"web": [machine("m1")]}), **given) as connector:
        return await talk.checked(connector)


@pytest.mark.parametrize("key", [KEY, OLD_KEY, f"{KEY}\n"])
async def test_a_good_token_opens_its_organisation(key: str) -> None:
    """Tokens of both kinds are sent as they have to be."""
    assert await check(key=key) == Account(ORG, notes=("1 apps",))


@pytest.mark.parametrize(
    ("given", "reason", "words"),
    [
        ({"key": "FlyV1 fm2_another0123456789"}, "Unauthorized", "mistyped, expired or revoked"),
        ({"organization": "other"}, "NotFound", "flyio.organization"),
        ({"routes": {"/v1/apps/web/machines": refusal(403, "forbidden")}}, "Forbidden", "too narrow"),
        ({"routes": {"/v1/apps": refusal(400, "odd")}}, "BadRequest", "odd"),
        ({"routes": {"/v1/apps": Reply(status=403, body=b"blocked by proxy")}}, "Forbidden", "blocked by proxy"),
    ],
    ids=["token", "organisation", "right", "question", "proxy"],
)
async def test_refusals_say_what_to_do(given: Mapping[str, Any], reason: str, words: str) -> None:
    """A wrong token, a wrong organisation and a token that is too narrow are told apart."""
    error = await check(**given)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert "docs/connectors/flyio.md" in str(error)
    assert str(given.get("key", KEY)) not in str(error)
