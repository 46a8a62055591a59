"""The Vercel connector against a server that streams FOCUS lines, spreads what the plan includes, and refuses as
Vercel does.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.window import DAY, Span
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.scripted import Reply, Request, ScriptedServer, dump
from reconciler.connectors.vercel import Vercel, VercelSettings
from reconciler.errors import Bug, NeedsPerson, RetryLater
from tests.integration.connectors import talk

KEY = "vcp_0123456789abcdef"
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
NOT_FOUND = Reply.json({"error": {"code": "costs_not_found", "message": "Costs not found"}}, 404)
REFUSED = {"code": "forbidden", "message": "Not authorized"}


def begins(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=LOS_ANGELES)


def wire(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.000Z}"


def row(day: date, cost: object, **fields: Any) -> dict[str, Any]:
    """A line as Vercel streams it."""
    return {
        "BilledCost": cost,
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargePeriodStart": wire(begins(day)),
        "ChargePeriodEnd": wire(begins(day + DAY)),
        "ConsumedQuantity": 1834201,
        "ConsumedUnit": "Requests",
        "EffectiveCost": cost,
        "RegionId": "iad1",
        "RegionName": "Washington, D.C., USA",
        "ServiceName": "Edge Requests",
        "ServiceCategory": "Networking",
        "ServiceProviderName": "Vercel",
        "Tags": {"ProjectId": "prj_1", "ProjectName": "web"},
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "PricingQuantity": cost,
        "PricingUnit": "USD",
        **fields,
    }


def seat(day: date, cost: object) -> dict[str, Any]:
    nothing = {"ConsumedQuantity": None, "ConsumedUnit": None, "RegionId": None, "RegionName": None}
    return row(day, cost, ServiceName="Pro", ChargeCategory="Purchase", PricingCategory="Committed", Tags={}, **nothing)


@dataclass
class Vendor:
    """A team's bill; `known` tells which days Vercel still has figures for."""

    rows: Sequence[Mapping[str, Any]] = ()
    now: datetime = NOW
    since: date = date(2000, 1, 1)
    seats: bool = True
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)
    asked_as: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", "/v1/billing/charges", self.answer)

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Reply.json({"error": {**REFUSED, "invalidToken": True}}, 403)
        start, end = (datetime.fromisoformat(request.first(name) or "") for name in ("from", "to"))
        self.asked.append((start, end))
        self.asked_as.append(request)
        days = [day for day in self._days(start, end) if day >= self.since]
        if not days:
            return NOT_FOUND
        inside = [each for each in self.rows if wire(start) <= each["ChargePeriodStart"] < wire(min(end, self.now))]
        lines = [*inside, *(seat(day, 0) for day in days if self.seats)]
        return Reply(200, "".join(f"{dump(line)}\n" for line in lines).encode(), {"Content-Type": "application/jsonl"})

    def _days(self, start: datetime, end: datetime) -> list[date]:
        """The days of Vercel's that are over and lie whole inside the period."""
        first = start.astimezone(LOS_ANGELES).date()
        days = [first + DAY * number for number in range((end - start) // DAY + 2)]
        return [day for day in days if start <= begins(day) and begins(day + DAY) <= min(end, self.now)]


@asynccontextmanager
async def talking(vendor: Vendor, key: str = KEY, fault: Reply | None = None, **block: Any) -> AsyncIterator[Vercel]:
    async with ScriptedServer() as server:
        vendor.open(server)
        if fault is not None:
            server.fail(fault)
        settings = {"baseURL": server.url, **block}
        async with talk.talking(Vercel, server, {"apiKey": key}, vendor.now, settings) as connector:
            yield connector


async def read(vendor: Vendor, due: Sequence[Span], **block: Any) -> list[Charge]:
    """Every charge of every window that `due` makes necessary."""
    async with talking(vendor, **block) as connector:
        windows = await connector.windows(due, due[0])
        return [charge for window in windows async for batch in connector.charges(window) for charge in batch]


MARCH = Span.of_days(date(2026, 3, 10), date(2026, 3, 11))


class TestVercel(ConnectorConformance):
    """What every connector has to do, done by this one."""

    connector = Vercel
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal("0.000001")
    paged = False

    def settings(self, base_url: str) -> VercelSettings:
        return VercelSettings(base_url=base_url, team="team_1")

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        rows = [
            row(line.day, line.amount, ServiceName=line.item, BillingCurrency=line.currency, Tags={"ProjectId": "p"})
            for line in lines
        ]
        Vendor(rows).open(server)


AMOUNTS = st.one_of(
    st.integers(-(10**12), 10**12),
    st.decimals(-(10**9), 10**9, allow_nan=False, places=12),
    st.decimals(-1, 1, allow_nan=False, places=25),
    st.sampled_from([Decimal("1E-28"), Decimal("1.5E+9"), Decimal("-0.0")]),
)
ROWS = st.builds(
    lambda day, amount, code, category, tags: row(
        date(2026, 3, 1) + day * DAY, amount, BillingCurrency=code, ChargeCategory=category, Tags=tags
    ),
    st.integers(0, 18),
    AMOUNTS,
    st.sampled_from(["USD", "EUR"]),
    st.sampled_from(["Usage", "Purchase", "Credit", "Tax", "Adjustment"]),
    st.sampled_from([None, {}, {"ProjectId": "prj_1", "ProjectName": "web"}, {"ProjectName": "web"}]),
)


@hypothesis.settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROWS, max_size=30))
async def test_charges_add_up_to_what_the_lines_say(rows: list[dict[str, Any]]) -> None:
    """Per currency and period the charges add up to what an independent reading of the lines gives, to the last
    digit.
    """
    expected: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for line in map(dump, rows):
        told = json.loads(line, parse_float=Fraction, parse_int=Fraction)
        expected[told["ChargePeriodStart"], told["BillingCurrency"]] += told["BilledCost"]
    found: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    read_rows = await read(Vendor(rows), [MARCH])
    for charge in read_rows:
        assert charge.billed_cost is not None
        found[wire(charge.charge_period_start), charge.billing_currency] += Fraction(charge.billed_cost)

    assert len(read_rows) == len(rows) + 19
    assert {key: total for key, total in found.items() if total} == {k: total for k, total in expected.items() if total}


