"""What the declarative connector makes of an answer's fields: amounts, moments, texts, and errors that say where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger.charge import Charge
from ledger.window import DAY, Span, midnight
from reconciler.connectors.declared import HttpSettings
from reconciler.connectors.scripted import ScriptedServer
from reconciler.errors import BadData
from tests.integration.connectors.declared_talk import CHARGE, FIRST, KEY, NOW, ROW, block, opened, read


async def test_every_field_has_its_expression() -> None:
    """Each FOCUS field of the manifest ends in the charge's field, tags and further columns included."""
    names = {
        "chargeClass": "charge_class",
        "chargeFrequency": "charge_frequency",
        "chargeDescription": "charge_description",
        "serviceName": "service_name",
        "serviceProviderName": "service_provider_name",
        "serviceCategory": "service_category",
        "billingAccountId": "billing_account_id",
        "subAccountId": "sub_account_id",
        "subAccountName": "sub_account_name",
        "regionId": "region_id",
        "resourceId": "resource_id",
        "resourceName": "resource_name",
        "skuId": "sku_id",
        "xModel": "x_model",
        "xTokenType": "x_token_type",
        "consumedUnit": "consumed_unit",
        "pricingUnit": "pricing_unit",
    }
    amounts = {"effectiveCost": "1.25", "listCost": "2", "contractedCost": "1.75"}
    quantities = {"consumedQuantity": "10.5", "pricingQuantity": "11"}
    row = {**ROW, **{name: f"the {name}" for name in names}, **amounts, **quantities, "deep": {"n": Decimal("0.10")}}
    mapped = {name: name for name in (*names, *amounts, *quantities)}
    charge = {
        **CHARGE,
        **mapped,
        "chargeCategory": "'Purchase'",
        "chargePeriodEnd": "'2026-03-05'",
        "tags": {"team": "project", "none": "nothing"},
        "extra": {"x_deep": "deep", "x_number": "deep.n"},
    }
    (found,), _ = await read({"data": [row]}, charge=charge)

    assert found == Charge(
        charge_period_start=midnight(FIRST),
        charge_period_end=midnight(date(2026, 3, 5)),
        billing_currency="USD",
        billed_cost=Decimal("1.5"),
        x_origin="api",
        charge_category="Purchase",
        effective_cost=Decimal("1.25"),
        list_cost=Decimal(2),
        contracted_cost=Decimal("1.75"),
        consumed_quantity=Decimal("10.5"),
        pricing_quantity=Decimal(11),
        tags={"team": "7"},
        extra={"x_deep": {"n": "0.1"}, "x_number": "0.1"},
        **{field: f"the {name}" for name, field in names.items()},
    )
    assert set(CHARGE) | set(charge) == set(
        HttpSettings.model_validate({"baseURL": "https://x.example", **block(charge=charge)}).charge.model_dump(
            by_alias=True
        )
    )


@pytest.mark.parametrize(
    ("amount", "changes", "cost"),
    [
        (Decimal("0.1234567890123456789012345"), {}, "0.1234567890123456789012345"),
        ("1e3", {}, "1000"),
        (-5, {}, "-5"),
        (12345, {"amountUnit": "Minor"}, "123.45"),
        (Decimal("0.5"), {"amountUnit": "Minor"}, "0.005"),
        (1234567, {"amountUnit": "Scaled", "amountScale": 6}, "1.234567"),
    ],
)
async def test_amounts_are_exact_in_every_unit(amount: object, changes: Mapping[str, Any], cost: str) -> None:
    """Major units, minor units and scaled ones come out to the last digit; what is negative is a credit."""
    (found,), _ = await read({"data": [{**ROW, "amount": amount}]}, **changes)

    assert found.billed_cost == Decimal(cost)
    assert found.charge_category == ("Credit" if cost.startswith("-") else "Usage")


async def test_minor_units_follow_the_currency() -> None:
    """A yen has no smaller unit, and a dinar a thousand."""
    rows = [{**ROW, "amount": 1500, "currency": code} for code in ("JPY", "KWD", "EUR")]
    found, _ = await read({"data": rows}, amountUnit="Minor")

    assert [charge.billed_cost for charge in found] == [Decimal(1500), Decimal("1.5"), Decimal(15)]


