"""Cost reports over HTTP against plain sums over the charges."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import accounts
from ledger.accounts import Account
from ledger.database import WriterDB
from ledger.money import EXACT, plain
from tests.integration.api import questions as drawn
from tests.integration.api.conftest import Asker
from tests.integration.api.oracle import Series, report
from tests.integration.api.questions import MOMENTS, Books, keep
from tests.integration.ledger.conftest import READ_AT, charge

REPORT = """
query ($period: Period!, $groupBy: [Grouping!], $granularity: Granularity!, $metric: Metric!, $filter: ChargeFilter,
       $asOf: DateTime, $top: Int! = 1000) {
  costs(period: $period, groupBy: $groupBy, granularity: $granularity, metric: $metric, filter: $filter, asOf: $asOf,
        compareTo: PREVIOUS_PERIOD, top: $top) {
    buckets
    totals { ...S } series { ...S } others { ...S }
  }
}
fragment S on CostSeries {
  key { by value } currency amounts total share previous change origins { origin amount } charges unpriced
}
"""
NEVER = {"tags": [{"key": "never there"}]}
"""A filter that the rollup knows nothing of."""

some = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def asked(books: Books, question: dict[str, Any]) -> dict[str, Any]:
    """The question's variables, about these books alone."""
    moment = MOMENTS[question["moment"]]
    return {
        **{name: question[name] for name in ("period", "groupBy", "granularity", "metric")},
        "filter": {"namespaces": [books.namespace], **question["filter"]},
        "asOf": moment and moment.isoformat(),
    }


def previous(period: dict[str, str]) -> tuple[date, date]:
    """The days before the period, as many as it has."""
    first, after_last = (date.fromisoformat(period[name]) for name in ("from", "to"))
    return first - (after_last - first), first


def found(shown: dict[str, Any]) -> dict[Any, Any]:
    """The series of an answer by key and currency."""
    return {(tuple(part["value"] for part in s["key"]), s["currency"]): _series(s) for s in shown["series"]}


def _series(shown: dict[str, Any]) -> dict[str, Any]:
    kept = {name: shown[name] for name in ("amounts", "total", "previous", "charges", "unpriced")}
    return kept | {"origins": sorted((held["origin"], held["amount"]) for held in shown["origins"])}


def expected(series: Series, buckets: list[str]) -> dict[Any, Any]:
    return {name: sums.shown(buckets) for name, sums in series.items()}


@some
@given(told=drawn.ledgers, asked_for=st.lists(drawn.questions, min_size=4, max_size=4))
async def test_reports_are_the_sums_of_the_charges(
    asker: Asker, writer: WriterDB, told: Any, asked_for: list[dict[str, Any]]
) -> None:
    """Whatever is grouped, filtered, cut into buckets or asked as of the past: the answer is the plain sum."""
    books = await keep(writer, told)
    for question in asked_for:
        variables = asked(books, question)
        answer = (await asker.ask(REPORT, **variables))["costs"]
        series = report(books.owned(question["moment"]), variables, previous(variables["period"]))
        if question["groupBy"]:
            assert found(answer) == expected(series, answer["buckets"])
        total = report(books.owned(question["moment"]), {**variables, "groupBy": []}, previous(variables["period"]))
        assert found({"series": answer["totals"]}) == expected(total, answer["buckets"])
        assert not answer["others"]
        check_ratios(answer)


@some
@given(told=drawn.ledgers, asked_for=st.lists(drawn.questions, min_size=4, max_size=4))
async def test_the_rollup_answers_as_the_charges_do(
    asker: Asker, writer: WriterDB, told: Any, asked_for: list[dict[str, Any]]
) -> None:
    """A question that the rollup answers gets the same answer, to the letter, from the charges."""
    books = await keep(writer, told)
    for question in asked_for:
        variables = asked(books, {**question, "moment": "now"})
        by_charges = {**variables, "filter": beyond_rollup(variables["filter"])}
        assert await asker.ask(REPORT, **by_charges) == await asker.ask(REPORT, **variables)


def beyond_rollup(chosen: dict[str, Any]) -> dict[str, Any]:
    """The same filter, asking also for what the rollup does not know: that a tag is not there which nothing has."""
    return {**chosen, "not": beyond_rollup(chosen["not"]) if "not" in chosen else NEVER}


@some
@given(told=drawn.ledgers, question=drawn.questions, top=st.integers(1, 3))
async def test_what_top_cuts_off_is_in_others(
    asker: Asker, writer: WriterDB, told: Any, question: dict[str, Any], top: int
) -> None:
    """Series and others add up to the totals, and no series that is shown is smaller than one that is not."""
    books = await keep(writer, told)
    variables = asked(books, question)
    whole = (await asker.ask(REPORT, **variables))["costs"]
    cut = (await asker.ask(REPORT, **variables, top=top))["costs"]

    assert cut["totals"] == whole["totals"]
    for total in cut["totals"]:
        currency = total["currency"]
        shown, every = (of_currency(held["series"], currency) for held in (cut, whole))
        assert shown == every[:top]
        parts = shown + of_currency(cut["others"], currency)
        if question["groupBy"]:
            amounts = [[Decimal(amount) for amount in part["amounts"]] for part in parts]
            assert [plain(sum(column)) for column in zip(*amounts, strict=True)] == total["amounts"]
            sizes = [max(abs(Decimal(s["total"])), abs(Decimal(s["previous"]))) for s in every]
            assert sizes == sorted(sizes, reverse=True)


