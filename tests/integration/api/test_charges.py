"""Single charges over HTTP: filters, orders, and pages that stay true while the ledger changes."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.database import WriterDB
from ledger.money import plain
from tests.integration.api import questions as drawn
from tests.integration.api.conftest import Asker
from tests.integration.api.oracle import matches
from tests.integration.api.questions import MOMENTS, keep
from tests.integration.ledger.conftest import READ_AT, Desk, charge, days

PAGE = """
query ($period: Period!, $filter: ChargeFilter, $orderBy: ChargeOrder! = NEWEST, $asOf: DateTime, $first: Int!,
       $after: String) {
  charges(period: $period, filter: $filter, orderBy: $orderBy, asOf: $asOf, first: $first, after: $after) {
    totalCount
    edges { cursor node { id chargePeriodStart skuId billedCost billingCurrency serviceName xOrigin tags } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
PERIOD = {"from": "2026-09-28", "to": "2026-10-05"}
ORDERS = ("NEWEST", "OLDEST", "LARGEST", "SMALLEST")

some = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


async def all_pages(asker: Asker, **variables: Any) -> list[dict[str, Any]]:
    """The nodes of every page, one behind the other."""
    nodes: list[dict[str, Any]] = []
    after = None
    while True:
        page = (await asker.ask(PAGE, **variables, after=after))["charges"]
        nodes += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(nodes)
            return nodes
        after = page["pageInfo"]["endCursor"]


def told_of(node: dict[str, Any]) -> tuple[Any, ...]:
    tags = tuple(sorted(node["tags"].items()))
    return node["skuId"], node["billedCost"], node["billingCurrency"], node["serviceName"], node["xOrigin"], tags


@some
@given(told=drawn.ledgers, chosen=drawn.filters, order=st.sampled_from(ORDERS), moment=st.sampled_from(list(MOMENTS)))
async def test_pages_hold_every_charge_that_is_meant_in_order(
    asker: Asker, writer: WriterDB, told: Any, chosen: dict[str, Any], order: str, moment: str
) -> None:
    """Whatever the filter, the order and the moment: the pages hold each charge once, in this order."""
    books = await keep(writer, told)
    variables: dict[str, Any] = {
        "period": PERIOD,
        "filter": {"namespaces": [books.namespace], **chosen},
        "orderBy": order,
    }
    at = MOMENTS[moment]
    nodes = await all_pages(asker, **variables, asOf=at and at.isoformat(), first=4)

    meant = [held.charge for held in books.owned(moment) if matches(held, variables["filter"])]
    expected = [
        (
            c.sku_id,
            c.billed_cost,
            c.billing_currency,
            c.service_name,
            c.x_origin.upper(),
            tuple(sorted((c.tags or {}).items())),
        )
        for c in meant
    ]
    written = [(sku, None if cost is None else plain(cost), *rest) for sku, cost, *rest in expected]
    assert sorted(map(told_of, nodes), key=str) == sorted(written, key=str)
    assert len({node["id"] for node in nodes}) == len(nodes)
    by_time, direction = order in ("NEWEST", "OLDEST"), order in ("NEWEST", "LARGEST")
    ranks = [n["chargePeriodStart"] if by_time else Decimal(n["billedCost"] or 0) for n in nodes]
    assert ranks == sorted(ranks, reverse=direction)


@pytest.mark.parametrize("order", ORDERS)
async def test_rows_that_stay_are_seen_once_while_others_come_and_go(asker: Asker, desk: Desk, order: str) -> None:
    """Between any two pages charges are restated, removed and added; no row comes twice, none that stayed is missed."""
    lasting = [charge(day, f"lasting {day}", str(day)) for day in range(7)]
    seen: list[str] = []
    after = None
    for turn in range(40):
        passing = [charge((turn + i) % 7, f"passing {turn} {i}", str(turn % 5 + i)) for i in range(3)]
        await desk.sync(days(0, 7), [*lasting, *passing], at=READ_AT)
        variables = {"period": PERIOD, "filter": {"namespaces": [desk.namespace]}, "orderBy": order}
        page = (await asker.ask(PAGE, **variables, first=2, after=after))["charges"]
        seen += [edge["node"]["id"] + edge["node"]["skuId"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert len(set(seen)) == len(seen)
    assert sum("lasting" in name for name in seen) == len(lasting)


BAD_CURSORS = (
    *("", "x", "!!!", "WyJj", "a" * 3000, "bnVsbA", "W10", "MQ", "e30", "WyJjaGFyZ2VzIG5ld2VzdCJd"),
    *("WyJjaGFyZ2VzIG5ld2VzdCIsW11d", "77-9", "\\ud800", "[" * 500),
)


@pytest.mark.parametrize("cursor", BAD_CURSORS)
async def test_what_is_no_cursor_is_refused(asker: Asker, cursor: str) -> None:
    """A text that is no cursor gets a 4xx in plain words, whatever it decodes to."""
    error = await asker.refused(PAGE, period=PERIOD, first=2, after=cursor)

    assert (error["code"], error["field"]) == ("BAD_CURSOR", "after")


async def test_a_cursor_belongs_to_its_connection_and_order(asker: Asker, desk: Desk) -> None:
    """The cursor of another order or connection is refused rather than understood in a wrong way."""
    await desk.sync(days(0, 2), [charge(0, "a", "1"), charge(1, "b", "2")])
    page = (await asker.ask(PAGE, period=PERIOD, first=1))["charges"]
    cursor = page["pageInfo"]["endCursor"]

    for order in ("OLDEST", "LARGEST"):
        error = await asker.refused(PAGE, period=PERIOD, first=1, after=cursor, orderBy=order)
        assert error["code"] == "BAD_CURSOR"
    for connection in ("providers", "syncRuns", "restatements"):
        error = await asker.refused(f'{{ {connection}(after: "{cursor}") {{ pageInfo {{ hasNextPage }} }} }}')
        assert error["code"] == "BAD_CURSOR"


async def test_a_cursor_with_an_endless_amount_is_refused(asker: Asker) -> None:
    """An amount with an exponent of a billion, which would be a gigabyte in plain notation, is not written out."""
    parts = ["charges largest", "2026-10-01T00:00:00+00:00", "a", "b", "0" * 32, 0, "1E+999999999"]
    cursor = base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")

    error = await asker.refused(PAGE, period=PERIOD, first=2, after=cursor, orderBy="LARGEST")
    assert error["code"] == "BAD_CURSOR"


@pytest.mark.parametrize("first", [0, -1, 101, 2**31 - 1])
async def test_pages_have_a_largest_size(asker: Asker, first: int) -> None:
    """A page has 1 to 100 rows; other sizes are refused."""
    error = await asker.refused(PAGE, period=PERIOD, first=first)

    assert error["code"] in ("BAD_INPUT", "TOO_COMPLEX")
