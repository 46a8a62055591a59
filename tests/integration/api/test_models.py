"""What models were used for, over HTTP, against plain fractions over the charges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.server import listening
from ledger import tokens
from ledger.charge import Charge
from ledger.database import ReaderDB, WriterDB
from ledger.modelprices import shipped_models
from ledger.window import DAY
from tests.integration.api.conftest import NOW, Asker
from tests.integration.api.conftest import settings as served
from tests.integration.api.oracle import Owned, matches
from tests.integration.api.questions import FIRST, MOMENTS, PROVIDERS, Books, keep
from tests.integration.ledger.conftest import Desk, days
from tests.loopback import PLAIN

REPORT = """
query ($period: Period!, $filter: ChargeFilter, $whatIf: WhatIf, $asOf: DateTime, $top: Int! = 1000) {
  models(period: $period, filter: $filter, whatIf: $whatIf, asOf: $asOf, top: $top) {
    from to asOf completeThrough completeness { provider completeThrough }
    whatIf { model currency per input cachedInput cacheWrite output asOf source }
    usage { ...U } totals { ...U }
  }
}
fragment U on ModelUsage {
  model currency cost tokens tokenTypes { type tokens cost costPer1000Tokens } costPer1000Tokens cacheHitShare
  charges unpriced whatIf { cost currency difference }
}
"""
PERIOD = {"from": FIRST.date().isoformat(), "to": (FIRST + 7 * DAY).date().isoformat()}
PRICES = {"input": "2", "cachedInput": "0.25", "cacheWrite": "2.5", "output": "10", "currency": "USD", "per": 1000}
UNITS: Mapping[str | None, int | None] = {
    "Tokens": 1,
    "1K tokens": 1000,
    "1000 Tokens": 1000,
    "Images": None,
    None: None,
}
TYPES = ["input", "cached_input", "cache_write", "cache_write_1h", "output", None]

some = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def used(
    model: str | None, token_type: str | None, tokens: int | None, cost: str | Decimal | None, **fields: Any
) -> Charge:
    """A charge of the first day for so many tokens."""
    return Charge(
        FIRST,
        FIRST + DAY,
        fields.pop("billing_currency", "USD"),
        None if cost is None else Decimal(cost),
        "api",
        "api",
        "Vendor",
        x_model=model,
        x_token_type=token_type,
        consumed_quantity=None if tokens is None else Decimal(tokens),
        consumed_unit=fields.pop("consumed_unit", "Tokens"),
        **fields,
    )


def _later(charge: Charge, hours: int) -> Charge:
    start = FIRST + timedelta(hours=hours)
    return charge._replace(charge_period_start=start, charge_period_end=start + DAY)


charges = st.lists(
    st.builds(
        _later,
        st.builds(
            used,
            st.sampled_from(["m1", "m2", None]),
            st.sampled_from(TYPES),
            st.none() | st.integers(0, 10**12),
            st.none() | st.decimals(-10, 1000, places=8),
            billing_currency=st.sampled_from(["USD", "EUR"]),
            consumed_unit=st.sampled_from(list(UNITS)),
            sku_id=st.sampled_from(["s1", "s2"]),
        ),
        st.integers(0, 7 * 24 - 1),
    ),
    max_size=12,
)
ledgers = st.fixed_dictionaries({name: st.tuples(charges, charges) for name in PROVIDERS})
filters = st.sampled_from(
    [{}, {"providers": ["alpha", "beta"]}, {"models": ["m1"]}, {"not": {"tokenTypes": ["output"]}}, {"skus": ["s1"]}]
)


@dataclass
class Sums:
    """What one model did, in fractions."""

    cost: Fraction = Fraction(0)
    charges: int = 0
    unpriced: int = 0
    tokens: dict[str | None, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    token_cost: Fraction = Fraction(0)
    without_price: bool = False

    def add(self, charge: Charge) -> None:
        self.cost += Fraction(charge.billed_cost or 0)
        self.charges += 1
        self.unpriced += charge.billed_cost is None
        size = UNITS[charge.consumed_unit]
        if size is not None:
            self.tokens[charge.x_token_type] += Fraction(charge.consumed_quantity or 0) * size
            self.token_cost += Fraction(charge.billed_cost or 0)
            self.without_price |= charge.billed_cost is None

    def what_if(self) -> Fraction | None:
        """The tokens at PRICES, of which the longer writes to a cache have none of their own."""
        if self.tokens.get(None):
            return None
        rates = {"input": "2", "cached_input": "0.25", "cache_write": "2.5", "cache_write_1h": "2.5", "output": "10"}
        return (
            sum((count * Fraction(rates[kind or ""]) for kind, count in self.tokens.items() if count), Fraction(0))
            / 1000
        )

    def share(self) -> Fraction | None:
        given = sum((count for kind, count in self.tokens.items() if kind not in ("output", None)), Fraction(0))
        return self.tokens.get("cached_input", Fraction(0)) / given if given else None


def oracle(owned: Sequence[Owned], chosen: Mapping[str, Any]) -> dict[tuple[str | None, str], Sums]:
    """Sums by model and currency, and by currency alone under a model of None."""
    found: dict[tuple[str | None, str], Sums] = defaultdict(Sums)
    for held in owned:
        if held.charge.x_model is not None and matches(held, chosen):
            found[held.charge.x_model, held.charge.billing_currency].add(held.charge)
            found[None, held.charge.billing_currency].add(held.charge)
    return found


def near(shown: str | None, exact: Fraction | None, digits: int) -> bool:
    """Whether a rounded figure is the exact one, or both are none."""
    if shown is None or exact is None:
        return shown is None and exact is None
    return abs(Fraction(shown) - exact) <= Fraction(1, 2 * 10**digits)


def check(shown: Mapping[str, Any], sums: Sums) -> None:
    """Every figure of a row is the oracle's."""
    tokens = sum(sums.tokens.values(), Fraction(0))
    assert Fraction(shown["cost"]) == sums.cost
    assert Fraction(shown["tokens"]) == tokens
    assert {part["type"]: Fraction(part["tokens"]) for part in shown["tokenTypes"]} == sums.tokens
    assert (shown["charges"], shown["unpriced"]) == (sums.charges, sums.unpriced)
    priced = None if sums.without_price or not tokens else sums.token_cost * 1000 / tokens
    assert near(shown["costPer1000Tokens"], priced, 12)
    assert near(shown["cacheHitShare"], sums.share(), 6)
    what_if = sums.what_if()
    assert (shown["whatIf"] and Fraction(shown["whatIf"]["cost"])) == what_if
    if shown["whatIf"]:
        compared = shown["currency"] == "USD" and not sums.without_price
        expected = what_if - sums.token_cost if compared and what_if is not None else None
        difference = shown["whatIf"]["difference"]
        assert (None if difference is None else Fraction(difference)) == expected


