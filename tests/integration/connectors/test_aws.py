"""The AWS connector, source costExplorer, against a scripted AWS that answers what is asked, and against moto."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, ClassVar

import pytest

from ledger.charge import Charge
from ledger.window import DAY, Span, midnight
from reconciler.connectors.aws import Aws, AwsSettings
from reconciler.connectors.base import Account, Context, Credentials, SyncPrice
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, RetryLater
from tests.integration.connectors import aws_moto
from tests.integration.connectors.aws_vendor import KEY_ID, SECRET, Item, Vendor, refusal
from tests.integration.connectors.talk import read_days

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FIRST, AFTER = date(2026, 3, 2), date(2026, 3, 12)
KEY = {"accessKeyID": KEY_ID, "secretAccessKey": SECRET}
OTHER = "210987654321"


class TestAws(ConnectorConformance):
    """What every connector has to do, done with the books of one account."""

    connector = Aws
    credentials: ClassVar[Mapping[str, str]] = KEY
    smallest = Decimal("0.0000000001")

    def settings(self, base_url: str) -> AwsSettings:
        return AwsSettings(source="costExplorer", identity="Secret", base_url=base_url)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        items = [Item(line.day, line.amount, line.item, line.project, currency=line.currency) for line in lines]
        Vendor(items, most=self.per_page).open(server)


@asynccontextmanager
async def asking(
    url: str, block: Mapping[str, Any] | None = None, credentials: Mapping[str, str] = KEY, name: str = "aws"
) -> AsyncIterator[Aws]:
    """The connector for an AWS at `url`, which an administrator's environment may name as well."""
    given = {"identity": "Secret", "baseURL": url} if credentials else {}
    settings = AwsSettings.model_validate({"source": "costExplorer", **given, **(block or {})})
    async with VendorClient(
        base_url=settings.base_url,
        policy=EgressPolicy(allow_loopback=True),
        meter=Meter(clock=lambda: NOW),
        redact=tuple(credentials.values()),
        clock=lambda: NOW,
    ) as http:
        yield Aws(settings, Context(http, Credentials(credentials), NOW, name=name, namespace="team-a"))


async def bill(vendor: Vendor, **block: Any) -> list[Charge]:
    async with ScriptedServer() as server:
        vendor.open(server)
        async with asking(server.url, block) as connector:
            return await read_days(connector, FIRST, AFTER)


def explorer(**settings: Any) -> dict[str, Any]:
    return {"costExplorer": settings}


def total(charges: Sequence[Charge]) -> Decimal:
    return sum((charge.billed_cost or Decimal(0) for charge in charges), Decimal(0))


MIXED = [
    Item(FIRST, Decimal("10.5"), "Amazon EC2", "eu-central-1", effective=Decimal("12.25")),
    Item(FIRST, Decimal(2), "Amazon S3", "NoRegion"),
    Item(FIRST, Decimal(7), "Amazon EC2", kind="DiscountedUsage"),
    Item(FIRST, Decimal(4), "Amazon EC2", kind="Savings Plan Covered Usage"),
    Item(FIRST, Decimal(-4), "Amazon EC2", kind="SavingsPlanNegation"),
    Item(FIRST, Decimal(-3), "Amazon EC2", kind="Credit"),
    Item(FIRST, Decimal(-1), "Amazon S3", kind="Refund"),
    Item(FIRST, Decimal("-0.5"), "Amazon S3", kind="RI Volume Discount"),
    Item(FIRST, Decimal("3.8"), "Tax", kind="Tax"),
    Item(FIRST, Decimal(29), "AWS Support (Developer)", kind="Support"),
    Item(FIRST, Decimal(50), "Amazon EC2", kind="SavingsPlanRecurringFee", effective=Decimal(0)),
    Item(FIRST, Decimal("0.7"), "Odd", kind="Something New"),
]


