"""The Mistral connector against a server that speaks the Admin API: months of usage, priced by the list beside it."""

from __future__ import annotations

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
from ledger.window import DAY, Span, midnight
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.mistral import Mistral, MistralSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.mistral_vendor import KEY, NOW, Books, Used, failure, price
from tests.integration.connectors.talk import checked, read_days, talking

FIRST = date(2026, 3, 2)


def opened(server: ScriptedServer, key: str = KEY, **block: Any) -> AbstractAsyncContextManager[Mistral]:
    return talking(Mistral, server, {"apiKey": key}, NOW, {"baseURL": f"{server.url}/v1/admin", **block})


async def read(books: Books, days: int = 3, **block: Any) -> tuple[list[Charge], list[Request]]:
    """The charges of the first `days` days, and the requests that it took."""
    async with ScriptedServer() as server:
        books.open(server)
        async with opened(server, **block) as connector:
            return await read_days(connector, FIRST, FIRST + days * DAY), server.requests


class TestMistral(ConnectorConformance):
    """What every connector has to do; a line of the suite is so many tokens at a price of the smallest amount."""

    connector = Mistral
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal("1E-10")
    credits = False
    paged = False

    def settings(self, base_url: str) -> MistralSettings:
        return MistralSettings.model_validate({"baseURL": f"{base_url}/v1/admin"})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        used = [Used(line.day, int(line.amount / self.smallest), line.item, workspace=line.project) for line in lines]
        prices = [price(str(self.smallest), item) for item in {line.item for line in lines}]
        Books(used, prices, ["one", "two"], currency="USD").open(server)


PRICES = st.decimals(0, 10, allow_nan=False, places=12).map(lambda value: f"{value:E}")


@settings(max_examples=40)
@given(
    used=st.lists(
        st.builds(
            Used,
            day=st.dates(FIRST, FIRST + 20 * DAY),
            value=st.integers(0, 10**15),
            group=st.sampled_from(["input", "output"]),
            workspace=st.sampled_from(["w1", "w2", None]),
        ),
        max_size=12,
    ),
    amounts=st.tuples(PRICES, PRICES),
    split=st.sampled_from(["Workspace", "None"]),
)
async def test_charges_add_up_to_usage_times_price(used: list[Used], amounts: tuple[str, str], split: str) -> None:
    """With or without workspaces, costs and quantities are those of the organisation, to the last digit."""
    by_group = dict(zip(("input", "output"), amounts, strict=True))
    prices = [price(amount, group=group) for group, amount in by_group.items()]
    found, _ = await read(Books(used, prices, ["w1", "w2"]), 29, split=split)

    expected = sum((Fraction(each.value) * Fraction(by_group[each.group]) for each in used), Fraction(0))
    assert sum((Fraction(charge.billed_cost or 0) for charge in found), Fraction(0)) == expected
    assert sum(charge.consumed_quantity or 0 for charge in found) == sum(each.value for each in used)


async def test_a_row_becomes_a_charge_that_says_how_it_was_priced() -> None:
    """Workspace, models, token type, quantity and price stand in the charge, and the list's date is the month's."""
    (charge,), _ = await read(Books([Used(FIRST, 11121, workspace="w1")], workspaces=["w1"]))

    assert charge == Charge(
        charge_period_start=midnight(FIRST),
        charge_period_end=midnight(FIRST) + DAY,
        billing_currency="EUR",
        billed_cost=Decimal("0.0055605"),
        x_origin="estimate",
        service_name="Mistral",
        service_provider_name="Mistral AI",
        charge_frequency="Usage-Based",
        charge_description="mistral-large-latest, input (completion)",
        service_category="AI and Machine Learning",
        sub_account_id="w1",
        sub_account_name="Team w1",
        sku_id="mistral-large-2512/input",
        x_model="mistral-large-2512",
        x_token_type="input",
        consumed_quantity=Decimal(11121),
        consumed_unit="Tokens",
        pricing_quantity=Decimal(11121),
        pricing_unit="Tokens",
        extra={
            "x_requested_model": "mistral-large-latest",
            "x_category": "completion",
            "x_event_type": "api_tokens",
            "ListUnitPrice": "0.0000005",
            "x_price_list_date": "2026-03-01",
            "x_price_list": "Mistral's answer to /usage",
        },
    )


async def test_usage_that_the_plan_covers_is_shown_and_not_charged() -> None:
    """Of what was used only the paid part costs something; the rest is told beside it."""
    (charge,), _ = await read(Books([Used(FIRST, 1000, fields={"value_paid": 400})], [price("0.01")]))

    assert charge.billed_cost == 4
    assert charge.consumed_quantity == 1000
    assert (charge.extra or {})["x_included_quantity"] == "600"


async def test_a_row_that_does_not_tell_what_is_paid_is_paid() -> None:
    """Without value_paid everything that was used is charged for."""
    (charge,), _ = await read(Books([Used(FIRST, 1000, fields={"value_paid": None})], [price("0.01")]))

    assert charge.billed_cost == 10


