"""The Google Cloud connector against a scripted Google that answers what is asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import pytest

from ledger.window import DAY, Span
from reconciler.checks import check
from reconciler.connectors.base import SyncPrice
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.gcp import Gcp, GcpSettings
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.gcp_desk import NOW, Desk
from tests.integration.connectors.gcp_vendor import EXPORTED, TABLE, Item, Vendor, refusal, service_account

GIB = 1024**3


class TestGcp(ConnectorConformance):
    """What every connector has to do, done with the standard export."""

    connector = Gcp
    credentials: ClassVar[Mapping[str, str]] = {"serviceAccountKey": service_account()}
    smallest = Decimal("0.000000001")
    books: ClassVar[WeakKeyDictionary[ScriptedServer, Vendor]] = WeakKeyDictionary()

    def settings(self, base_url: str) -> GcpSettings:
        return GcpSettings(export="standard", table=TABLE, identity="Secret", base_url=base_url)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        items = [Item(line.day, line.amount, line.item, line.project, line.currency) for line in lines]
        made = self.books.setdefault(server, Vendor())
        made.restate(items or [Item(NOW.date(), Decimal(0))])
        made.per_page = self.per_page + 1
        made.open(server)


@asynccontextmanager
async def google(vendor: Vendor, **block: Any) -> AsyncIterator[Desk]:
    """A desk whose syncs ask the vendor."""
    async with ScriptedServer() as server:
        vendor.open(server)
        given = {"export": vendor.export, "table": TABLE, "identity": "Secret", "baseURL": server.url, **block}
        yield Desk(given, {"serviceAccountKey": service_account()})


def usage(day: int, cost: str = "1", **more: Any) -> Item:
    return Item(date(2026, 3, day), Decimal(cost), **more)


async def test_a_question_is_bounded_and_told_apart() -> None:
    """Every query has a limit, a label, a place, an id and its values as parameters."""
    vendor = Vendor([usage(5)])
    async with google(vendor, project="acme-billing", billingAccount="010101-F0FFF0-61C528") as desk:
        await desk.sync()
    changes, days = vendor.asked
    assert vendor.statements == Counter(changes=1, days=1)
    for asked in vendor.asked:
        assert asked["useLegacySql"] is False
        assert asked["maximumBytesBilled"] == str(100 * GIB)
        assert (asked["location"], asked["labels"], asked["parameterMode"]) == ("EU", {"app": "costhook"}, "NAMED")
        assert "billing_account_id = @account" in asked["query"]
    assert changes["requestId"] != days["requestId"]
    assert {each["name"]: each["parameterValue"]["value"] for each in days["queryParameters"]} == {
        "start": "2026-02-01 00:00:00.000000+00:00",
        "until": "2026-03-21 00:00:00.000000+00:00",
        "loaded": "2026-01-31 00:00:00.000000+00:00",
        "account": "010101-F0FFF0-61C528",
    }
    assert days["query"].count("FROM") == 1


@pytest.mark.parametrize(
    ("told", "loaded"),
    [
        ({"timePartitioning": {"type": "DAY"}}, "2026-01-31"),
        ({"timePartitioning": {"type": "MONTH"}}, "2025-12-31"),
        ({"timePartitioning": {"type": "DAY", "field": "usage_start_time"}}, None),
        ({"timePartitioning": None, "type": "VIEW"}, None),
    ],
    ids=["by day", "by month", "by a column", "a view"],
)
async def test_only_what_was_loaded_since_is_read(told: Mapping[str, Any], loaded: str | None) -> None:
    """Where rows lie by the time of loading, older ones are left alone, and what is just coming in is not."""
    vendor = Vendor([usage(5)], table=dict(told))
    async with google(vendor) as desk:
        await desk.sync()
    days = vendor.asked[1]
    given = {each["name"]: each["parameterValue"]["value"] for each in days["queryParameters"]}
    assert ("(_PARTITIONTIME >= @loaded OR _PARTITIONTIME IS NULL)" in days["query"]) is (loaded is not None)
    assert given.get("loaded", "")[:10] == (loaded or "")


async def test_queries_that_take_long_are_waited_for() -> None:
    """What is not complete is asked for again, and so are its pages; one that never ends is given up until later."""
    vendor = Vendor([usage(day, str(day)) for day in range(1, 10)], per_page=2, unfinished=3)
    async with google(vendor) as desk:
        await desk.sync()
        assert sum(desk.sums("day").values()) == 45
        vendor.unfinished = 10_000
        desk.memory = {}
        with pytest.raises(RetryLater, match="for too long"):
            await desk.sync()


async def test_an_unchanged_table_takes_one_query() -> None:
    """Nothing new: the table is looked at and asked for changes, and no day is read."""
    vendor = Vendor([usage(5), usage(18)])
    async with google(vendor) as desk:
        await desk.sync()
        vendor.asked.clear()
        await desk.sync()
    assert vendor.statements == Counter(changes=1)
    assert desk.read == []
    since = {each["name"]: each["parameterValue"]["value"] for each in vendor.asked[0]["queryParameters"]}["since"]
    assert since == "2026-03-19 12:00:00.000000+00:00"


async def test_days_near_one_another_are_read_at_once() -> None:
    """A query reads all that was loaded since its first day, so that several days take one; far ones take another."""
    vendor = Vendor([Item(date(2026, 2, 1) + day * DAY, Decimal(1)) for day in range(48)])
    async with google(vendor) as desk:
        await desk.sync()
        later = EXPORTED + timedelta(hours=2)
        vendor.items += [usage(day, exported=later) for day in (2, 5, 16)]
        vendor.items += [Item(date(2026, 2, 3), Decimal(-1), exported=later, invoice="202604")]
        await desk.sync()
        assert desk.days == ["03-16..03-21", "03-02..03-06", "02-03..02-04"]
        assert sum(desk.sums("day").values()) == 50
        assert desk.sums("day", "x_invoice_month")["02-03", "202604"] == -1


async def test_a_sync_that_stops_half_way_goes_on_there() -> None:
    """Windows that were not read are known, also those in the midst of others; those that were are not read again."""
    vendor = Vendor([Item(date(2026, 2, 1) + day * DAY, Decimal(1)) for day in range(48)])
    async with google(vendor) as desk:
        await desk.sync()
        later = EXPORTED + timedelta(hours=2)
        vendor.items += [usage(day, exported=later) for day in (3, 18)]
        vendor.items += [Item(date(2026, 2, 3), Decimal(1), exported=later)]
        async with desk.opened() as connector:
            desk.read = []
            newest, _, oldest = await connector.windows([], Span(NOW - 60 * DAY, NOW))
            await desk.replace(connector, newest)
            await desk.replace(connector, oldest)
        assert desk.days == ["03-18..03-19", "02-03..02-04"]
        await desk.sync()
        assert desk.days == ["03-03..03-04"]
        assert sum(desk.sums("day").values()) == 51
        await desk.sync()
        assert desk.read == []


async def test_days_that_are_asked_for_are_read_again() -> None:
    """Days that are due although Google is done with them are read whatever changed: new ones, or on request."""
    vendor = Vendor([usage(5), usage(18)])
    async with google(vendor) as desk:
        await desk.sync()
        old = Span(datetime(2026, 3, 5, tzinfo=UTC), datetime(2026, 3, 6, tzinfo=UTC))
        async with desk.opened() as connector:
            windows = await connector.windows([old], Span(NOW - 60 * DAY, NOW))
        assert [window.span for window in windows] == [old]


async def test_another_table_does_not_empty_the_days_of_the_former() -> None:
    """Whoever moves on to another export keeps what was read: only the days that are due come from the new one."""
    vendor = Vendor([usage(5), usage(19)])
    async with google(vendor) as desk:
        await desk.sync()
        vendor.export, desk.block = "detailed", {**desk.block, "export": "detailed"}
        vendor.items = [usage(19, "2"), usage(5, "-1", exported=EXPORTED + timedelta(hours=1))]
        await desk.sync()
        assert desk.costs == Counter(["1", "2"])
        assert desk.days == ["03-17..03-21"]


async def test_days_whose_rows_are_deleted_stay() -> None:
    """Where a table's rows expire, a correction does not bring back a day of which the rest has gone."""
    vendor = Vendor([Item(date(2026, 2, 3), Decimal(5)), usage(5), usage(18)])
    async with google(vendor) as desk:
        await desk.sync()
        vendor.table = {"timePartitioning": {"type": "DAY", "expirationMs": str(30 * 86_400_000)}}
        late = Item(date(2026, 2, 3), Decimal(-5), exported=EXPORTED + timedelta(hours=1))
        vendor.items = [*vendor.items[1:], late]
        await desk.sync()
        assert desk.costs == Counter({"5": 1, "1": 2})
        async with desk.opened() as connector:
            notes = (await connector.check()).notes
        desk.memory, desk.pieces = {}, {}
        await desk.sync()
    assert any("deletes its rows after 30 days" in note for note in notes)
    assert desk.days == ["02-19..03-21"]
    assert desk.costs == Counter({"5": 1, "1": 2})