@pytest.mark.parametrize(
    ("now", "due", "asked"),
    [
        (
            datetime(2026, 3, 20, 6, tzinfo=UTC),
            Span.of_days(date(2026, 3, 19), date(2026, 3, 21)),
            [("2026-03-01T08:00:00.000Z", "2026-03-19T07:00:00.000Z")],
        ),
        (
            datetime(2026, 11, 21, 12, tzinfo=UTC),
            Span.of_days(date(2026, 10, 31), date(2026, 11, 22)),
            [
                ("2026-11-01T07:00:00.000Z", "2026-11-21T08:00:00.000Z"),
                ("2026-10-01T07:00:00.000Z", "2026-11-01T07:00:00.000Z"),
            ],
        ),
        (
            datetime(2027, 1, 1, 7, 30, tzinfo=UTC),
            Span.of_days(date(2027, 1, 1), date(2027, 1, 2)),
            [("2026-12-01T08:00:00.000Z", "2026-12-31T08:00:00.000Z")],
        ),
        (datetime(2027, 1, 1, 20, tzinfo=UTC), Span.of_days(date(2027, 1, 2), date(2027, 1, 3)), []),
    ],
)
async def test_windows_are_whole_months_in_los_angeles(now: datetime, due: Span, asked: list[tuple[str, str]]) -> None:
    """What is due is read by whole months of Vercel's own days, the newest as far as its days are over."""
    vendor = Vendor(now=now)
    async with talking(vendor) as connector:
        windows = await connector.windows([due], due)

    assert [(wire(window.start), wire(window.end)) for window in windows] == asked
    assert [(wire(start), wire(end)) for start, end in vendor.asked] == asked


async def test_a_year_is_read_without_gaps() -> None:
    """The months of a year follow one another to the hour, whatever the clocks do, and end at the last midnight."""
    due = Span.of_days(date(2025, 11, 21), date(2026, 11, 22))
    async with talking(Vendor(now=datetime(2026, 11, 21, 12, tzinfo=UTC))) as connector:
        windows = (await connector.windows([due], due))[::-1]

    assert all(before.end == after.start for before, after in pairwise(windows))
    assert windows[0].start <= due.start
    assert windows[-1].end == datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert {window.end - window.start for window in windows} >= {
        30 * DAY + timedelta(hours=1),
        31 * DAY - timedelta(hours=1),
    }


async def test_unknown_months_are_left_alone() -> None:
    """Months without figures are no windows, so that nothing is stored as zero and nothing known is replaced."""
    due = Span.of_days(date(2026, 1, 15), date(2026, 3, 21))
    async with talking(Vendor(since=date(2026, 3, 1))) as connector:
        assert [wire(window.start) for window in await connector.windows([due], due)] == ["2026-03-01T08:00:00.000Z"]


@pytest.mark.parametrize("blank", [NOT_FOUND, Reply(200, b"\n", {"Content-Type": "application/jsonl"})])
async def test_no_figures_at_all_are_told(blank: Reply) -> None:
    """If no month has figures a person is told so, at the check and at every sync: it is never a bill of zero."""
    async with talking(Vendor(), fault=blank) as connector:
        for attempt in (connector.check(), connector.windows([MARCH], MARCH)):
            with pytest.raises(NeedsPerson, match=r"does not mean that nothing was used.*Hobby") as caught:
                await attempt
            assert caught.value.reason == "NotFound"


async def test_nothing_due_asks_nothing() -> None:
    """Where no finished day is due there is neither a call nor an error."""
    vendor = Vendor()
    async with talking(vendor) as connector:
        assert await connector.windows([], MARCH) == []
    assert vendor.asked == []


