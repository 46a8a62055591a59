"""Costs by an Allocation over HTTP: rules applied when asked, shared costs split, and nothing lost."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.app import create_app
from api.server import listening
from ledger import accounts, tokens
from ledger.accounts import Account
from ledger.charge import Charge
from ledger.database import ReaderDB, WriterDB
from ledger.money import plain
from ledger.window import DAY, Span, midnight
from tests.integration.api import allocating
from tests.integration.api import questions as drawn
from tests.integration.api.allocating import declare
from tests.integration.api.conftest import NOW, Asker, settings
from tests.integration.api.questions import keep
from tests.integration.api.test_costs import REPORT, asked, beyond_rollup, previous, some
from tests.integration.ledger.conftest import READ_AT, Desk
from tests.loopback import PLAIN

TEAM = {"allocation": "team"}
MONTH = {"from": "2026-10-01", "to": "2026-11-01"}
BY_TEAM = """
query ($period: Period!, $groupBy: [Grouping!]!, $filter: ChargeFilter, $granularity: Granularity! = TOTAL) {
  costs(period: $period, groupBy: $groupBy, filter: $filter, granularity: $granularity) {
    totals { currency total charges unpriced }
    series { key { by value } currency amounts total charges }
  }
}
"""


@some
@given(
    told=drawn.ledgers,
    rules=allocating.rules,
    asked_for=st.lists(st.tuples(drawn.questions, st.integers(0, 3)), min_size=4, max_size=4),
)
async def test_an_allocation_is_what_the_rules_make_of_each_charge(
    asker: Asker, writer: WriterDB, told: Any, rules: Any, asked_for: list[tuple[dict[str, Any], int]]
) -> None:
    """Whatever the rules, groups and filters: each value has exactly its part, and all parts make the plain total."""
    books = await keep(writer, told)
    await declare(writer, books.namespace, rules)
    for question, place in asked_for:
        plainly = asked(books, question)
        groups = [*plainly["groupBy"]]
        groups.insert(place, TEAM)
        variables = {**plainly, "groupBy": groups}
        answer = (await asker.ask(REPORT, **variables))["costs"]
        summed = allocating.cells(books.owned(question["moment"]), variables, previous(variables["period"]), rules)

        assert found(answer) == allocating.shown(summed.allocated(), answer["buckets"])
        assert answer["totals"] == (await asker.ask(REPORT, **plainly))["costs"]["totals"]
        assert added_up(answer["series"]) == {total["currency"]: whole(total) for total in answer["totals"]}
        if plainly["filter"].get("not") is None and question["moment"] == "now":
            beyond = {**variables, "filter": beyond_rollup(variables["filter"])}
            assert (await asker.ask(REPORT, **beyond))["costs"]["series"] == answer["series"]


def found(answer: dict[str, Any]) -> dict[Any, Any]:
    """The series of an answer by key and currency."""
    names = ("amounts", "total", "previous")
    return {
        (tuple(part["value"] for part in series["key"]), series["currency"]): {name: series[name] for name in names}
        for series in answer["series"]
    }


def whole(series: dict[str, Any]) -> list[Decimal]:
    return [Decimal(amount) for amount in (*series["amounts"], series["total"], series["previous"])]


def added_up(every: list[dict[str, Any]]) -> dict[str, list[Decimal]]:
    """All amounts of the series of each currency, position by position."""
    columns: dict[str, list[list[Decimal]]] = defaultdict(list)
    for series in every:
        columns[series["currency"]].append(whole(series))
    return {
        currency: [sum(column, Decimal(0)) for column in zip(*held, strict=True)] for currency, held in columns.items()
    }


def charge(service: str, billed: str | None, team: str | None = None, day: date = date(2026, 10, 1)) -> Charge:
    start, tags = midnight(day), None if team is None else {"team": team}
    figure = None if billed is None else Decimal(billed)
    return Charge(start, start + DAY, "USD", figure, "api", service, "Vendor", tags=tags)


async def bill(writer: WriterDB, namespace: str, *charges: Charge, labels: dict[str, str] | None = None) -> None:
    await accounts.register(writer, Account(namespace, "vendor", "Provider", "openai", labels or {}), READ_AT)
    await Desk(writer, namespace).sync(Span.of_days(date(2026, 10, 1), date(2026, 11, 1)), charges)


async def teams(asker: Asker, *namespaces: str, by: Any = (TEAM,), **more: Any) -> dict[Any, str]:
    """Totals in USD by what was grouped by."""
    chosen = {"namespaces": list(namespaces)}
    answer = (await asker.ask(BY_TEAM, period=MONTH, groupBy=list(by), filter=chosen, **more))["costs"]
    return {tuple(part["value"] for part in series["key"]): series["total"] for series in answer["series"]}


async def test_the_first_rule_that_matches_decides(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """Rules are tried in order, a value that is missing leaves a charge to the next, and the rest stays visible."""
    await bill(
        writer,
        namespace,
        charge("api", "1", "search"),
        charge("api", "2"),
        charge("web", "4"),
        charge("mail", "8"),
        labels={"owner": "ops-eu"},
    )
    await declare(
        writer,
        namespace,
        [
            {"valueFrom": {"tag": "team"}},
            {"match": {"services": ["api"]}, "value": "platform"},
            {
                "match": {"services": ["web"], "labels": [{"key": "owner", "prefix": "ops-"}]},
                "valueFrom": {"label": "owner"},
            },
        ],
    )

    shown = {("search",): "1", ("platform",): "2", ("ops-eu",): "4", (None,): "8"}
    assert await teams(asker, namespace) == shown


async def test_shared_costs_are_split_to_the_last_digit(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """What does not divide evenly goes to the largest remainders, and of equal ones to the first by name."""
    await bill(writer, namespace, charge("support", "100"))
    weights = [{"value": name, "weight": 1} for name in ("a", "b", "c")]
    await declare(writer, namespace, [{"split": "Fixed", "shares": weights}])

    shown = {("a",): "33.333333334", ("b",): "33.333333333", ("c",): "33.333333333"}
    assert await teams(asker, namespace) == shown


async def test_shared_costs_in_proportion(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """Proportions are those of the whole period asked for, so that a fee of one day follows the month's costs."""
    last = date(2026, 10, 31)
    await bill(
        writer, namespace, charge("api", "30", "a", last), charge("api", "10", "b", last), charge("support", "-8")
    )
    await declare(
        writer,
        namespace,
        [{"match": {"services": ["support"]}, "split": "Proportional"}, {"valueFrom": {"tag": "team"}}],
    )

    assert await teams(asker, namespace) == {("a",): "24", ("b",): "8"}
    daily = (
        await asker.ask(BY_TEAM, period=MONTH, groupBy=[TEAM], filter={"namespaces": [namespace]}, granularity="DAY")
    )["costs"]["series"]
    assert [(series["amounts"][0], series["amounts"][-1]) for series in daily] == [("-6", "30"), ("-2", "10")]