async def test_a_sync_reads_no_more_than_it_may() -> None:
    """Queries share the sync's limit; what is left over is read by the next sync."""
    vendor = Vendor([Item(date(2026, 2, 1) + day * DAY, Decimal(1)) for day in range(48)])
    async with google(vendor, gibPerQuery=3, gibPerSync=4) as desk:
        await desk.sync()
        assert [asked["maximumBytesBilled"] for asked in vendor.asked] == [str(3 * GIB), str(3 * GIB)]
        vendor.asked.clear()
        vendor.billed = 2 * GIB
        later = EXPORTED + timedelta(hours=2)
        vendor.items += [Item(date(2026, 2, 3), Decimal(1), exported=later), usage(18, exported=later)]
        with pytest.raises(NeedsPerson, match=r"have read 4\.0 GiB, which is what gcp\.gibPerSync allows") as caught:
            await desk.sync()
        assert caught.value.reason == "ScanLimit"
        assert [asked["maximumBytesBilled"] for asked in vendor.asked] == [str(3 * GIB), str(2 * GIB)]
        assert desk.days == ["03-17..03-21"]
        await desk.sync()
        assert desk.days == ["02-03..02-04"]
        assert sum(desk.sums("day").values()) == 50


async def test_what_syncs_cost() -> None:
    """A sync's price is that of what its queries read; the first one's says nothing about others."""
    vendor = Vendor([usage(5)])
    async with google(vendor) as desk:
        await desk.sync()
        vendor.billed = 512 * GIB
        async with desk.opened() as connector:
            await connector.windows([], Span(NOW - 60 * DAY, NOW))
            assert connector.sync_price(2 * DAY) == SyncPrice(1, Decimal("3.125"))
        desk.memory = {}
        async with desk.opened() as connector:
            assert connector.sync_price(2 * DAY) is None


