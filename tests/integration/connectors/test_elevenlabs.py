"""The ElevenLabs connector against a server that speaks the workspace analytics: tables of cost and of credits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.elevenlabs import ElevenLabs, ElevenLabsSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError
from tests.integration.connectors.elevenlabs_vendor import KEY, NOW, Used, Workspace, failure
from tests.integration.connectors.talk import checked, read_days, talking

FIRST = date(2026, 3, 2)
COST: dict[str, Any] = {"billedIn": "Cost"}


def opened(server: ScriptedServer, key: str = KEY, **block: Any) -> AbstractAsyncContextManager[ElevenLabs]:
    return talking(ElevenLabs, server, {"apiKey": key}, NOW, {"baseURL": server.url, **block})


async def read(workspace: Workspace, days: int = 3, **block: Any) -> tuple[list[Charge], list[Request]]:
    """The charges of the first `days` days, and the requests that it took."""
    async with ScriptedServer() as server:
        workspace.open(server)
        async with opened(server, **block) as connector:
            return await read_days(connector, FIRST, FIRST + days * DAY), server.requests


class TestElevenLabs(ConnectorConformance):
    """What every connector has to do, for a workspace that is billed by cost."""

    connector = ElevenLabs
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal("0.0000000001")
    duplicates = False
    paged = False

    def settings(self, base_url: str) -> ElevenLabsSettings:
        return ElevenLabsSettings.model_validate({"baseURL": base_url, **COST})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        used = [Used(line.day, line.amount, {"product_type": line.item, "model": line.project}) for line in lines]
        Workspace(used).open(server)


AMOUNTS = st.decimals(-100, 10**6, allow_nan=False, places=12)


@settings(max_examples=40)
@given(
    used=st.lists(st.builds(Used, st.dates(FIRST, FIRST + 40 * DAY), AMOUNTS), max_size=12),
    milliseconds=st.booleans(),
    including_end=st.booleans(),
)
async def test_costs_add_up_to_what_the_tables_say(used: list[Used], milliseconds: bool, including_end: bool) -> None:
    """Over the end of a month, however times are written, each day's cost is counted once and to the last digit."""
    found, _ = await read(Workspace(used, milliseconds=milliseconds, including_end=including_end), 41, **COST)

    sums: dict[date, Fraction] = defaultdict(Fraction)
    for charge in found:
        sums[charge.charge_period_start.date()] += Fraction(charge.billed_cost or 0)
    for each in used:
        sums[each.day] -= Fraction(each.amount)
    assert len(found) == len(used)
    assert not any(sums.values())


async def test_a_row_of_cost_becomes_a_charge() -> None:
    """Product, model, kind of charge and billed quantity stand in the charge, in the currency of the column."""
    groups: dict[str, str | None] = {"product_type": "tts", "model": "eleven_v3", "fiat_charge_type": "usage"}
    (charge,), requests = await read(Workspace([Used(FIRST, Decimal("1.2345"), groups)], unit="eur"), **COST)

    assert charge == Charge(
        charge_period_start=midnight(FIRST),
        charge_period_end=midnight(FIRST) + DAY,
        billing_currency="EUR",
        billed_cost=Decimal("1.2345"),
        x_origin="api",
        service_name="ElevenLabs",
        service_provider_name="ElevenLabs",
        charge_frequency="Usage-Based",
        charge_description="tts, eleven_v3",
        service_category="AI and Machine Learning",
        sku_id="tts",
        x_model="eleven_v3",
        consumed_quantity=Decimal(4200),
        consumed_unit="Units",
        extra={"x_charge_type": "usage"},
    )
    assert requests[0].json() == {
        "start_time": 1772409600000,
        "end_time": 1772668800000,
        "interval_seconds": 86400,
        "group_by": ["product_type", "model", "fiat_charge_type", "fiat_currency"],
    }