@pytest.mark.parametrize(
    ("prices", "fields", "cost"),
    [
        ([], {}, None),
        (None, {}, None),
        ([price("2", group="output")], {}, None),
        ([price("2", event_type="vibe_tokens")], {}, None),
        ([price("2", event_type=None)], {}, Decimal(200)),
        ([price("2"), price("3", api_zone="us")], {}, None),
        ([price("2"), price("2", api_zone="us")], {}, Decimal(200)),
        ([price("2"), price("3", api_zone="us")], {"api_zone": "us"}, Decimal(300)),
        ([price("2"), price("3", service_tier="priority")], {"service_tier": "priority"}, Decimal(300)),
        ([price(Decimal("2.5"))], {}, Decimal(250)),
    ],
)
async def test_a_price_is_found_or_the_line_is_unpriced(prices: Any, fields: Any, cost: Decimal | None) -> None:
    """All that a row says of its price has to agree; where several prices could be meant, none is taken."""
    (charge,), _ = await read(Books([Used(FIRST, 100, fields=fields)], prices))

    assert charge.billed_cost == cost


async def test_without_a_currency_nothing_is_priced() -> None:
    """A price list without a currency prices nothing; the quantity stays."""
    (charge,), _ = await read(Books([Used(FIRST, 100)], currency=None))

    assert (charge.billed_cost, charge.consumed_quantity, charge.billing_currency) == (None, Decimal(100), "USD")


async def test_own_prices_go_first_and_fees_are_added() -> None:
    """A price of the Provider's own decides for its SKU; the plan's fee is a charge of its own."""
    own = {"sku": "mistral-large-2512/input", "unit": "Tokens", "per": "1000000", "amount": "0.40", "currency": "USD"}
    block: dict[str, Any] = {
        "prices": {"asOf": "2026-02-28", "items": [own]},
        "plan": {"name": "Enterprise", "amount": "500", "currency": "EUR", "start": "2026-02-03"},
    }
    charge, fee = (await read(Books([Used(FIRST, 10**6)]), **block))[0]

    assert (charge.billed_cost, charge.billing_currency) == (Decimal("0.4"), "USD")
    assert (charge.extra or {})["x_price_list_date"] == "2026-02-28"
    assert (fee.billed_cost, fee.billing_currency, fee.charge_category) == (Decimal(500), "EUR", "Purchase")
    assert fee.charge_period_start == midnight(date(2026, 3, 3))


@pytest.mark.parametrize(
    ("used", "unit", "token_type"),
    [
        (Used(FIRST, 1, group="input_cached"), "Tokens", "cached_input"),
        (Used(FIRST, 1, group="output"), "Tokens", "output"),
        (Used(FIRST, 1, category="ocr", group="pages", fields={"event_type": "api_pages"}), "Pages", None),
        (Used(FIRST, 1, category="audio", fields={"event_type": "api_audio_seconds"}), "Seconds", None),
        (Used(FIRST, 1, category="audio_characters", fields={"event_type": None}), "Characters", None),
        (Used(FIRST, 1, category="connectors", fields={"event_type": "api_connectors"}), "Calls", None),
        (Used(FIRST, 1, category="vibe_completion", fields={"event_type": "vibe_tokens"}), "Tokens", "input"),
        (Used(FIRST, 1, category="tokens", fields={"event_type": "api_libraries_tokens"}), "Tokens", "input"),
        (Used(FIRST, 1, category="training", group="training", fields={"event_type": None}), "Tokens", None),
    ],
)
async def test_every_category_is_read_in_its_unit(used: Used, unit: str, token_type: str | None) -> None:
    """Whatever was used is counted in what its event type or category says."""
    (charge,), _ = await read(Books([used]))

    assert (charge.consumed_unit, charge.x_token_type) == (unit, token_type)


async def test_storage_is_a_line_of_the_month_without_a_price() -> None:
    """What fine-tuning stores has no unit and no price: an unpriced line over the month, not nothing."""
    async with ScriptedServer() as server:
        Books(storage={"ft:1": 42, "ft:2": 0}).open(server)
        async with opened(server) as connector:
            (charge,) = await read_days(connector, date(2026, 3, 1), date(2026, 4, 1))

    assert (charge.billed_cost, charge.consumed_quantity, charge.sku_id) == (None, Decimal(42), "ft:1/storage")
    assert (charge.charge_period_start, charge.charge_period_end) == (
        midnight(date(2026, 3, 1)),
        midnight(date(2026, 4, 1)),
    )


async def test_what_no_workspace_used_has_none() -> None:
    """Usage of deleted workspaces is in the organisation's alone; it is not lost."""
    used = [Used(FIRST, 100, workspace="w1"), Used(FIRST, 30, workspace="gone"), Used(FIRST, 5, workspace="gone")]
    found, requests = await read(Books(used, workspaces=["w1", "w2"], per_page=1))

    assert [(charge.sub_account_id, charge.consumed_quantity) for charge in found] == [
        ("w1", Decimal(100)),
        (None, Decimal(35)),
    ]
    assert [request.path.rpartition("/")[2] for request in requests] == [
        "usage",
        "workspaces",
        "workspaces",
        "usage",
        "usage",
    ]


