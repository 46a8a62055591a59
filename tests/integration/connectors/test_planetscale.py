"""The PlanetScale connector against a server that lists invoices and their lines in numbered pages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import Span, Window, midnight
from reconciler.connectors.base import Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.planetscale import PlanetScale, PlanetScaleSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer, dump
from reconciler.errors import Bug, NeedsPerson, RetryLater
from tests.integration.connectors import talk
from tests.integration.connectors.planetscale_vendor import INVOICES, TOKEN, TOKEN_ID, Made, Vendor, item, refusal

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
MARCH = Window(Span.of_days(date(2026, 3, 1), date(2026, 3, 21)))
FEBRUARY = Window(Span.of_days(date(2026, 2, 1), date(2026, 3, 1)))
OLD = Made("2", [item("2")], "2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z")


@asynccontextmanager
async def talking(
    vendor: Vendor, key: str = TOKEN, routes: Mapping[str, Reply] | None = None, now: datetime = NOW
) -> AsyncIterator[PlanetScale]:
    async with ScriptedServer() as server:
        vendor.open(server)
        for path, reply in (routes or {}).items():
            server.route("GET", path, _always(reply))
        block = {"baseURL": server.url, "organization": "acme"}
        async with talk.talking(PlanetScale, server, {"apiKey": key, "tokenID": TOKEN_ID}, now, block) as connector:
            yield connector


def _always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _: reply


async def read(vendor: Vendor, window: Window = MARCH, **given: Any) -> list[Charge]:
    async with talking(vendor, **given) as connector:
        return [charge async for batch in connector.charges(window) for charge in batch]


class TestPlanetScale(ConnectorConformance):
    """What every connector has to do, done with the open month's invoice, among others."""

    connector = PlanetScale
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": TOKEN, "tokenID": TOKEN_ID}
    smallest = Decimal("0.000001")

    def settings(self, base_url: str) -> PlanetScaleSettings:
        return PlanetScaleSettings(base_url=base_url, organization="acme")

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        items = [item(str(line.amount), metric_name=line.item, database_id=line.project) for line in lines]
        total = sum((line.amount for line in lines), Decimal(0))
        older = [Made("0", (), f"2025-{month:02}-01", f"2025-{month:02}-28") for month in range(12, 7, -1)]
        Vendor([Made(str(total), items), *older], self.per_page).open(server)


AMOUNTS = st.decimals(-(10**9), 10**9, allow_nan=False, places=2) | st.decimals(-1, 1, allow_nan=False, places=20)
ITEMS = st.builds(
    lambda amount, form, metric, elsewhere: item(form(amount), metric_name=metric, cloudflare_billed=elsewhere),
    AMOUNTS,
    st.sampled_from([str, Decimal, lambda amount: f"{amount:E}"]),
    st.sampled_from(["cluster", "sales_tax", "storage", None, ""]),
    st.sampled_from([False, False, True, None]),
)


