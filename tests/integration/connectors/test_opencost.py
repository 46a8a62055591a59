"""The OpenCost connector against a server that aggregates a cluster's costs as OpenCost does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.opencost import OpenCost, OpenCostSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.opencost_vendor import NOW, Cluster, Use
from tests.integration.connectors.talk import checked, read_days, talking

FIRST = date(2026, 3, 2)


def opened(server: ScriptedServer, now: datetime = NOW, **block: Any) -> AbstractAsyncContextManager[OpenCost]:
    return talking(OpenCost, server, {}, now, {"baseURL": server.url, **block})


async def read(*uses: Use, days: int = 1, first: date = FIRST, **block: Any) -> tuple[list[Charge], list[Request]]:
    """The charges of `days` days from `first` on, and the requests that it took."""
    async with ScriptedServer() as server:
        Cluster(uses).open(server)
        async with opened(server, **block) as connector:
            return await read_days(connector, first, first + days * DAY), server.requests


class TestOpenCost(ConnectorConformance):
    """What every connector has to do."""

    connector = OpenCost
    smallest = Decimal("0.00001")
    credits = False
    duplicates = False
    paged = False

    def settings(self, base_url: str) -> OpenCostSettings:
        return OpenCostSettings.model_validate({"baseURL": base_url})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        Cluster([Use(line.day, line.amount, line.item, line.project) for line in lines]).open(server)


AMOUNTS = st.decimals(0, 10**6, allow_nan=False, places=5)
USES = st.builds(
    Use,
    day=st.dates(FIRST, FIRST + 2 * DAY),
    cost=AMOUNTS,
    controller=st.sampled_from(["web", "db", None]),
    namespace=st.sampled_from(["shop", "search", "__unmounted__"]),
    kind=st.sampled_from(["deployment", "statefulset"]),
    cluster=st.sampled_from(["one", "arn:aws:eks:eu-1:1:cluster/two", ""]),
    labels=st.dictionaries(st.sampled_from(["team", "app.kubernetes.io/name"]), st.sampled_from(["a", "b__idle__c"])),
    shared=st.sampled_from([Decimal(0), Decimal("0.5")]),
    idle=st.booleans(),
)


@settings(max_examples=60)
@given(uses=st.lists(USES, max_size=20))
async def test_every_amount_lands_on_its_day_and_label(uses: list[Use]) -> None:
    """Whatever runs where, each day and team gets exactly what its workloads cost, idle capacity in no team's."""
    found, _ = await read(*uses, days=3, labels=["team", "app.kubernetes.io/name"])

    left: dict[tuple[date, str | None], Fraction] = defaultdict(Fraction)
    for charge in found:
        assert charge.billed_cost is not None
        left[charge.charge_period_start.date(), (charge.tags or {}).get("team")] += Fraction(charge.billed_cost)
    for use in uses:
        left[use.day, None if use.idle else use.labels.get("team")] -= Fraction(use.cost or 0)
    assert not any(left.values())


async def test_a_workload_becomes_a_charge_with_its_place() -> None:
    """Namespace, controller, labels, cluster and what each resource cost stand in the charge, an estimate."""
    use = Use(FIRST, Decimal("1.23456"), labels={"team": "blue", "unasked": "x"})
    (charge,), _ = await read(use, labels=["team", "owner"], currency="EUR")

    assert charge == Charge(
        charge_period_start=midnight(FIRST),
        charge_period_end=midnight(FIRST) + DAY,
        billing_currency="EUR",
        billed_cost=Decimal("1.23456"),
        x_origin="estimate",
        service_name="Kubernetes",
        service_provider_name="OpenCost",
        charge_frequency="Usage-Based",
        charge_description="deployment web",
        service_category="Compute",
        sub_account_id="shop",
        sub_account_name="shop",
        resource_id="shop/deployment/web",
        resource_name="web",
        tags={"team": "blue"},
        extra={"x_cluster": "cluster-one", "x_controller_kind": "deployment", "x_cpu_cost": "1.23456"},
    )


async def test_idle_shared_and_unused_stand_apart() -> None:
    """What no workload caused is in no workload's charge; idle capacity may be negative."""
    found, _ = await read(
        Use(FIRST, Decimal(3), shared=Decimal("0.5")),
        Use(FIRST, Decimal("-0.25"), idle=True),
        Use(FIRST, Decimal("0.1"), namespace="__unmounted__", controller=None, kind=None),
    )

    told = [(charge.service_name, charge.sub_account_id, charge.billed_cost) for charge in found]
    assert told == [
        ("Kubernetes", "shop", Decimal("2.5")),
        ("Kubernetes shared", "shop", Decimal("0.5")),
        ("Kubernetes idle", None, Decimal("-0.25")),
        ("Kubernetes unused", None, Decimal("0.1")),
    ]


async def test_pods_without_a_controller_are_not_lost() -> None:
    """They count in their namespace, under no controller."""
    (charge,), _ = await read(Use(FIRST, Decimal(1), controller=None, kind=None))

    assert (charge.sub_account_id, charge.resource_id) == ("shop", None)
    assert charge.billed_cost == 1
    assert charge.charge_description == "pods without a controller"