@pytest.mark.parametrize(
    ("unit", "named", "code"),
    [("gbp", None, "GBP"), (None, "pln", "PLN"), ("credits", "USD", "USD"), ("inr", "eur", "INR")],
)
async def test_the_currency_is_the_columns_or_the_rows(unit: str | None, named: str | None, code: str) -> None:
    """The unit of the column of cost decides; where it is no currency, the row names one."""
    (charge,), _ = await read(Workspace([Used(FIRST, Decimal(1), {"fiat_currency": named})], unit=unit), **COST)

    assert charge.billing_currency == code


@pytest.mark.parametrize(
    ("split", "groups", "fields"),
    [
        ("Workspace", {"reporting_workspace_id": "w1"}, {"sub_account_id": "w1", "sub_account_name": "Studio"}),
        ("User", {"user_id": "u1"}, {"sub_account_id": "u1", "sub_account_name": "u1"}),
        ("BillingGroup", {"billing_group_id": "b1"}, {"sub_account_id": "b1", "sub_account_name": "b1"}),
        ("Region", {"region": "eu"}, {"region_id": "eu"}),
        ("APIKey", {"hashed_xi_api_key": "0123456789abcdef"}, {"extra": {"x_api_key_name": "0123456789ab"}}),
    ],
)
async def test_costs_can_be_told_by_other_dimensions(split: str, groups: Any, fields: Mapping[str, Any]) -> None:
    """Workspaces, users, billing groups, regions and keys have their columns, and names where there are labels."""
    workspace = Workspace([Used(FIRST, Decimal(1), groups)], labels={"w1": "Studio"})
    (charge,), _ = await read(workspace, **COST, split=split)

    assert {name: getattr(charge, name) for name in fields} == fields
    assert charge.sku_id is None


async def test_credits_are_usage_without_a_price() -> None:
    """For a workspace billed in credits, the credits stand in the charge, and it is unpriced and an estimate."""
    (charge,), _ = await read(Workspace([Used(FIRST, Decimal("1500.5"))], by_cost=False))

    assert (charge.billed_cost, charge.x_origin) == (None, "estimate")
    assert (charge.consumed_quantity, charge.consumed_unit) == (Decimal("1500.5"), "Credits")
    assert charge.sku_id == "credits"
    assert charge.extra == {"x_product": "tts"}


async def test_credits_are_priced_as_declared_and_the_plan_is_a_fee() -> None:
    """With a price for credits they cost that, by the list's date; the plan's fee is a charge beside them."""
    block: dict[str, Any] = {
        "prices": {
            "asOf": "2026-02-28",
            "items": [{"sku": "credits", "unit": "Credits", "per": "1000", "amount": "0.20", "currency": "USD"}],
        },
        "plan": {"name": "Pro", "amount": "99", "currency": "USD", "start": "2026-01-04"},
    }
    charge, fee = (await read(Workspace([Used(FIRST, Decimal(1500))], by_cost=False), **block))[0]

    assert charge.billed_cost == Decimal("0.3")
    assert (charge.extra or {})["x_price_list_date"] == "2026-02-28"
    assert (fee.billed_cost, fee.charge_category, fee.x_origin) == (Decimal(99), "Purchase", "estimate")
    assert fee.charge_period_start == midnight(date(2026, 3, 4))