@hypothesis.settings(max_examples=60, deadline=None)
@given(items=st.lists(ITEMS, max_size=10), rest=AMOUNTS | st.just(Decimal(0)), most=st.integers(1, 11))
async def test_an_invoice_adds_up_to_its_total(items: list[Any], rest: Decimal, most: int) -> None:
    """Charges add up to the total, and hold each line that PlanetScale bills, whether it is text or number."""
    told = json.loads(dump(items), parse_float=Decimal)
    own = sum((Fraction(each["subtotal"]) for each in told if not each["cloudflare_billed"]), Fraction(0))
    total = own + Fraction(rest)
    exact = Decimal(total.numerator * 10**20 // total.denominator).scaleb(-20)
    found = await read(Vendor([Made(f"{exact:f}", items)], most))

    elsewhere = sum((Fraction(each["subtotal"]) for each in told if each["cloudflare_billed"]), Fraction(0))
    counted = sum(Fraction(charge.billed_cost or 0) for charge in found)
    assert counted == own if Fraction(exact) == own + elsewhere else counted == Fraction(exact)
    expected = [Fraction(0) if each["cloudflare_billed"] else Fraction(each["subtotal"]) for each in told]
    assert [Fraction(charge.billed_cost or 0) for charge in found[: len(items)]] == expected


async def test_a_line_keeps_what_it_says() -> None:
    """Database, branch, metric, text and invoice of a line arrive; a line without them is one all the same."""
    bare = {"subtotal": Decimal("-1.5"), "database_id": None, "resource": None}
    found, credit = await read(Vendor([Made("37.5", [item(Decimal("39.0")), bare])]))

    assert found == Charge(
        charge_period_start=datetime(2026, 3, 1, tzinfo=UTC),
        charge_period_end=datetime(2026, 4, 1, tzinfo=UTC),
        billing_currency="USD",
        billed_cost=Decimal(39),
        x_origin="api",
        service_name="PlanetScale",
        service_provider_name="PlanetScale",
        charge_description="PS-10 AWS us-east-1",
        service_category="Databases",
        billing_account_id="acme",
        sub_account_id="db_1",
        sub_account_name="app",
        resource_id="br_1",
        resource_name="main",
        sku_id="cluster",
        extra={"InvoiceId": "inv_0"},
    )
    assert (credit.billed_cost, credit.charge_category, credit.sub_account_id) == (Decimal("-1.5"), "Credit", None)


async def test_what_cloudflare_bills_is_told_and_not_counted() -> None:
    """A line on Cloudflare's bill costs nothing here and keeps its subtotal, whether or not the total has it."""
    items = [item("39"), item("5.50", cloudflare_billed=True)]
    for total in ("39", "44.5"):
        own, other = await read(Vendor([Made(total, items)]))
        assert (own.billed_cost, other.billed_cost) == (Decimal(39), Decimal(0))
        assert other.extra == {"InvoiceId": "inv_0", "x_cloudflare_billed": True, "x_subtotal": "5.5"}


@pytest.mark.parametrize(
    ("fields", "category"),
    [
        ({"metric_name": "sales_tax"}, "Tax"),
        ({"description": "VAT (20%)"}, "Tax"),
        ({"description": "Taxonomy search"}, "Usage"),
        ({"description": None, "metric_name": None}, "Usage"),
    ],
)
async def test_taxes_are_known_by_their_words(fields: Mapping[str, Any], category: str) -> None:
    """A line whose metric or text names a tax is one."""
    (found,) = await read(Vendor([Made("1", [item("1", **fields)])]))
    assert found.charge_category == category


async def test_a_rest_is_a_line_of_its_own() -> None:
    """What the lines leave of the total is visible as such."""
    _, rest = await read(Vendor([Made("42.12", [item("39")])]))
    assert (rest.billed_cost, rest.charge_category) == (Decimal("3.12"), "Adjustment")
    assert rest.charge_description == "Not itemised in the invoice"


async def test_an_invoice_that_changes_while_it_is_read_is_read_again() -> None:
    """Where the total has moved meanwhile, the invoice is not stored: a missed line passes as no rest."""
    with pytest.raises(RetryLater, match="changed"):
        await read(Vendor([Made("42", [item("39")])], later={"inv_0": "43"}))


@pytest.mark.parametrize(
    ("start", "end", "begins", "ends"),
    [
        ("2026-03-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z", date(2026, 3, 1), date(2026, 4, 1)),
        ("2026-03-01", "2026-03-31", date(2026, 3, 1), date(2026, 4, 1)),
        ("2026-03-14T17:00:00-07:00", "2026-04-14T17:00:00-07:00", date(2026, 3, 15), date(2026, 4, 15)),
    ],
)
async def test_periods_are_read_in_both_forms(start: str, end: str, begins: date, ends: date) -> None:
    """A period of moments ends before its end, one of dates with its last day."""
    (found,) = await read(Vendor([Made("1", [item("1")], start, end)]))
    assert (found.charge_period_start, found.charge_period_end) == (midnight(begins), midnight(ends))


async def test_an_invoice_counts_in_the_month_in_which_it_begins() -> None:
    """A period over two months is in the first of them alone, and every invoice in exactly one."""
    across = Made("5", [item("5")], "2026-02-15T00:00:00Z", "2026-03-15T00:00:00Z")
    vendor = Vendor([Made("7", [item("7")], "2026-03-15T00:00:00Z", "2026-04-15T00:00:00Z"), across, OLD])

    assert [charge.billed_cost for charge in await read(vendor)] == [7]
    assert [charge.billed_cost for charge in await read(vendor, FEBRUARY)] == [5, 2]


@pytest.mark.parametrize(
    ("made", "now", "expected"),
    [
        ([Made("1"), OLD], NOW, [("2026-03-01", "2026-03-21"), ("2026-02-01", "2026-03-01")]),
        ([OLD], NOW, [("2026-02-01", "2026-03-01")]),
        ([OLD], datetime(2026, 3, 1, tzinfo=UTC), [("2026-02-01", "2026-03-01")]),
        ([], NOW, []),
    ],
)
async def test_nothing_is_read_beyond_the_last_invoice(
    made: Sequence[Made], now: datetime, expected: Sequence[tuple[str, str]]
) -> None:
    """Whole months are read, newest first; a month of which no invoice is listed is unknown, and not free."""
    async with talking(Vendor(made), now=now) as connector:
        due = [Span.of_days(date(2026, 2, 27), date(2026, 3, 21))]
        windows = await connector.windows(due, due[0])

    assert [(f"{window.start:%Y-%m-%d}", f"{window.end:%Y-%m-%d}") for window in windows] == expected


async def test_an_invoice_that_accrues_is_restated() -> None:
    """The open invoice is read as it stands each time, and its closing only changes it."""
    vendor = Vendor([Made("10", [item("10")])])
    before = await read(vendor)
    vendor.made = [Made("39.5", [item("39"), item("0.5", metric_name="storage")])]
    after = await read(vendor)

    assert [charge.billed_cost for charge in before] == [10]
    assert [charge.billed_cost for charge in after] == [39, Decimal("0.5")]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (INVOICES, {"next_page": None}),
        (INVOICES, {"data": []}),
        (INVOICES, {"data": [{"id": "a", "total": "1"}], "next_page": None}),
        (f"{INVOICES}/inv_0/line-items", {"data": [{"id": "a"}], "next_page": None}),
        (f"{INVOICES}/inv_0/line-items", {"data": [item("much")], "next_page": None}),
        (f"{INVOICES}/inv_0/line-items", {"data": [item("1", id="a")] * 2, "next_page": None}),
    ],
)
async def test_bills_that_are_none_are_not_stored(path: str, answer: Mapping[str, Any]) -> None:
    """An invoice or line that cannot be counted fails the month, and is never skipped."""
    with pytest.raises(Bug):
        await read(Vendor([Made("1", [item("1")])]), routes={path: Reply.json(answer)})