async def test_workspaces_that_cannot_be_listed_do_not_matter() -> None:
    """The organisation's usage is complete without them."""
    async with ScriptedServer() as server:
        Books([Used(FIRST, 100, workspace="w1")], workspaces=["w1"]).open(server)
        server.route("GET", "/v1/admin/workspaces", lambda _: failure(403, "Forbidden"))
        async with opened(server) as connector:
            (charge,) = await read_days(connector, FIRST, FIRST + DAY)

    assert (charge.sub_account_id, charge.consumed_quantity) == (None, Decimal(100))


async def test_usage_that_moves_meanwhile_is_read_again() -> None:
    """Workspaces that used more than the organisation are of another moment: nothing is stored."""
    async with ScriptedServer() as server:
        before, after = Books([]), Books([Used(FIRST, 100, workspace="w1")], workspaces=["w1"])
        after.open(server)
        server.route(
            "GET",
            "/v1/admin/usage",
            lambda request: (after if request.first("workspace_id") else before)._usage(request),
        )
        async with opened(server) as connector:
            with pytest.raises(RetryLater, match="moved"):
                await read_days(connector, FIRST, FIRST + DAY)


async def test_months_are_read_whole_over_their_ends() -> None:
    """A span over the end of a month takes a call for each, newest first, and yields its own days only."""
    used = [Used(date(2026, 2, 28), 1), Used(date(2026, 3, 1), 2), Used(date(2026, 3, 2), 4)]
    async with ScriptedServer() as server:
        Books(used, [price("1")]).open(server)
        async with opened(server, split="None") as connector:
            found = await read_days(connector, date(2026, 2, 28), date(2026, 3, 2))
            asked = [(request.first("year"), request.first("month")) for request in server.requests]
            due = [Span.of_days(date(2026, 3, 5), date(2026, 3, 6))]
            (window,) = await connector.windows(due, Span.of_days(date(2026, 2, 10), date(2026, 3, 21)))

    assert [charge.billed_cost for charge in found] == [2, 1]
    assert asked == [("2026", "3"), ("2026", "2")]
    assert window.start == midnight(date(2026, 3, 1))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"start_date": "2026-02-01T00:00:00Z"}, "2026-02-01"),
        ({"completion": {}}, r"completion\.models"),
        ({"currency": "euro"}, "currency"),
        ({"prices": [{"billing_metric": "m"}]}, r"prices\.0"),
        ({"ocr": {"models": {"m": {"pages": [{"timestamp": "2026-03-02"}]}}}}, r"ocr\.models\.m\.pages\.0\.value"),
        ({"ocr": {"models": {"m": {"pages": [{"timestamp": "2026-04-02", "value": 1}]}}}}, "2026-04-02"),
    ],
)
async def test_an_answer_that_is_not_as_documented_is_refused(overrides: Any, words: str) -> None:
    """Missing figures, other months and currencies that are none reject the month."""
    with pytest.raises(Bug, match=words):
        await read(Books(overrides=overrides))


async def check(reply: Reply | None = None, key: str = KEY) -> Account | ReconcilerError:
    """What `check` finds or raises; `reply` takes the place of every answer."""
    async with ScriptedServer() as server:
        Books().open(server)
        if reply is not None:
            server.fail(reply)
        async with opened(server, key) as connector:
            return await checked(connector)


async def test_check_of_a_good_key() -> None:
    """An Admin API key reads this month's usage."""
    assert await check() == Account()


@pytest.mark.parametrize(
    ("reply", "key", "reason", "words"),
    [
        (None, "mistral-unknown-key", "Unauthorized", "one for calling models"),
        (failure(403, "Forbidden"), KEY, "Forbidden", "backoffice.mistral.ai"),
        (failure(404, "Not found"), KEY, "NotFound", "Enterprise plans"),
        (failure(400, "Invalid month"), KEY, "BadRequest", "Invalid month"),
    ],
)
async def test_check_tells_keys_apart(reply: Reply | None, key: str, reason: str, words: str) -> None:
    """Each kind of refusal has its reason, says what to do in Mistral's words too, and shows no key."""
    error = await check(reply, key)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert Mistral.traits.guide in str(error)
    assert key not in str(error)


async def test_a_rate_limit_is_waited_for() -> None:
    """A 429 with Retry-After is waited out once, and costs nothing else."""
    async with ScriptedServer() as server:
        Books([Used(FIRST, 1)]).open(server)
        limited = failure(429, "Rate limit exceeded")
        server.fail(
            Reply(429, limited.body, {**limited.headers, "Retry-After": "2", "X-RateLimit-Remaining": "0"}), times=1
        )
        async with opened(server, split="None") as connector:
            assert len(await read_days(connector, FIRST, FIRST + DAY)) == 1