async def test_what_opencost_could_not_work_out_is_unpriced() -> None:
    """A null is not a zero."""
    (charge,), _ = await read(Use(FIRST, None, shared=Decimal(1)))

    assert charge.billed_cost is None


def test_totals_leave_the_cluster_out() -> None:
    """Its figures attribute what the cloud bills, so they are not spend of their own unless a manifest says so."""
    assert OpenCost.traits.attribution_only
    assert OpenCost.traits.origin == "estimate"


async def test_each_day_is_asked_for_by_itself() -> None:
    """Days are closed UTC windows in RFC 3339; idle capacity is asked for, and never shared out."""
    _, asked = await read(days=2, labels=["team", "team"])

    assert [request.first("window") for request in asked] == [
        "2026-03-03T00:00:00Z,2026-03-04T00:00:00Z",
        "2026-03-02T00:00:00Z,2026-03-03T00:00:00Z",
    ]
    for request in asked:
        assert request.first("aggregate") == "cluster,namespace,controllerKind,controller,label:team"
        assert (request.first("includeIdle"), request.first("shareIdle")) == ("true", "false")


async def test_today_is_read_as_far_as_it_has_come() -> None:
    """The window never ends in the future, and a day that has not begun is not asked for."""
    found, asked = await read(Use(NOW.date(), Decimal(1)), first=NOW.date(), days=2)

    assert [request.first("window") for request in asked] == ["2026-03-20T00:00:00Z,2026-03-20T12:30:00Z"]
    assert [charge.charge_period_end for charge in found] == [midnight(NOW.date()) + DAY]


GOOD = {"totalCost": 1, "window": {"start": "2026-03-02T00:00:00Z", "end": "2026-03-03T00:00:00Z"}}
OTHER = {**GOOD, "window": {"start": "2026-03-03T00:00:00Z", "end": "2026-03-04T00:00:00Z"}}


def answer(**changed: Any) -> Any:
    return {"code": 200, "status": "success", "data": [{"one/shop/deployment/deployment:web": GOOD}], **changed}


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply.json(answer(data=None)), Bug, "no data"),
        (Reply(), Bug, r"."),
        (Reply.json(answer(data=[{"shop/web": GOOD}])), Bug, "shop/web"),
        (Reply.json(answer(data=[{"one/shop/a/b": {}}])), Bug, "totalCost"),
        (Reply.json(answer(data=[{"one/shop/a/b": OTHER}])), Bug, "2026-03-03"),
        (Reply.json(answer(code=500, message="Error: prometheus is down")), RetryLater, "prometheus is down"),
    ],
    ids=["no data", "nothing", "parts missing", "no total", "another day", "failed within"],
)
async def test_answers_that_tell_no_costs_are_not_kept(reply: Reply, error: type[ReconcilerError], words: str) -> None:
    """What is no set of costs of the day asked for leaves the day as it was."""
    async with ScriptedServer() as server:
        server.route("GET", "/allocation", lambda _: reply)
        async with opened(server) as connector:
            with pytest.raises(error, match=words):
                [batch async for batch in connector.charges(Window(Span.of_days(FIRST, FIRST + DAY)))]


@pytest.mark.parametrize("data", [[], [None], [{}]], ids=["no set", "null", "empty"])
async def test_a_day_without_workloads_has_no_charges(data: list[Any]) -> None:
    """An empty set is a day on which nothing ran."""
    async with ScriptedServer() as server:
        server.route("GET", "/allocation", lambda _: Reply.json(answer(data=data)))
        async with opened(server) as connector:
            assert await read_days(connector, FIRST, FIRST + DAY) == []


async def check(reply: Reply | None = None, *uses: Use) -> Account | ReconcilerError:
    """What `check` finds or raises; `reply` takes the place of every answer."""
    async with ScriptedServer() as server:
        Cluster(uses).open(server)
        if reply is not None:
            server.fail(reply)
        async with opened(server) as connector:
            return await checked(connector)


async def test_check_names_the_clusters() -> None:
    """Whoever reads the status sees which clusters answer."""
    today = NOW.date()
    uses = [Use(today, Decimal(1), cluster="two"), Use(today, Decimal(1), cluster="one", idle=True)]

    assert await check(None, *uses) == Account(id="one, two")
    assert await check() == Account()


@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        (Reply.json({"code": 404, "message": "404 page not found"}, 404), "NotFound", "port 9003"),
        (Reply(status=400, body=b"Invalid 'window' parameter: x"), "BadRequest", "Invalid 'window' parameter"),
        (Reply(status=403, body=b"RBAC: access denied"), "Forbidden", "RBAC: access denied"),
    ],
    ids=["not found", "bad request", "forbidden"],
)
async def test_refusals_say_what_to_do(reply: Reply, reason: str, words: str) -> None:
    """Each refusal has its reason, OpenCost's own words, and where to read on."""
    error = await check(reply)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert OpenCost.traits.guide in str(error)