async def test_functions_keep_every_digit() -> None:
    """JMESPath's functions reckon with Decimal: no digit is lost on the way through them."""
    row = {**ROW, "parts": [Decimal("0.1"), Decimal("0.2"), 3], "text": "0.30000000000000000000000000001"}
    for expression, cost in {
        "sum(parts)": "3.3",
        "max(parts)": "3",
        "to_number(text)": "0.30000000000000000000000000001",
        "max_by([{a: parts[0]}, {a: parts[1]}], &a).a": "0.2",
        "sort(parts)[0]": "0.1",
        "abs(parts[1])": "0.2",
        "parts[?@ > `0`] | [1]": "0.2",
        "to_number(to_string(parts[0]))": "0.1",
        "type(parts[0]) == 'number' && parts[0]": "0.1",
    }.items():
        (found,), _ = await read({"data": [row]}, charge={**CHARGE, "billedCost": expression})
        assert found.billed_cost == Decimal(cost), expression


@pytest.mark.parametrize(
    ("zone", "grain", "written", "start", "end"),
    [
        ("UTC", "Day", "2026-03-02", "2026-03-02T00:00Z", "2026-03-03T00:00Z"),
        ("UTC", "Hour", "2026-03-02T05:00:00Z", "2026-03-02T05:00Z", "2026-03-02T06:00Z"),
        ("UTC", "Hour", "2026-03-02 05:00:00", "2026-03-02T05:00Z", "2026-03-02T06:00Z"),
        ("UTC", "Line", "2026-03-02T05:00:00.5+01:00", "2026-03-02T04:00:00.5Z", "2026-03-02T04:00:01.5Z"),
        ("UTC", "Day", 1772409600, "2026-03-02T00:00Z", "2026-03-03T00:00Z"),
        ("UTC", "Day", "1772409600000", "2026-03-02T00:00Z", "2026-03-03T00:00Z"),
        ("Europe/Berlin", "Day", "2026-03-02", "2026-03-01T23:00Z", "2026-03-02T23:00Z"),
        ("America/New_York", "Day", "2026-03-08", "2026-03-08T05:00Z", "2026-03-09T04:00Z"),
        ("UTC", "Month", "2026-03", "2026-03-01T00:00Z", "2026-04-01T00:00Z"),
        ("Asia/Tokyo", "Month", "2026-03", "2026-02-28T15:00Z", "2026-03-31T15:00Z"),
    ],
)
async def test_moments_are_read_in_the_vendors_zone(
    zone: str, grain: str, written: object, start: str, end: str
) -> None:
    """Days, months, times and Unix times are told in the vendor's zone, over changes of the clock too."""
    row = {**ROW, "day": written}
    (found,), _ = await read({"data": [row]}, days=8, timeZone=zone, grain=grain)

    assert (found.charge_period_start, found.charge_period_end) == (
        datetime.fromisoformat(start),
        datetime.fromisoformat(end),
    )


async def test_times_may_be_written_in_a_way_of_their_own() -> None:
    """A strptime format reads what is not ISO 8601."""
    (found,), _ = await read({"data": [{**ROW, "day": "02/03/26"}]}, timeFormat="%d/%m/%y")

    assert found.charge_period_start == midnight(FIRST)


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        ({}, ["2026-03-01/2026-03-09", "2026-02-26/2026-03-01"]),
        ({"windowDays": 5}, ["2026-03-06/2026-03-09", "2026-03-01/2026-03-06", "2026-02-26/2026-03-01"]),
        ({"windowDays": 1}, [f"2026-03-0{day}/2026-03-0{day + 1}" for day in range(8, 0, -1)]),
        ({"grain": "Month"}, ["2026-03-01/2026-03-21", "2026-02-01/2026-03-01"]),
    ],
)
async def test_windows_follow_the_vendors_days(changes: Mapping[str, Any], windows: list[str]) -> None:
    """Days are asked for in stretches within a month, months whole as far as they have come; the newest first."""
    due = [Span.of_days(date(2026, 2, 26), date(2026, 3, 9))]
    async with ScriptedServer() as server, opened(server, block(**changes)) as connector:
        found = await connector.windows(due, due[0])

    assert [f"{window.start:%Y-%m-%d}/{window.end:%Y-%m-%d}" for window in found][: len(windows)] == windows