@pytest.mark.parametrize(
    "made",
    [[Made("1", (), "2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z")], [Made("1", (), "March", "April")]],
    ids=["empty", "words"],
)
async def test_periods_that_are_none_are_not_stored(made: Sequence[Made]) -> None:
    """An invoice whose period cannot be read, or is empty, fails the sync."""
    with pytest.raises(Bug):
        await read(Vendor(made))


async def test_check_reads_one_invoice() -> None:
    """`check` names the organization, and says when there is nothing to read yet."""
    vendor = Vendor([OLD])
    async with talking(vendor) as connector:
        assert await connector.check() == Account("acme")
    assert [request.first("per_page") for request in vendor.asked] == ["1"]

    async with talking(Vendor()) as connector:
        assert "no invoice yet" in (await connector.check()).notes[0]


@pytest.mark.parametrize(
    ("key", "reply", "reason", "words"),
    [
        ("pscale_tkn_other", None, "Unauthorized", "mistyped.*read_invoices.*planetscale.md"),
        ("pscale_pw_0123456", None, "Unauthorized", "database's password"),
        ("pscale_oauth_0123", None, "Unauthorized", "OAuth token"),
        (TOKEN, refusal(403, "forbidden", "Not this"), "Forbidden", "lacks the access read_invoices.*Not this"),
        (TOKEN, refusal(404, "not_found", "Not Found"), "NotFound", "planetscale.organization.*planetscale.md"),
        (TOKEN, refusal(422, "unprocessable", "odd"), "Refused", "odd.*planetscale.md"),
        (TOKEN, Reply(status=400, body=b"odd"), "BadRequest", "odd"),
    ],
)
async def test_refusals_say_what_to_do(key: str, reply: Reply | None, reason: str, words: str) -> None:
    """A bad token, one of the wrong kind, missing access and a wrong organization are told apart."""
    async with talking(Vendor(), key, {INVOICES: reply} if reply else None) as connector:
        with pytest.raises(NeedsPerson, match=words) as caught:
            await connector.check()

    assert caught.value.reason == reason
    assert key not in str(caught.value)