async def test_shared_costs_that_nobody_caused_stay_unallocated(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """Where nothing is allocated there is no proportion, and the costs are shown without a value."""
    await bill(writer, namespace, charge("support", "5"))
    await declare(writer, namespace, [{"split": "Proportional"}])

    assert await teams(asker, namespace) == {(None,): "5"}


async def test_a_split_charge_counts_once_in_the_totals(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """It is one of each series that has a part of it; without a price, it is unpriced in each."""
    await bill(writer, namespace, charge("support", "4"), charge("support", None))
    weights = [{"value": name, "weight": 1} for name in ("a", "b")]
    await declare(writer, namespace, [{"split": "Fixed", "shares": weights}])
    answer = (await asker.ask(BY_TEAM, period=MONTH, groupBy=[TEAM], filter={"namespaces": [namespace]}))["costs"]

    assert answer["totals"] == [{"currency": "USD", "total": "4", "charges": 2, "unpriced": 1}]
    assert [(series["total"], series["charges"]) for series in answer["series"]] == [("2", 2), ("2", 2)]
    assert [series["key"][0]["by"] for series in answer["series"]] == ["allocation:team"] * 2


async def test_a_change_of_rules_needs_no_sync(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """The next answer goes by the new rules, for days long past."""
    await bill(writer, namespace, charge("api", "3"))
    await declare(writer, namespace, [{"value": "before"}])
    before = await teams(asker, namespace)
    await declare(writer, namespace, [{"value": "after"}])

    assert (before, await teams(asker, namespace)) == ({("before",): "3"}, {("after",): "3"})


async def test_showback_goes_by_each_namespaces_own_rules(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """Charges of one namespace are never allocated by another's rules; one without an Allocation is unallocated."""
    mine, other, bare = (f"{namespace}-{name}" for name in ("a", "b", "c"))
    for each in (mine, other, bare):
        await bill(writer, each, charge("api", "6"), charge("support", "2"))
    await declare(writer, mine, [{"match": {"services": ["support"]}, "split": "Proportional"}, {"value": "x"}])
    await declare(writer, other, [{"match": {"services": ["api"]}, "value": "x"}])

    assert await teams(asker, mine, other, bare, by=[{"dimension": "NAMESPACE"}, TEAM]) == {
        (mine, "x"): "8",
        (other, "x"): "6",
        (other, None): "2",
        (bare, None): "8",
    }
    assert await teams(asker, mine, other, bare) == {("x",): "14", (None,): "10"}


async def test_of_two_allocations_the_first_by_name_counts(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """Also in the moment in which both pass for good."""
    await bill(writer, namespace, charge("api", "3"))
    await declare(writer, namespace, [{"value": "second"}], name="b")
    await declare(writer, namespace, [{"value": "first"}], name="a")

    assert await teams(asker, namespace) == {("first",): "3"}


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([{"allocation": "taem"}], r"'taem'; there are .*\bteam\b"),
        ([TEAM, {"allocation": "product"}], "one allocation at a time"),
    ],
)
async def test_questions_that_no_allocation_answers(
    asker: Asker, writer: WriterDB, namespace: str, groups: list[Any], words: str
) -> None:
    """A dimension that nobody declared is told apart from costs that nobody allocated, and says what there is."""
    await declare(writer, namespace, [{"value": "x"}])
    error = await asker.refused(BY_TEAM, period=MONTH, groupBy=groups, filter={"namespaces": [namespace]})

    assert (error["code"], error["field"]) == ("BAD_INPUT", "groupBy")
    assert re.search(words, error["message"])


async def test_nobody_learns_of_another_namespaces_rules(writer: WriterDB, reader: ReaderDB, namespace: str) -> None:
    """Who may not see a namespace sees neither its costs nor which dimensions its Allocations have."""
    mine, other = f"{namespace}-a", f"{namespace}-b"
    for each in (mine, other):
        await bill(writer, each, charge("api", "6"))
    await declare(writer, mine, [{"value": "x"}])
    await declare(writer, other, [{"value": "y"}])
    await declare(writer, other, [{"value": "y"}], dimension="secret", name="secret")
    token = await tokens.create(writer, "one", ["read"], [mine], NOW)
    app = create_app(settings(authentication=True), reader)
    headers = {"authorization": f"Bearer {token}"}
    async with (
        listening(app, "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url, headers=headers, verify=PLAIN) as http,
    ):
        assert await teams(Asker(http), mine, other) == {("x",): "6"}
        error = await Asker(http).refused(BY_TEAM, period=MONTH, groupBy=[{"allocation": "secret"}])
        assert error["message"].endswith("; there are team.")


async def test_sixty_digits_are_split_exactly(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """An amount finer than the ninth place is split at its own finest digit."""
    amount = Decimal("123456789012345678901234567890.000000000000000000000000000001")
    await bill(writer, namespace, charge("support", str(amount)))
    weights = [{"value": name, "weight": weight} for name, weight in (("a", 1), ("b", 999_999), ("c", 3))]
    await declare(writer, namespace, [{"split": "Fixed", "shares": weights}])

    expected = allocating.split(amount, {str(each["value"]): Fraction(str(each["weight"])) for each in weights})
    assert await teams(asker, namespace) == {(value,): plain(part) for value, part in expected.items()}
    assert sum(map(Fraction, expected.values())) == Fraction(amount)
