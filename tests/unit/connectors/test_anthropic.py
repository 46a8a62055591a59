"""Anthropic's reports read by themselves: exact amounts, tokens attached to one row or to none, refusals in words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.connectors.anthropic.bill import charges_of
from reconciler.connectors.anthropic.refusal import explained
from reconciler.connectors.anthropic.report import CostRow, Day, UsageRow, consumed
from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson, RetryLater

INPUT = "uncached_input_tokens"
TOKENS: Mapping[str, Any] = {
    "amount": "123.45",
    "currency": "USD",
    "cost_type": "tokens",
    "description": "Claude Sonnet 4 Usage - Input Tokens",
    "workspace_id": "wrkspc_1",
    "model": "claude-sonnet-4",
    "token_type": INPUT,
    "service_tier": "standard",
    "context_window": "0-200k",
    "inference_geo": "not_available",
}
SEARCHES: Mapping[str, Any] = {
    "amount": "250",
    "currency": "USD",
    "cost_type": "web_search",
    "description": "Web Search Usage",
    "workspace_id": "wrkspc_1",
}
USED: Mapping[str, Any] = {
    "workspace_id": "wrkspc_1",
    "model": "claude-sonnet-4",
    "service_tier": "standard",
    "context_window": "0-200k",
    "inference_geo": "not_available",
    INPUT: 1500,
    "cache_read_input_tokens": 200,
    "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 1000},
    "output_tokens": 40,
    "server_tool_use": {"web_search_requests": 10},
}


def cost(base: Mapping[str, Any] = TOKENS, **changes: Any) -> CostRow:
    return CostRow.model_validate({**base, **changes})


def used(**changes: Any) -> UsageRow:
    return UsageRow.model_validate({**USED, **changes})


@pytest.mark.parametrize(
    ("amount", "code", "expected"),
    [
        ("123.45", "USD", "1.2345"),
        ("0.012", "usd", "0.00012"),
        ("-0.000000000000000000000000000001", "USD", "-0.00000000000000000000000000000001"),
        ("123456789012345678901234567890.123456789", "USD", "1234567890123456789012345678.90123456789"),
        ("0E-6176", "USD", "0"),
        (250, "USD", "2.5"),
        (Decimal("1E+2"), "EUR", "1"),
        ("250", "JPY", "250"),
    ],
)
def test_amounts_are_hundredths_and_keep_every_digit(amount: Any, code: str, expected: str) -> None:
    """An amount is in the currency's smallest unit, and dividing it loses no digit."""
    row = cost(amount=amount, currency=code)

    assert (f"{row.cost:f}", row.currency) == (expected, code.upper())


@pytest.mark.parametrize("broken", [{"amount": None}, {"amount": "free"}, {"amount": "NaN"}, {"currency": None}])
def test_a_row_without_a_certain_amount_is_no_row(broken: Mapping[str, Any]) -> None:
    """An amount or currency that is missing or no number is never read as nothing."""
    with pytest.raises(ValidationError):
        cost(**broken)


@pytest.mark.parametrize("missing", ["amount", "currency"])
def test_a_row_needs_amount_and_currency(missing: str) -> None:
    """A row that lacks its amount or currency altogether is refused."""
    with pytest.raises(ValidationError):
        CostRow.model_validate({name: value for name, value in TOKENS.items() if name != missing})


@pytest.mark.parametrize(
    ("token_type", "count"),
    [
        (INPUT, 1500),
        ("cache_read_input_tokens", 200),
        ("cache_creation.ephemeral_5m_input_tokens", 500),
        ("cache_creation.ephemeral_1h_input_tokens", 1000),
        ("output_tokens", 40),
        ("tokens_of_tomorrow", 7),
        ("tokens_nobody_counts", None),
    ],
)
def test_each_token_type_takes_its_own_count(token_type: str, count: int | None) -> None:
    """The five documented token types, and one that Anthropic adds to both reports, find their counts."""
    assert consumed([cost(token_type=token_type)], [used(tokens_of_tomorrow=7)]) == [count]