async def test_lines_keep_their_columns() -> None:
    """Project, product, region, quantities and unknown categories arrive in the ledger's words."""
    charge, *seats = await read(
        Vendor([row(date(2026, 3, 8), Decimal("0.1234567890123456789"), ServiceCategory="Build & Deploy")]),
        [MARCH],
        team="acme",
    )

    assert (wire(charge.charge_period_start), wire(charge.charge_period_end)) == (
        "2026-03-08T08:00:00.000Z",
        "2026-03-09T07:00:00.000Z",
    )
    assert charge.billed_cost == Decimal("0.1234567890123456789")
    assert (charge.sub_account_id, charge.sub_account_name, charge.billing_account_id) == ("prj_1", "web", "acme")
    assert (charge.service_name, charge.service_category, charge.region_id) == (
        "Edge Requests",
        "Build & Deploy",
        "iad1",
    )
    assert (charge.consumed_quantity, charge.consumed_unit) == (Decimal(1834201), "Requests")
    assert charge.x_origin == "api"
    assert (charge.extra or {})["RegionName"] == "Washington, D.C., USA"
    assert {each.sub_account_id for each in seats} == {None}
    assert {each.consumed_quantity for each in seats} == {None}


@pytest.mark.parametrize(
    ("team", "asked"), [("team_1", ("team_1", None)), ("acme", (None, "acme")), (None, (None, None))]
)
async def test_a_team_goes_by_id_or_slug(team: str | None, asked: tuple[str | None, str | None]) -> None:
    """A team's id is sent as teamId, anything else as slug, and no team as neither."""
    vendor = Vendor()
    async with talking(vendor, team=team) as connector:
        await connector.check()

    assert (vendor.asked_as[0].first("teamId"), vendor.asked_as[0].first("slug")) == asked


@pytest.mark.parametrize(
    "line",
    [
        '{"BilledCost": 1}',
        '{"error": {"code": "internal"}}',
        dump(row(date(2026, 3, 2), "much")),
        dump(row(date(2026, 2, 2), 1)),
        dump(row(date(2026, 3, 2), 1, BillingCurrency="MIUs")),
        dump(row(date(2026, 3, 2), 1, ServiceProviderName=None)),
        "<html>Please sign in</html>",
    ],
)
async def test_a_line_that_is_none_stops_its_window(line: str) -> None:
    """A line that cannot be counted, or of days not asked for, fails its window, and is never skipped."""
    good = dump(row(date(2026, 3, 2), 1))
    body = f"{good}\n{line}\n".encode()
    async with talking(Vendor(), fault=Reply(200, body, {"Content-Type": "application/jsonl"})) as connector:
        (window,) = await connector.windows([MARCH], MARCH)
        with pytest.raises(Bug):
            [batch async for batch in connector.charges(window)]


async def test_a_cut_last_line_is_read_again() -> None:
    """An answer that ends within a line is no bill: it is asked for again later, and nothing of it is stored."""
    body = "\n".join([dump(row(date(2026, 3, 2), 1))] * 3)[:-20].encode()
    async with talking(Vendor(), fault=Reply(200, body, {"Content-Type": "application/jsonl"})) as connector:
        (window,) = await connector.windows([MARCH], MARCH)
        with pytest.raises(RetryLater, match="breaks off"):
            [batch async for batch in connector.charges(window)]


async def test_a_long_bill_comes_in_batches() -> None:
    """Thousands of lines come in batches of bounded size, all of them."""
    vendor = Vendor([row(date(2026, 3, 2), Decimal("0.01"))] * 5000, seats=False)
    async with talking(vendor) as connector:
        (window,) = await connector.windows([MARCH], MARCH)
        sizes = [len(batch) async for batch in connector.charges(window)]

    assert sum(sizes) == 5000
    assert max(sizes) <= 2000


@pytest.mark.parametrize(
    ("status", "error", "key", "reason", "words"),
    [
        (403, {**REFUSED, "invalidToken": True}, KEY, "Unauthorized", "mistyped, expired or revoked"),
        (403, {**REFUSED, "missingToken": True}, KEY, "Unauthorized", "account/settings/tokens"),
        (403, {**REFUSED, "invalidToken": True}, "vck_0123456789", "Unauthorized", "AI Gateway"),
        (401, {"code": "unauthorized"}, "vcr_0123456789", "Unauthorized", "refresh token"),
        (403, REFUSED, KEY, "Forbidden", "role"),
        (403, REFUSED, "vci_0123456789", "Forbidden", "integration"),
        (402, {"code": "payment_required", "message": "Upgrade"}, KEY, "Forbidden", "Pro and Enterprise"),
        (400, {"code": "plan_upgrade_required", "message": "no"}, KEY, "Forbidden", "Pro and Enterprise"),
        (404, {"code": "not_found", "message": "Team not found"}, KEY, "NotFound", "vercel.team"),
        (400, {"code": "bad_request", "message": "Invalid from"}, KEY, "BadRequest", "Invalid from"),
    ],
)
async def test_refusals_say_what_to_do(
    status: int, error: Mapping[str, Any], key: str, reason: str, words: str
) -> None:
    """A bad token, one of the wrong kind, one without the role, a plan without costs and a wrong team are told."""
    async with talking(Vendor(), key, Reply.json({"error": error}, status)) as connector:
        with pytest.raises(NeedsPerson, match=words) as caught:
            await connector.check()

    assert caught.value.reason == reason
    assert key not in str(caught.value)