async def test_a_day_that_changes_later_is_read_as_it_is_then() -> None:
    """A restated day has its new figure, and nothing of the old one."""
    before, _ = await read(Workspace([Used(FIRST, Decimal(1))]), **COST)
    after, _ = await read(Workspace([Used(FIRST, Decimal("1.5"))]), **COST)

    assert [charge.billed_cost for charge in (*before, *after)] == [1, Decimal("1.5")]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"columns": ["a"], "column_types": ["String"], "column_units": [None], "rows": []}, "no column of time"),
        ({"rows": [["2026-03-02T00:00:00+00:00"]]}, "more or fewer cells"),
        ({"columns": None}, "columns"),
        ({"rows": [["yesterday", "tts", "m", None, None, 1, 1]]}, "no time"),
        ({"rows": [["2026-03-01T00:00:00+00:00", "tts", "m", None, None, 1, 1]]}, "2026-03-01"),
        ({"rows": [["2026-03-02T07:00:00+00:00", "tts", "m", None, None, 1, 1]]}, "2026-03-02T07"),
        ({"rows": [["2026-03-02T00:00:00+00:00", "tts", "m", None, None, "free", 1]]}, "no number"),
        (
            {"column_units": [None] * 7, "rows": [["2026-03-02T00:00:00+00:00", "tts", "m", None, None, 1, 1]]},
            "currency",
        ),
        ({"column_units": [None] * 7, "rows": [["2026-03-02T00:00:00Z", "tts", "m", None, "x", 1, 1]]}, "no currency"),
    ],
)
async def test_a_table_that_cannot_be_read_is_refused(overrides: Any, words: str) -> None:
    """Other shapes, times that were not asked for, and cells that hold no number reject the window."""
    with pytest.raises(Bug, match=words):
        await read(Workspace(overrides=overrides), **COST)


async def test_a_table_without_credits_is_refused() -> None:
    """Credits are known by their unit: a table without it is not read as no usage."""
    overrides = {
        "columns": ["timestamp"],
        "column_types": ["DateTime"],
        "column_units": [None],
        "rows": [[1772409600000]],
    }
    with pytest.raises(Bug, match="no column of credits"):
        await read(Workspace(by_cost=False, overrides=overrides))


async def check(reply: Reply | None = None, key: str = KEY, **block: Any) -> Account | ReconcilerError:
    """What `check` finds or raises; `reply` takes the place of every answer."""
    async with ScriptedServer() as server:
        Workspace().open(server)
        if reply is not None:
            server.fail(reply)
        async with opened(server, key, **block) as connector:
            return await checked(connector)


async def test_check_of_a_good_key() -> None:
    """A key that reads today's usage is good."""
    assert await check(**COST) == Account()


@pytest.mark.parametrize(
    ("reply", "key", "block", "reason", "words"),
    [
        (None, "sk_unknown-key", COST, "Unauthorized", "mistyped, disabled or deleted"),
        (
            failure(401, "You lack workspace_analytics_full_read", "missing_permissions"),
            KEY,
            COST,
            "Forbidden",
            "lacks",
        ),
        (failure(403, "Forbidden", "forbidden"), KEY, COST, "Forbidden", "workspace_analytics_full_read"),
        (None, KEY, {}, "BadRequest", "elevenlabs.billedIn to Cost"),
        (
            Reply.json({"detail": [{"msg": "Input should be valid"}]}, 422),
            KEY,
            COST,
            "Refused",
            "Input should be valid",
        ),
        (Reply.json({"detail": "Not Found"}, 404), KEY, COST, "NotFound", "elevenlabs.baseURL"),
    ],
)
async def test_check_tells_refusals_apart(
    reply: Reply | None, key: str, block: Mapping[str, Any], reason: str, words: str
) -> None:
    """Each kind of refusal has its reason, says what to do in ElevenLabs' words too, and shows no key."""
    error = await check(reply, key, **block)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert ElevenLabs.traits.guide in str(error)
    assert key not in str(error)


async def test_nothing_is_told_of_other_windows() -> None:
    """Charges stay in the window that was asked for, whose end belongs to the next."""
    used = [Used(FIRST, Decimal(1)), Used(FIRST + DAY, Decimal(2))]
    async with ScriptedServer() as server:
        Workspace(used, including_end=True).open(server)
        async with opened(server, **COST) as connector:
            window = Window(Span.of_days(FIRST, FIRST + DAY))
            found = [charge async for batch in connector.charges(window) for charge in batch]

    assert [charge.billed_cost for charge in found] == [1]