async def test_a_single_account_takes_two_calls() -> None:
    """Totals by account and type, and use by service and region, whatever the number of days."""
    vendor = Vendor(MIXED, names={"123456789012": "prod"})
    found = await bill(vendor)

    assert [[group["Key"] for group in asked["GroupBy"]] for asked in vendor.asked] == [
        ["LINKED_ACCOUNT", "RECORD_TYPE"],
        ["SERVICE", "REGION"],
    ]
    assert total(found) == sum(item.billed for item in MIXED)
    assert {charge.sub_account_id for charge in found} == {"123456789012"}
    assert {charge.sub_account_name for charge in found} == {"prod"}
    ec2, s3 = (charge for charge in found if charge.service_name in ("Amazon EC2", "Amazon S3"))
    assert (ec2.billed_cost, ec2.effective_cost, ec2.region_id) == (Decimal("17.5"), Decimal("19.25"), "eu-central-1")
    assert (s3.billed_cost, s3.region_id) == (Decimal(2), None)
    assert (ec2.charge_period_start, ec2.charge_period_end) == (midnight(FIRST), midnight(FIRST) + DAY)


async def test_what_is_no_use_stands_apart() -> None:
    """Credits, refunds, taxes, support and fees have their categories, and no type of record is lost."""
    found = {charge.charge_description: charge for charge in await bill(Vendor(MIXED)) if charge.charge_description}

    assert {kind: charge.charge_category for kind, charge in found.items()} == {
        "Credit": "Credit",
        "Refund": "Credit",
        "RI Volume Discount": "Credit",
        "Tax": "Tax",
        "Support": "Purchase",
        "SavingsPlanRecurringFee": "Purchase",
        "Something New": "Usage",
    }
    assert found["SavingsPlanRecurringFee"].effective_cost == 0
    assert (found["Tax"].service_name, found["Support"].service_name) == ("AWS Tax", "AWS Support")


TWO = [
    *(Item(FIRST, Decimal(1), "Amazon EC2", region) for region in ("eu-central-1", "us-east-1")),
    *(Item(FIRST, Decimal(5), "Amazon EC2", region, OTHER) for region in ("eu-central-1", "us-east-1")),
]


async def test_several_accounts_take_two_calls_as_well() -> None:
    """Use is asked for by service and account, so that the price of a sync does not grow with the organisation."""
    vendor = Vendor(TWO)
    found = await bill(vendor)

    assert len(vendor.asked) == 2
    assert {(each.sub_account_id, each.region_id, each.billed_cost) for each in found} == {
        ("123456789012", None, Decimal(2)),
        (OTHER, None, Decimal(10)),
    }


async def test_regions_of_several_accounts_take_a_call_each() -> None:
    """Those who want regions have them for a call more per account."""
    vendor = Vendor(TWO)
    found = await bill(vendor, **explorer(regions=True))

    assert len(vendor.asked) == 3
    assert vendor.asked[1]["Filter"]["And"][1] == {"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": ["123456789012"]}}
    assert {(each.sub_account_id, each.region_id, each.billed_cost) for each in found} == {
        *(("123456789012", region, Decimal(1)) for region in ("eu-central-1", "us-east-1")),
        *((OTHER, region, Decimal(5)) for region in ("eu-central-1", "us-east-1")),
    }


async def test_days_without_use_take_one_call() -> None:
    """Where the totals show nothing that was used, nothing more is asked for."""
    vendor = Vendor([Item(FIRST, Decimal("3.8"), kind="Tax")])

    assert [charge.billed_cost for charge in await bill(vendor)] == [Decimal("3.8")]
    assert len(vendor.asked) == 1


async def test_net_costs_are_asked_for_by_their_own_metrics() -> None:
    """The two metrics are never mixed."""
    vendor = Vendor(MIXED)
    await bill(vendor, **explorer(net=True))
    assert {tuple(asked["Metrics"]) for asked in vendor.asked} == {("NetUnblendedCost", "NetAmortizedCost")}


@pytest.mark.parametrize(
    ("estimated", "expected"),
    [
        (date(2026, 3, 5), [("2026-03-05", "2026-03-12", "2026-03-05"), ("2026-03-02", "2026-03-05", None)]),
        (FIRST, [("2026-03-02", "2026-03-12", "2026-03-02")]),
        (date.max, [("2026-03-02", "2026-03-12", None)]),
    ],
    ids=["some", "all", "none"],
)
async def test_estimated_days_are_not_complete_where_that_is_wanted(
    estimated: date, expected: Sequence[tuple[str, str, str | None]]
) -> None:
    """With finalOnly, days that AWS calls estimated are read and do not count as whole; the totals are asked once."""
    vendor = Vendor([Item(FIRST + day * DAY, Decimal(1)) for day in range(10)], estimated)
    span = Span.of_days(FIRST, AFTER)
    async with ScriptedServer() as server:
        vendor.open(server)
        async with asking(server.url, explorer(finalOnly=True)) as connector:
            windows = await connector.windows([span], span)
            found = [each for window in windows async for batch in connector.charges(window) for each in batch]

    shown = [(f"{each.start:%F}", f"{each.end:%F}", each.seen_until and f"{each.seen_until:%F}") for each in windows]
    assert shown == list(expected)
    assert total(found) == 10
    assert len(vendor.asked) == 1 + len(windows)