def asked(books: Books, chosen: Mapping[str, Any], moment: str) -> dict[str, Any]:
    at = MOMENTS[moment]
    return {
        "period": PERIOD,
        "filter": {"namespaces": [books.namespace], **chosen},
        "whatIf": {"prices": PRICES},
        "asOf": at and at.isoformat(),
    }


@some
@given(told=ledgers, chosen=filters, moment=st.sampled_from(list(MOMENTS)))
async def test_reports_are_the_sums_of_the_charges(
    asker: Asker, writer: WriterDB, told: Any, chosen: dict[str, Any], moment: str
) -> None:
    """Costs, tokens, shares and what-ifs are plain sums, from the rollup as from the charges, now and in the past."""
    books = await keep(writer, told)
    answer = (await asker.ask(REPORT, **asked(books, chosen, moment)))["models"]

    expected = oracle(books.owned(moment), chosen)
    rows = {(row["model"], row["currency"]): row for row in (*answer["usage"], *answer["totals"])}
    assert rows.keys() == expected.keys()
    for name, sums in expected.items():
        check(rows[name], sums)


async def told(writer: WriterDB, namespace: str, *charges: Charge) -> dict[str, Any]:
    """The variables of a question about these charges alone."""
    desk = Desk(writer, namespace)
    await desk.open()
    await desk.sync(days(0, 1), charges)
    return {"period": PERIOD, "filter": {"namespaces": [namespace]}}