@pytest.mark.parametrize(
    ("row", "usages", "count"),
    [
        pytest.param({}, [{}, {}], 3000, id="counts of one row add up"),
        pytest.param({"inference_geo": None}, [{}, {"inference_geo": "us"}], 3000, id="row not split by region"),
        pytest.param({"context_window": None}, [{}, {"context_window": "200k-1M"}], 3000, id="nor by context"),
        pytest.param({"inference_geo": "us"}, [{"inference_geo": None}], 1500, id="usage not split by region"),
        pytest.param({}, [{"inference_geo": "us"}], None, id="another region"),
        pytest.param({}, [{"context_window": "200k-1M"}], None, id="another context window"),
        pytest.param({}, [{"service_tier": "priority"}], None, id="priority tokens have no row"),
        pytest.param({}, [{"service_tier": None}], None, id="a tier must be named"),
        pytest.param({"service_tier": None}, [{}], None, id="by both"),
        pytest.param({}, [{"model": "claude-haiku-4"}], None, id="another model"),
        pytest.param({}, [{"workspace_id": None}], None, id="another workspace"),
        pytest.param({"workspace_id": None}, [{"workspace_id": None}], 1500, id="the default workspace"),
        pytest.param({}, [{INPUT: 0}], None, id="nothing counted"),
        pytest.param({}, [], None, id="no usage at all"),
        pytest.param({"cost_type": "code_execution", "token_type": None}, [{}], None, id="code has no count"),
    ],
)
def test_tokens_go_where_both_reports_agree(
    row: Mapping[str, Any], usages: list[Mapping[str, Any]], count: int | None
) -> None:
    """A count belongs to a row of the same dimensions, where both reports are split by them."""
    assert consumed([cost(**row)], [used(**usage) for usage in usages]) == [count]


def test_searches_are_counted_over_all_models() -> None:
    """A web search row bills the searches of its workspace, whichever models made them."""
    usages = [used(), used(model="claude-haiku-4", service_tier="batch"), used(workspace_id=None)]

    assert consumed([cost(SEARCHES)], usages) == [20]


def test_a_count_that_two_rows_could_bill_goes_to_neither() -> None:
    """Rows that differ in their text alone share one count, which nobody can split; others keep theirs."""
    fast = cost(description="Claude Sonnet 4 Usage - Input Tokens, Fast")

    assert consumed([cost(), fast, cost(token_type="output_tokens")], [used()]) == [None, None, 40]


def test_no_row_gets_a_part_of_what_it_bills() -> None:
    """A row that shares one of its counts with another row shows no figure, rather than the rest of it."""
    both, us = cost(inference_geo=None), cost(inference_geo="us", description="US only")

    assert consumed([both, us], [used(), used(inference_geo="us")]) == [None, None]


def test_rows_alike_count_once() -> None:
    """One line of the bill in two rows has its tokens once, at the first of them."""
    assert consumed([cost(), cost(amount="3")], [used()]) == [1500, None]


def test_money_given_back_takes_no_tokens() -> None:
    """A negative row of the same dimensions neither gets a count nor makes the billed row's doubtful."""
    assert consumed([cost(amount="-3", description="Adjustment"), cost()], [used()]) == [None, 1500]