async def test_check_says_what_there_is() -> None:
    """`check` runs no query: it tells where the table is and what queries over it would read."""
    vendor = Vendor([usage(5)], billed=30 * GIB)
    async with google(vendor, billingAccount="010101-F0FFF0-61C528") as desk, desk.opened() as connector:
        found = await connector.check()
    assert (found.id, found.name) == ("010101-F0FFF0-61C528", TABLE)
    assert found.notes == (
        "Table in EU.",
        (
            "A sync that reads this month again reads 60.00 GiB, which costs 0.366211 USD at the list price; the first "
            "TiB of a month is free."
        ),
    )
    assert all(asked["dryRun"] for asked in vendor.asked)

    vendor.table = {"type": "VIEW", "timePartitioning": None, "location": "US"}
    async with google(vendor) as desk, desk.opened() as connector:
        notes = (await connector.check()).notes
    assert notes[0] == "View in US."
    assert "hides when rows were loaded" in notes[2]


DENIED = "Access Denied: "


@pytest.mark.parametrize(
    ("reply", "kind", "reason", "words"),
    [
        (refusal("rateLimitExceeded", "Exceeded rate limits"), RetryLater, "RateLimited", "too often: Exceeded"),
        (refusal("quotaExceeded", "Custom quota exceeded"), RetryLater, "RateLimited", "too often: Custom quota"),
        (refusal("jobBackendError", "try again", 400), RetryLater, "VendorUnavailable", "cannot answer now"),
        (
            refusal("bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 1. 2 or higher required.", 400),
            NeedsPerson,
            "ScanLimit",
            "Raise gcp.gibPerQuery.*gcp.md.*2 or higher required",
        ),
        (
            refusal("accessDenied", f"{DENIED}Project a: User does not have bigquery.jobs.create permission in it."),
            NeedsPerson,
            "Forbidden",
            "roles/bigquery.jobUser on the project",
        ),
        (
            refusal("accessDenied", f"{DENIED}Table a: Permission bigquery.tables.getData denied on table a"),
            NeedsPerson,
            "Forbidden",
            "roles/bigquery.dataViewer on the table's dataset",
        ),
        (
            refusal("accessNotConfigured", "BigQuery API has not been used in project 1 before or it is disabled."),
            NeedsPerson,
            "Forbidden",
            "gcloud services enable bigquery.googleapis.com",
        ),
        (refusal("billingNotEnabled", "Billing is off"), NeedsPerson, "Forbidden", "has no billing account"),
        (
            refusal("policyViolation", "VPC Service Controls: Request is prohibited by organization's policy."),
            NeedsPerson,
            "Forbidden",
            "ingress rule",
        ),
        (refusal("odd", "no"), NeedsPerson, "Forbidden", "two roles of the guide"),
        (
            refusal("notFound", "Not found: Dataset a:b was not found in location US", 404),
            NeedsPerson,
            "NotFound",
            "gcp.location if it names another.*in location US",
        ),
        (refusal("notFound", "Not found: Project a", 404), NeedsPerson, "NotFound", "no such project"),
        (refusal("notFound", "Not found: Job a:b", 404), RetryLater, "VendorUnavailable", "asked for again"),
        (refusal("invalidQuery", "Unrecognized name", 400), NeedsPerson, "InvalidSettings", "the export that gcp.ex"),
        (refusal("odd", "odd", 409), NeedsPerson, "Refused", "refused the request .409.*odd"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_refusals_say_what_to_do(reply: Reply, kind: type[ReconcilerError], reason: str, words: str) -> None:
    """What a person must do, and what passes, are told apart by BigQuery's names and words."""
    async with google(Vendor([usage(5)], refused=[reply])) as desk:
        with pytest.raises(kind, match=words) as caught:
            await desk.sync()
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "answer",
    [
        {"jobComplete": True, "rows": []},
        {"jobComplete": False},
        {"jobComplete": True, "schema": {"fields": [{"name": "day", "type": "DATE"}]}, "rows": [{"f": []}]},
        {"jobComplete": True, "schema": {"fields": [{"name": "day", "type": "DATE"}]}, "rows": [{"f": [{}]}]},
        {"jobComplete": True, "schema": {"fields": [{"name": "day", "type": "DATE"}]}, "rows": [{"f": [{"v": 1}]}]},
        {
            "jobComplete": True,
            "schema": {"fields": [{"name": "seen", "type": "TIMESTAMP"}]},
            "rows": [{"f": [{"v": "x"}]}],
        },
        {
            "jobComplete": True,
            "schema": {"fields": [{"name": "day", "type": "STRING", "mode": "REPEATED"}]},
            "rows": [{"f": [{"v": "x"}]}],
        },
        {"jobComplete": True, "schema": {"fields": [{"name": "day", "type": "DATE"}]}, "rows": [{"f": [{"v": "x"}]}]},
    ],
    ids=["no columns", "no job", "too few cells", "no value", "no text", "no time", "no list", "other columns"],
)
async def test_answers_of_another_shape_are_not_counted(answer: dict[str, Any]) -> None:
    """Whatever is not as documented ends the sync, and is never taken for a table without changes."""
    async with google(Vendor([usage(5)], refused=[Reply.json(answer)])) as desk:
        with pytest.raises(Bug):
            await desk.sync()
    assert desk.stored == []


@pytest.mark.parametrize(
    "row",
    [{"cost_type": "odd"}, {"currency": "Euro"}, {"cost": "many"}, {"invoice_month": "2026"}, {"day": "x"}],
    ids=str,
)
async def test_rows_that_cannot_be_counted(row: dict[str, str]) -> None:
    """A row that is not understood fails its window, and is not left out."""
    vendor = Vendor([usage(5)])
    costs = vendor._costs
    vendor._costs = lambda given: [{**each, **row} for each in costs(given)]  # type: ignore[method-assign]  # odd books
    async with google(vendor) as desk:
        with pytest.raises(Bug, match="cannot be counted"):
            await desk.sync()


async def test_what_google_knows_no_price_of_is_unpriced() -> None:
    """A row without a cost is not free."""
    vendor = Vendor([usage(5)])
    costs = vendor._costs
    vendor._costs = lambda given: [{**each, "cost": None} for each in costs(given)]  # type: ignore[method-assign]  # as above
    async with google(vendor) as desk:
        await desk.sync()
    assert [charge.billed_cost for charge in desk.stored] == [None]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"table": "billing.export"}, "table"),
        ({"table": "acme-billing.billing.a`; drop"}, "table"),
        ({"billingAccount": "1"}, "billingAccount"),
        ({"gibPerQuery": 0}, "gibPerQuery"),
        ({"identity": "Platform", "baseURL": "https://proxy.example"}, "baseURL only with identity: Secret"),
        ({"serviceAccount": "costs"}, "serviceAccount"),
    ],
    ids=str,
)
def test_settings_are_checked(block: dict[str, Any], words: str, tmp_path: Path) -> None:
    """What no query can be made of is refused before anything is asked."""
    spec = {"type": "gcp", "gcp": {"export": "standard", "table": TABLE, **block}}
    manifest = {"apiVersion": "costhook.io/v1alpha1", "kind": "Provider", "metadata": {"name": "gcp"}, "spec": spec}
    (tmp_path / "gcp.yaml").write_text(json.dumps(manifest))
    assert words in str(check(tmp_path)[0])