async def test_a_year_is_read_in_few_calls() -> None:
    """Windows are as long as calls are dear: a year takes four of them."""
    async with asking("http://127.0.0.1:1") as connector:
        span = Span(NOW - timedelta(days=365), NOW)
        windows = await connector.windows([span], span)

    assert len(windows) == 4
    assert [windows[0].end, windows[-1].start] == [span.end, span.start]
    assert all(later.start == earlier.end for later, earlier in pairwise(windows))


async def test_figures_that_change_while_they_are_read_are_read_again() -> None:
    """Parts that do not add up to their totals are not stored; what AWS rounds away is."""
    vendor = Vendor([Item(FIRST, Decimal("1.00"))])
    first = vendor._costs

    def shifting(question: dict[str, Any]) -> Reply:
        reply = first(question)
        vendor.items = [Item(FIRST, Decimal("1.00") + shift)]
        return reply

    vendor._costs = shifting  # type: ignore[method-assign]  # the books change between two questions
    shift = Decimal("0.000000004")
    assert total(await bill(vendor)) == Decimal("1.000000004")
    vendor.items, shift = [Item(FIRST, Decimal("1.00"))], Decimal("0.02")
    with pytest.raises(RetryLater, match="2026-03-02 do not add up"):
        await bill(vendor)


async def test_a_group_that_comes_twice_is_not_counted_twice() -> None:
    """Pages that overlap fail the window."""
    vendor = Vendor([Item(FIRST, Decimal(1))])
    answer = vendor._result(FIRST, {"GroupBy": [{"Key": "SERVICE"}, {"Key": "REGION"}], "Metrics": ["UnblendedCost"]})
    answer["Groups"][0]["Metrics"]["AmortizedCost"] = {"Amount": "1", "Unit": "USD"}
    vendor.refused = [Reply.json({"ResultsByTime": [answer, answer]})]
    with pytest.raises(Bug, match="twice on 2026-03-02"):
        await bill(vendor)


async def test_check_names_the_account() -> None:
    """`check` says who asks, and how many accounts there are, at the cost of one call."""
    vendor = Vendor(TWO, names={"123456789012": "management"})
    async with ScriptedServer() as server:
        vendor.open(server)
        async with asking(server.url) as connector:
            found = await connector.check()

    assert len(vendor.asked) == 1
    assert found == Account(
        "123456789012",
        "management",
        (
            "As arn:aws:iam::123456789012:user/reader.",
            "2 accounts with costs this month.",
        ),
    )


@pytest.mark.parametrize(
    ("block", "trailing"),
    [
        ({}, 45),
        (explorer(regions=True), 45),
        (explorer(finalOnly=True), 45),
        (explorer(finalOnly=True, regions=True), 45),
        (explorer(regions=True), 200),
    ],
    ids=str,
)
async def test_a_sync_costs_what_it_was_said_to(block: Mapping[str, Any], trailing: int) -> None:
    """The price that is told of syncs is that of the calls that one makes in which nothing but these days is due."""
    today = midnight(NOW.date())
    due = Span(today - trailing * DAY, today + DAY)
    days = [day.start.date() for day in due.pieces()]
    vendor = Vendor(
        [Item(day, Decimal(1), account=each) for day in days for each in (OTHER, "123456789012")], date(2026, 3, 1)
    )
    async with ScriptedServer() as server:
        vendor.open(server)
        async with asking(server.url, block) as connector:
            for window in await connector.windows([due], due):
                async for _ in connector.charges(window):
                    pass
            price = connector.sync_price(trailing * DAY)

    assert price == SyncPrice(len(vendor.asked), len(vendor.asked) * Decimal("0.01"))