def of_currency(series: list[dict[str, Any]], currency: str) -> list[dict[str, Any]]:
    """The series in one currency, without their shares, which only the totals decide."""
    return [held for held in series if held["currency"] == currency]


def check_ratios(answer: dict[str, Any]) -> None:
    """Check that share is total / the currency's total and change total / previous - 1, and that 0 divides nothing."""
    totals = {total["currency"]: Decimal(total["total"]) for total in answer["totals"]}
    for series in (*answer["series"], *answer["totals"]):
        total, before = Decimal(series["total"]), Decimal(series["previous"])
        assert close(series["share"], total, totals[series["currency"]])
        assert close(series["change"], total - before, before)


def close(shown: str | None, part: Decimal, whole: Decimal) -> bool:
    if not whole:
        return shown is None
    return shown is not None and abs(Decimal(shown) - EXACT.divide(part, whole)) <= Decimal("0.0000005")


async def test_currencies_are_never_added_together(asker: Asker, writer: WriterDB) -> None:
    """What is grouped by nothing still has a series per currency."""
    books = await keep(writer, {"alpha": ([], [charge(0, "a", "1"), charge(0, "b", "2", currency="EUR")])})
    variables = asked(books, {**PLAIN, "groupBy": []})
    answer = (await asker.ask(REPORT, **variables))["costs"]

    assert [(total["currency"], total["total"]) for total in answer["totals"]] == [("EUR", "2"), ("USD", "1")]


PLAIN = {
    "period": {"from": "2026-09-28", "to": "2026-10-05"},
    "groupBy": [{"dimension": "SKU"}],
    "granularity": "DAY",
    "metric": "BILLED_COST",
    "filter": {},
    "moment": "now",
}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"period": {"from": "2026-10-05", "to": "2026-10-05"}}, "period"),
        ({"period": {"from": "0001-01-01", "to": "2026-10-05"}}, "period"),
        ({"period": {"from": "1900-01-01", "to": "2200-01-01"}}, "granularity"),
        ({"period": {"from": "2020-01-01", "to": "2024-01-01"}}, "granularity"),
        ({"groupBy": [{"dimension": "SKU"}] * 2}, "groupBy"),
        ({"groupBy": [{"tag": str(i)} for i in range(5)]}, "groupBy"),
        ({"top": 0}, "top"),
        ({"top": 100_000}, "top"),
        ({"top": 1000, "period": {"from": "2026-01-01", "to": "2026-12-31"}}, "top"),
        ({"filter": {"skus": ["x"] * 201}}, "skus"),
        ({"filter": {"skus": ["x" * 9000]}}, "skus"),
        ({"filter": {"skus": ["\0"]}}, "skus"),
        ({"filter": {"tags": [{"key": "\ud800"}]}}, "key"),
        ({"filter": {"not": {"not": {"not": {"not": {"skus": []}}}}}}, "filter"),
    ],
)
async def test_senseless_questions_say_which_argument_is_wrong(
    asker: Asker, changes: dict[str, Any], field: str
) -> None:
    """A question that cannot be answered gets a 4xx whose error names the argument."""
    variables = {**PLAIN, "filter": {"skus": ["a"]}, **changes}
    variables.pop("moment")
    error = await asker.refused(REPORT, **variables)

    assert (error["code"], error["field"]) == ("BAD_INPUT", field), error


async def test_completeness_names_who_lags_behind(asker: Asker, writer: WriterDB) -> None:
    """A report is whole as far as its least whole provider; one without data makes it unknown; removed ones go."""
    books = await keep(writer, {"alpha": ([], []), "beta": ([], [])})
    query = """query ($ns: [String!], $period: Period!) {
      costs(period: $period, filter: {namespaces: $ns}) { completeThrough completeness { provider completeThrough } }
    }"""
    variables = {"ns": [books.namespace], "period": PLAIN["period"]}
    assert (await asker.ask(query, **variables))["costs"]["completeThrough"] == "2026-10-04"

    late = Account(books.namespace, "late", "Provider", "openai")
    await accounts.register(writer, late, READ_AT)
    answer = (await asker.ask(query, **variables))["costs"]
    assert answer["completeThrough"] is None
    assert {"provider": "late", "completeThrough": None} in answer["completeness"]

    await accounts.retire(writer, late, READ_AT)
    assert (await asker.ask(query, **variables))["costs"]["completeThrough"] == "2026-10-04"