@given(st.lists(st.integers(0, 7)), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**12))))
def test_no_token_is_counted_twice(rows: list[int], usages: list[tuple[int, int]]) -> None:
    """Whatever the reports hold, no more tokens are attached than were used, and each row gets all or nothing."""
    geos, texts = (None, "us", "global", "not_available"), ("one", "other")
    costs = [cost(inference_geo=geos[n % 4], description=texts[n // 4]) for n in rows]
    counted = [used(**{"inference_geo": geos[n], INPUT: count}) for n, count in usages]

    attached = consumed(costs, counted)

    assert len(attached) == len(costs)
    assert sum(count or 0 for count in attached) <= sum(count for _, count in usages)
    for row, count in zip(costs, attached, strict=True):
        fitting = [use for use in counted if row.bills(use)]
        assert count in (None, sum(use.model_extra[INPUT] for use in fitting if use.model_extra))


@given(st.lists(st.tuples(st.integers(), st.integers(0, 40)).filter(lambda drawn: abs(drawn[0]) < 10**50)))
def test_a_day_adds_up_to_its_amounts(amounts: list[tuple[int, int]]) -> None:
    """The charges of a day add up to a hundredth of its amounts, read without this code, to the last digit."""
    texts = [f"{units}.{places:040}" for units, places in amounts]
    day = {
        "starting_at": "2026-11-19T00:00:00Z",
        "ending_at": "2026-11-20T00:00:00Z",
        "results": [{**TOKENS, "amount": text} for text in texts],
    }

    charges = list(charges_of(Day[CostRow].model_validate(day), [used()], "org", {}))

    assert len(charges) == len(texts)
    assert sum(Fraction(charge.billed_cost or 0) for charge in charges) == sum(map(Fraction, texts)) / 100


@pytest.mark.parametrize(
    ("row", "category"),
    [
        ({"amount": "-5", "cost_type": "promotional_credit", "description": "Promotion"}, "Credit"),
        ({"amount": "-5", "cost_type": None, "description": "Account Credit"}, "Credit"),
        ({"amount": "-5"}, "Usage"),
        ({"amount": "5", "description": "Credit check service"}, "Usage"),
    ],
)
def test_only_what_calls_itself_a_credit_is_one(row: Mapping[str, Any], category: str) -> None:
    """A negative row is a credit if its own words say so; a sign alone does not make a line another one."""
    day = Day[CostRow].model_validate(
        {"starting_at": "2026-11-19T00:00:00Z", "ending_at": "2026-11-20T00:00:00Z", "results": [{**TOKENS, **row}]}
    )

    assert [charge.charge_category for charge in charges_of(day, [], "org", {})] == [category]


def refused(status: int, kind: str, message: str = "no", code: str | None = None) -> Refused:
    error = {"type": kind, "message": message, **({"details": {"error_code": code}} if code else {})}
    body = {"type": "error", "error": error, "request_id": "req_011"}
    return Refused("refused", status=status, body=body, text=str(body))


@pytest.mark.parametrize(
    ("refusal", "key", "reason", "words"),
    [
        (refused(401, "authentication_error"), "sk-ant-api03-x", "Unauthorized", "not an Admin key"),
        (refused(401, "authentication_error"), "sk-ant-admin01-x", "Unauthorized", "mistyped, disabled or deleted"),
        (refused(401, "authentication_error"), "sk-ant-oat01-x", "Unauthorized", "OAuth token"),
        (refused(401, "authentication_error"), "sk-proj-x", "Unauthorized", "no key of Anthropic"),
        (refused(403, "permission_error"), "sk-ant-api03-x", "Forbidden", "one workspace"),
        (refused(403, "forbidden"), "sk-ant-admin01-x", "Forbidden", "this network"),
        (refused(404, "not_found_error"), "sk-ant-admin01-x", "NotFound", "anthropic.baseURL"),
        (refused(402, "billing_error"), "sk-ant-admin01-x", "Refused", "Settings > Billing"),
        (refused(400, "invalid_request_error"), "sk-ant-admin01-x", "BadRequest", "status 400"),
        (refused(400, "invalid_request_error", code="organization_on_hold"), "k", "BadRequest", "on hold"),
        (refused(400, "x", code="organization_type_not_supported"), "k", "BadRequest", "Claude Enterprise"),
    ],
)
def test_refusals_say_what_to_do(refusal: Refused, key: str, reason: str, words: str) -> None:
    """Every documented refusal names its remedy, quotes Anthropic, and holds neither the key nor a request id."""
    error = explained(refusal, key)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert words in str(error)
    assert str(error).endswith("Anthropic said: no")


@pytest.mark.parametrize("status", [401, 403])
def test_a_person_with_the_wrong_key_learns_where_the_right_one_is_made(status: int) -> None:
    """Both kinds of refused keys lead to the page where an Admin key is made."""
    assert "Settings > Admin keys" in str(explained(refused(status, "permission_error"), "sk-ant-api03-x"))


@pytest.mark.parametrize("kind", ["overloaded_error", "api_error", "timeout_error", "rate_limit_error"])
def test_faults_that_pass_are_tried_again(kind: str) -> None:
    """A passing fault under the status of a refusal is no reason to call a person; nor is a conflict."""
    assert isinstance(explained(refused(400, kind), "k"), RetryLater)
    assert isinstance(explained(refused(409, "conflict_error"), "k"), RetryLater)


def test_a_refusal_that_is_no_envelope_is_quoted_as_it_is() -> None:
    """A proxy's answer instead of Anthropic's is shown, cut to a length that fits a condition."""
    error = explained(Refused("refused", status=403, text="<html>" + "x" * 500), "sk-ant-admin01-x")

    assert "Anthropic said: <html>xxx" in str(error)
    assert "x" * 295 not in str(error)
