"""The Netlify connector against a server that tells build minutes of two billing periods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
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
from ledger.window import DAY, Span
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.conformance.httpfaults import SHAPES
from reconciler.connectors.netlify import Netlify, NetlifySettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError
from tests.integration.connectors import talk
from tests.integration.connectors.netlify_vendor import KEY, TEAM, Vendor, minutes, refusal

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
TODAY = Span.of_days(NOW.date(), NOW.date() + DAY)
STATUS = f"/{TEAM['id']}/builds/status"
PACK = {"sku": "build_minutes", "unit": "Minutes", "per": "500", "amount": "7.00", "currency": "USD"}
PRICES = {"asOf": "2026-03-01", "items": [PACK]}


@asynccontextmanager
async def talking(
    vendor: Vendor, now: datetime = NOW, key: str = KEY, routes: Mapping[str, Reply] | None = None, **block: Any
) -> AsyncIterator[Netlify]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _always(reply))
        async with talk.talking(Netlify, server, {"apiKey": key}, now, {"baseURL": server.url, **block}) as connector:
            yield connector


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, span: Span = TODAY, **given: Any) -> list[Charge]:
    """The charges of the billing periods that hold `span`."""
    async with talking(vendor, **given) as connector:
        return await talk.read_days(connector, span.start.date(), span.end.date())


class TestNetlify(ConnectorConformance):
    """What every connector has to do, with minutes at a cent each and none included."""

    connector = Netlify
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    credits = False
    paged = False

    def settings(self, base_url: str) -> NetlifySettings:
        cent = {"sku": "build_minutes", "unit": "Minutes", "amount": "0.01", "currency": "USD"}
        prices = {"asOf": "2026-03-01", "items": [cent]}
        return NetlifySettings.model_validate({"baseURL": base_url, "includedMinutes": 0, "prices": prices})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        built = sum((line.amount for line in lines), Decimal(0)) * 100
        Vendor(minutes(int(built), start="2026-03-01")).open(server)

    @pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "[]"])
    async def test_json_of_another_shape(self, shape: str, tmp_path: Path) -> None:
        """As the suite has it, but for an empty list, which is how Netlify says that there is nothing."""
        await super().test_json_of_another_shape(shape, tmp_path)


COUNTS = st.integers(0, 10**6)


@hypothesis.settings(max_examples=30, deadline=None)
@given(current=COUNTS, previous=COUNTS, included=COUNTS, said=st.sampled_from(["text", "packs", "settings"]))
async def test_minutes_beyond_the_plan_are_priced(current: int, previous: int, included: int, said: str) -> None:
    """Each period costs its minutes beyond the plan, which Netlify tells with or without packs, or the settings do."""
    told: dict[str, Any] = {"included_minutes": str(included)} if said == "text" else {}
    if said == "packs":
        told = {"included_minutes": "1", "included_minutes_with_packs": str(included)}
    given: dict[str, Any] = {"includedMinutes": included} if said == "settings" else {}
    vendor = Vendor(minutes(current, previous, **told))
    found = await read(vendor, Span.of_days(date(2026, 3, 1), date(2026, 3, 21)), prices=PRICES, **given)

    costs = {each.charge_period_start.date(): Fraction(each.billed_cost or 0) for each in found}
    assert costs == {
        date(2026, 3, 12): Fraction(max(0, current - included) * 7, 500),
        date(2026, 2, 12): Fraction(max(0, previous - included) * 7, 500),
    }


async def test_minutes_become_a_charge_with_all_they_say() -> None:
    """Team, period, minutes, what is included, and the price with its day arrive."""
    (found,) = await read(Vendor(minutes(1500, included_minutes="1000")), prices=PRICES)

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 12, tzinfo=UTC),
        charge_period_end=datetime(2026, 4, 12, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal(7),
        x_origin="estimate",
        service_name="Netlify",
        service_provider_name="Netlify",
        service_category="Web",
        charge_frequency="Usage-Based",
        charge_description="Build minutes",
        billing_account_id="5f0e1d2c3b4a",
        sub_account_id="example",
        sub_account_name="Example Ltd",
        sku_id="build_minutes",
        consumed_quantity=Decimal(1500),
        consumed_unit="Minutes",
        pricing_quantity=Decimal(1),
        pricing_unit="500 Minutes",
        extra={
            "x_included_minutes": "1000",
            "ListUnitPrice": "7",
            "x_price_list_date": "2026-03-01",
            "x_price_list": "the Provider's own prices",
        },
    )


@pytest.mark.parametrize(
    ("told", "block", "cost"),
    [
        ({"included_minutes": "300"}, {}, Decimal(0)),
        ({"included_minutes": "100"}, {}, None),
        ({}, {}, None),
        ({}, {"prices": PRICES}, None),
        ({"included_minutes": "unlimited"}, {"prices": PRICES}, None),
        ({"included_minutes": ""}, {"includedMinutes": 0, "prices": PRICES}, Decimal("2.8")),
    ],
    ids=["within", "no price", "nothing known", "allowance not known", "words", "all known"],
)
async def test_what_is_not_known_is_unpriced(told: Mapping[str, Any], block: Mapping[str, Any], cost: object) -> None:
    """Minutes within the plan cost nothing; without a price, or not knowing what is included, they have no cost."""
    (found,) = await read(Vendor(minutes(200, **told)), **block)
    assert (found.billed_cost, found.consumed_quantity) == (cost, Decimal(200))


async def test_a_period_grows_and_then_stays() -> None:
    """The period that runs is charged anew as it grows; when the next has begun, its total is told as the previous."""
    before = await read(Vendor(minutes(700, 5)), includedMinutes=0, prices=PRICES)
    april = datetime(2026, 4, 13, 6, tzinfo=UTC)
    span = Span.of_days(date(2026, 4, 11), date(2026, 4, 14))
    after = await read(Vendor(minutes(10, 900, "2026-04-12")), span, now=april, includedMinutes=0, prices=PRICES)

    assert [(each.charge_period_start.date(), each.consumed_quantity) for each in before] == [
        (date(2026, 3, 12), Decimal(700))
    ]
    assert [(each.charge_period_start.date(), each.consumed_quantity) for each in after] == [
        (date(2026, 4, 12), Decimal(10)),
        (date(2026, 3, 12), Decimal(900)),
    ]


@pytest.mark.parametrize(
    ("start", "now", "expected"),
    [
        ("2026-03-12", NOW, [("2026-03-12", "2026-03-21"), ("2026-02-12", "2026-03-12")]),
        ("2026-03-31", datetime(2026, 4, 2, tzinfo=UTC), [("2026-03-31", "2026-04-03"), ("2026-02-28", "2026-03-31")]),
        (None, NOW, [("2026-03-01", "2026-03-21"), ("2026-02-01", "2026-03-01")]),
    ],
    ids=["the twelfth", "the last", "not told"],
)
async def test_windows_are_billing_periods(
    start: str | None, now: datetime, expected: Sequence[tuple[str, str]]
) -> None:
    """The two periods of which there are figures, newest first, as far as something in them is due."""
    async with talking(Vendor(minutes(start=start)), now) as connector:
        due = [Span.of_days(date(2026, 1, 1), now.date() + DAY)]
        windows = await connector.windows(due, due[0])
        recent = await connector.windows([Span.of_days(now.date(), now.date() + DAY)], due[0])

    assert [(f"{each.start:%Y-%m-%d}", f"{each.end:%Y-%m-%d}") for each in windows] == expected
    assert recent == windows[:1]


async def test_the_plans_fee_is_one_more_line() -> None:
    """The fee stands beside the minutes, on the day that its months begin."""
    plan = {"name": "Pro", "amount": "20.00", "currency": "USD", "start": "2026-01-12"}
    fee = (await read(Vendor(), includedMinutes=0, prices=PRICES, plan=plan))[-1]
    assert (fee.billed_cost, fee.charge_category) == (Decimal(20), "Purchase")
    assert fee.charge_period_start.date() == date(2026, 3, 12)


async def test_a_team_that_never_built_costs_nothing() -> None:
    """Without a status there are no minutes, and no unpriced line; nor without a count."""
    assert await read(Vendor(None)) == []
    assert await read(Vendor(minutes(None))) == []


@pytest.mark.parametrize(
    "answer",
    [
        [{"minutes": minutes("many")}],
        [{"minutes": minutes(start="2026-03-21")}],
        [{"minutes": {"current": 1, "period_start_date": "soon"}}],
        [{"minutes": minutes()}, {"minutes": minutes()}],
        [{}],
    ],
    ids=["no number", "to come", "no time", "two", "nothing"],
)
async def test_answers_that_cannot_be_counted_stop_the_sync(answer: Sequence[Any]) -> None:
    """Minutes that are none, of a period to come or told twice, are never skipped."""
    with pytest.raises(Bug):
        await read(Vendor(), routes={STATUS: Reply.json(answer)})


async def check(vendor: Vendor | None = None, **given: Any) -> Account | ReconcilerError:
    async with talking(vendor or Vendor(), **given) as connector:
        return await talk.checked(connector)


async def test_a_good_token_names_its_team() -> None:
    """`check` tells team and plan; of several teams, the one that the settings name by slug or id."""
    two = Vendor(teams=[TEAM, {"id": "other1", "slug": None, "name": "Other"}])
    assert await check() == Account("5f0e1d2c3b4a", "Example Ltd", ("plan Pro",))
    assert await check(two, account="example") == await check()
    assert await check(two, account="other1") == Account("other1", "Other")


@pytest.mark.parametrize(
    ("given", "reason", "words"),
    [
        ({"key": "nfp_another0123456789"}, "Unauthorized", "mistyped, expired or revoked"),
        ({"account": "elsewhere"}, "NotFound", "Set netlify.account to one of the teams"),
        ({"vendor": Vendor(teams=[TEAM, {"id": "b", "slug": "beta"}])}, "NotFound", "example, beta"),
        ({"vendor": Vendor(teams=[])}, "NotFound", "none"),
        ({"routes": {STATUS: refusal(403, "forbidden")}}, "Forbidden", "may not read this team"),
        ({"routes": {STATUS: refusal(404, "Not Found")}}, "NotFound", "netlify.baseURL"),
        ({"routes": {"/accounts": refusal(400, "odd")}}, "BadRequest", "odd"),
        ({"routes": {"/accounts": Reply(status=403, body=b"blocked by proxy")}}, "Forbidden", "blocked by proxy"),
    ],
    ids=["token", "team", "several", "none", "right", "address", "question", "proxy"],
)
async def test_refusals_say_what_to_do(given: Mapping[str, Any], reason: str, words: str) -> None:
    """A wrong token, a team that is not clear and a missing right are told apart."""
    error = await check(**given)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert "docs/connectors/netlify.md" in str(error)
    assert str(given.get("key", KEY)) not in str(error)