async def test_the_same_usage_at_another_models_prices(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """A model of the list that ships is found as people write it, and the answer says which prices were used."""
    question = await told(
        writer,
        namespace,
        used("claude-opus-5", "input", 2_000_000, "10"),
        used("claude-opus-5", "cached_input", 6_000_000, "3"),
        used("claude-opus-5", "output", 100_000, "2.5"),
    )
    answer = (await asker.ask(REPORT, **question, whatIf={"model": "anthropic/claude-sonnet-5"}))["models"]

    listed = shipped_models()
    price = listed.find("claude-sonnet-5")
    assert price is not None
    assert answer["whatIf"]["model"] == "claude-sonnet-5"
    assert (answer["whatIf"]["asOf"], answer["whatIf"]["source"]) == (listed.as_of.isoformat(), listed.source)
    [row] = answer["usage"]
    cost = 2 * price.amounts["input"] + 6 * price.amounts["cached_input"] + price.amounts["output"] / 10
    assert Decimal(row["whatIf"]["cost"]) == cost
    assert Decimal(row["whatIf"]["difference"]) == cost - Decimal("15.5")
    assert (row["cacheHitShare"], row["tokens"]) == ("0.75", "8100000")


async def test_models_are_added_up_across_vendors(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """One model has one row, whoever billed it; proxies that only attribute are left out as everywhere."""
    question = await told(
        writer,
        namespace,
        used("m1", "input", 1000, "1", sku_id="a"),
        used("m1", "input", 3000, "1", sku_id="b"),
        used("m2", None, 100, "5"),
        used(None, "input", 999, "100"),
    )
    answer = (await asker.ask(REPORT, **question))["models"]

    assert [(row["model"], row["tokens"], row["costPer1000Tokens"]) for row in answer["usage"]] == [
        ("m2", "100", "50"),
        ("m1", "4000", "0.5"),
    ]
    assert [(row["model"], row["cost"], row["tokens"]) for row in answer["totals"]] == [(None, "7", "4100")]
    assert answer["usage"][0]["whatIf"] is None


async def test_top_cuts_rows_and_not_totals(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """Of each currency the rows that cost most are shown; the totals hold all."""
    question = await told(
        writer,
        namespace,
        *(used(f"m{i}", "input", 10, str(i), billing_currency=code) for i in range(4) for code in ("USD", "EUR")),
    )
    answer = (await asker.ask(REPORT, **question, top=1))["models"]

    assert [(row["model"], row["currency"]) for row in answer["usage"]] == [("m3", "EUR"), ("m3", "USD")]
    assert [row["cost"] for row in answer["totals"]] == ["6", "6"]


async def test_other_teams_models_are_not_seen(reader: ReaderDB, writer: WriterDB, namespace: str) -> None:
    """A token sees what the models of its own team did, whatever it asks for."""
    other = f"{namespace}-other"
    await told(writer, namespace, used("m1", "input", 10, "1"))
    await told(writer, other, used("m2", "input", 20, "2"))
    headers = {"authorization": f"Bearer {await tokens.create(writer, 't', ['read'], [namespace], NOW)}"}
    app = create_app(served(authentication=True), reader)
    async with (
        listening(app, "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url, headers=headers, verify=PLAIN) as http,
    ):
        own = (await Asker(http).ask(REPORT, period=PERIOD))["models"]
        others = (await Asker(http).ask(REPORT, period=PERIOD, filter={"namespaces": [other]}))["models"]

    assert [(row["model"], row["cost"]) for row in (*own["usage"], *own["totals"])] == [("m1", "1"), (None, "1")]
    assert [part["provider"] for part in own["completeness"]] == ["vendor"]
    assert (others["usage"], others["totals"], others["completeness"]) == ([], [], [])


@pytest.mark.parametrize(
    ("variables", "field", "words"),
    [
        ({"whatIf": {"model": "no-such-model"}}, "whatIf", "give its prices"),
        ({"whatIf": {"prices": {**PRICES, "currency": "dollars"}}}, "whatIf", "currency"),
        ({"whatIf": {"prices": {**PRICES, "input": "-1"}}}, "whatIf", "not negative"),
        ({"whatIf": {"prices": {**PRICES, "output": "1" * 20}}}, "whatIf", "below"),
        ({"whatIf": {"prices": {**PRICES, "per": 0}}}, "whatIf", "one token or more"),
        ({"top": 0}, "top", "between 1 and 1000"),
    ],
)
async def test_what_cannot_be_asked_is_told_by_its_argument(
    asker: Asker, variables: dict[str, Any], field: str, words: str
) -> None:
    """Unknown models and unsound prices are refused with words that say what to give instead."""
    refused = await asker.refused(REPORT, period=PERIOD, **variables)

    assert (refused["code"], refused["field"]) == ("BAD_INPUT", field)
    assert words in refused["message"]