async def test_days_settle_before_they_count_as_whole() -> None:
    """With settleDays, what is read now is known only as of so many days before."""
    async with ScriptedServer() as server, opened(server, block(settleDays=3)) as connector:
        (window,) = await connector.windows([Span.of_days(FIRST, FIRST + DAY)], Span.of_days(FIRST, FIRST + DAY))

    assert window.seen_until == NOW - timedelta(days=3)


async def test_a_post_has_its_places_filled() -> None:
    """Texts of the body are filled, numbers become numbers, and the first cursor is null."""
    body = {"range": ["${start.date}", "${end.unix}"], "after": "${cursor}", "query": "costs since ${start.month}"}
    request = {"method": "POST", "path": "/${start.year}/costs", "body": json.dumps(body)}
    paging = {"type": "Cursor", "next": "next"}
    _, (first,) = await read({"data": [ROW], "next": None}, request=request, paging=paging)

    assert first.path == "/2026/costs"
    assert first.json() == {
        "range": ["2026-03-02", 1772496000],
        "after": None,
        "query": "costs since 2026-03",
    }


@pytest.mark.parametrize(
    ("changes", "row", "words"),
    [
        ({"rows": "items"}, ROW, "http.rows: the expression items gives nothing"),
        ({"rows": "data[0]"}, ROW, "gives an object, not a list"),
        ({"lines": "parts"}, ROW, "http.lines: the expression parts gives nothing"),
        ({}, {**ROW, "amount": None}, "http.charge.billedCost: the expression amount gives nothing"),
        ({}, {**ROW, "amount": True}, "gives true or false, not an exact number"),
        ({}, {**ROW, "amount": "1,50"}, "gives no number"),
        ({}, {**ROW, "amount": {"value": 1}}, "gives an object, not an exact number"),
        ({}, {**ROW, "currency": "dollars"}, "http.charge.billingCurrency"),
        ({}, {**ROW, "day": "yesterday"}, "http.charge.chargePeriodStart"),
        ({}, {**ROW, "day": ["2026-03-02"]}, "chargePeriodStart: the expression day gives neither a text nor a number"),
        ({}, {**ROW, "day": "2026-03-09"}, "is not in the period asked for"),
        ({"charge": {**CHARGE, "billingCurrency": "USD"}}, ROW, "write it as 'USD' within quotes"),
        ({"charge": {**CHARGE, "billedCost": "`0.5`"}}, ROW, "not an exact number"),
        ({"charge": {**CHARGE, "billedCost": "abs(item)"}}, ROW, "http.charge.billedCost: the expression abs(item)"),
        ({"charge": {**CHARGE, "chargeCategory": "item"}}, ROW, "which is none of Adjustment"),
        ({"charge": {**CHARGE, "chargePeriodEnd": "day"}}, ROW, "not after its start"),
        ({"charge": {**CHARGE, "skuId": "@"}}, ROW, "gives an object, not a text"),
    ],
)
async def test_an_expression_that_fails_is_named_with_a_sample(
    changes: Mapping[str, Any], row: Mapping[str, Any], words: str
) -> None:
    """The error names the field, the expression and what it was tried on, shortened and without the key."""
    with pytest.raises(BadData) as caught:
        await read({"data": [{**row, "note": f"{KEY} {'x' * 1000}"}]}, **changes)

    assert words in str(caught.value)
    assert caught.value.reason == "ExpressionFailed"
    assert "It was tried on: {" in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(str(caught.value)) < 700


async def test_rows_outside_the_period_may_be_left_to_theirs() -> None:
    """An API that always tells all is read with Skip: each window takes the rows that start in it."""
    rows = [{**ROW, "day": f"2026-03-0{day}"} for day in (1, 2, 3)]
    found, _ = await read({"data": rows}, outsideWindow="Skip")

    assert [charge.charge_period_start.day for charge in found] == [2]