@pytest.mark.parametrize(
    ("reply", "kind", "reason", "words"),
    [
        (
            refusal("AccessDeniedException", "User not enabled for cost explorer access"),
            NeedsPerson,
            "Forbidden",
            "open it once.*management account.*aws.md",
        ),
        (
            refusal("AccessDeniedException", "Linked account doesn't have access to cost explorer."),
            NeedsPerson,
            "Forbidden",
            "keeps Cost Explorer from its member accounts",
        ),
        (
            refusal("AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized to: ce:GetCostAndUsage"),
            NeedsPerson,
            "Forbidden",
            "policy of the guide.*ce:GetCostAndUsage",
        ),
        (refusal("ThrottlingException", "Rate exceeded"), RetryLater, "RateLimited", "too often: Rate exceeded"),
        (refusal("LimitExceededException", "too many calls"), RetryLater, "RateLimited", "too often"),
        (refusal("DataUnavailableException", "not available"), RetryLater, "VendorUnavailable", "24 hours"),
        (refusal("RequestChangedException", "odd"), RetryLater, "VendorUnavailable", "changed while"),
        (refusal("ExpiredTokenException", "expired"), NeedsPerson, "Unauthorized", "temporary access key .* has ended"),
        (refusal("InvalidSignatureException", "Signature expired: a"), RetryLater, "VendorUnavailable", "clock"),
        (refusal("InvalidSignatureException", "no match", 403), NeedsPerson, "Unauthorized", "mistyped"),
        (refusal("BillExpirationException", "too old"), NeedsPerson, "BadRequest", "lower spec.history"),
        (refusal("ValidationException", "start date is too old"), NeedsPerson, "BadRequest", "lower spec.history"),
        (refusal("ValidationException", "odd"), NeedsPerson, "BadRequest", "refused the request .400.*odd"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_refusals_say_what_to_do(reply: Reply, kind: type[Exception], reason: str, words: str) -> None:
    """What a person must do, what passes, and what a clock is to blame for are told apart by AWS's names."""
    with pytest.raises(kind, match=words) as caught:
        await bill(Vendor(refused=[reply]))
    assert getattr(caught.value, "reason", None) == reason
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("missing", [*KEY])
async def test_half_a_key_is_none(missing: str) -> None:
    """Both parts of an access key are needed, and neither is guessed."""
    async with asking("http://127.0.0.1:1", credentials={**KEY, missing: " "}) as connector:
        with pytest.raises(NeedsPerson, match="both") as caught:
            await connector.check()
    assert caught.value.reason == "InvalidSecret"


async def test_moto_tells_pages_and_restated_days(moto: str) -> None:
    """Against moto: two pages make one window, and the next sync reads what AWS says by then."""

    def answer(keys: tuple[str, str], amounts: Sequence[str], token: str | None = None) -> dict[str, Any]:
        results = []
        for number, amount in enumerate(amounts):
            day = FIRST + (number + (2 if token is None else 0)) * DAY
            metrics = {name: {"Amount": amount, "Unit": "USD"} for name in ("UnblendedCost", "AmortizedCost")}
            period = {"Start": day.isoformat(), "End": (day + DAY).isoformat()}
            groups = [{"Keys": keys, "Metrics": metrics}]
            results.append({"TimePeriod": period, "Total": {}, "Groups": groups, "Estimated": True})
        return {"ResultsByTime": results, "DimensionValueAttributes": []} | ({"NextPageToken": token} if token else {})

    async def read(*amounts: str) -> list[tuple[str, Decimal | None]]:
        keys = (("123456789012", "Usage"), ("Amazon EC2", "us-east-1"))
        parts = [(each, part, token) for each in keys for part, token in ((amounts[:2], "more"), (amounts[2:], None))]
        aws_moto.forget(moto)
        aws_moto.tell_costs(moto, [answer(*part) for part in parts])
        async with asking(moto) as connector:
            found = await read_days(connector, FIRST, AFTER)
        return [(f"{charge.charge_period_start:%d}", charge.billed_cost) for charge in found]

    assert await read("1.1", "2", "3E-7") == [("02", Decimal("1.1")), ("03", Decimal(2)), ("04", Decimal("3E-7"))]
    assert await read("1.2", "2", "0") == [("02", Decimal("1.2")), ("03", Decimal(2)), ("04", Decimal(0))]
