"""The Google Cloud connector against an emulated BigQuery, which runs its queries for real.

The emulator casts to NUMERIC with three decimals, where BigQuery has nine.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.focus import COLUMNS, getter
from reconciler.connectors.gcp import bigquery
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import BadData, NeedsPerson
from tests.integration.connectors import gcp_emulator
from tests.integration.connectors.gcp_desk import NOW, Desk, found
from tests.integration.connectors.gcp_emulator import Warehouse
from tests.integration.connectors.gcp_exports import DETAILED, FOCUS, STANDARD, VIEW, credit, line, pairs, usage

pytestmark = gcp_emulator.needed
EARLY, LATE, LATER = "2026-03-10 06:12:13.5", "2026-03-12 18:00:00", "2026-03-19 09:30:00.25"
MakeDesk = Callable[..., Desk]


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with gcp_emulator.running() as url:
        yield url


@pytest.fixture(scope="module")
def warehouse(emulator: str) -> Iterator[Warehouse]:
    made = Warehouse(emulator)
    yield made
    made.close()


@pytest.fixture
async def desk(emulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeDesk]:
    """Makes desks, as in a pod whose cluster is federated with Google."""
    token, configuration = tmp_path / "token", tmp_path / "configuration.json"
    token.write_text("the cluster's token")
    async with ScriptedServer() as sts:
        sts.route("POST", "/v1/token", lambda _: Reply.json({"access_token": "the-federated-token"}))
        told = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{sts.url}/v1/token",
            "credential_source": {"file": str(token)},
        }
        configuration.write_text(json.dumps(told))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(configuration))
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator)

        def make(table: str, export: str = "standard", **block: Any) -> Desk:
            return Desk({"export": export, "table": table, **block})

        yield make


async def test_costs_and_credits_of_a_day(warehouse: Warehouse, desk: MakeDesk) -> None:
    """Hours become a day; each kind of credit, taxes and adjustments stand apart; nothing is lost."""
    table = warehouse.make(STANDARD)
    free = credit("FREE_TIER", "-0.004", "free")
    warehouse.add(
        table,
        usage("2026-03-05T01:00:00", "0.1", EARLY, credits=[credit("PROMOTION", "-0.05"), free], cost_at_list=0.5),
        usage("2026-03-05T02:00:00", "0.2", EARLY, credits=[free], cost_at_list=0.25),
        usage("2026-03-05T02:00:00", "0.2", EARLY, credits=[free], cost_at_list=0.25),
        usage("2026-03-05T03:00:00", "12", EARLY, "Gemini API"),
        usage("2026-03-05T00:00:00", "100", EARLY, credits=[credit("FEE_UTILIZATION_OFFSET", "-60")], labels=[]),
        usage("2026-03-05T00:00:00", "19.5", EARLY, "Invoice", cost_type="tax", project=None, location=None),
        usage("2026-03-05T00:00:00", "-0.001", EARLY, "Invoice", cost_type="rounding_error", project=None),
        usage("2026-03-05T00:00:00", "-3", EARLY, cost_type="adjustment", adjustment_info={"type": "GOODWILL"}),
    )
    made = desk(table)
    await made.sync()

    assert made.costs == Counter(["0.5", "-0.05", "-0.012", "12", "100", "-60", "19.5", "-0.001", "-3"])
    by_kind = made.sums("charge_category", "x_cost_type", "x_credit_type")
    assert by_kind["Credit", "regular", "FREE_TIER"] == Decimal("-0.012")
    assert by_kind["Tax", "tax", None] == Decimal("19.5")
    assert by_kind["Adjustment", "rounding_error", None] == Decimal("-0.001")
    whole = found(made.stored, billed_cost=Decimal("0.5"))
    assert (whole.list_cost, whole.consumed_quantity, whole.service_name) == (
        Decimal(1),
        Decimal(10800),
        "Compute Engine",
    )
    assert (whole.consumed_unit, whole.pricing_quantity, whole.pricing_unit) == ("seconds", Decimal(3), "hour")
    assert (whole.sub_account_id, whole.sub_account_name, whole.region_id) == ("shop-prod", "Shop", "europe-west1")
    assert (whole.billing_account_id, whole.sku_id) == ("010101-F0FFF0-61C528", "2E27-4F75-95CD")
    assert whole.extra == {
        "AvailabilityZone": "europe-west1-b",
        "BillingPeriodStart": "2026-03-01T08:00:00Z",
        "BillingPeriodEnd": "2026-04-01T07:00:00Z",
        "x_invoice_month": "202603",
        "x_cost_type": "regular",
        "x_currency_conversion_rate": "0.92",
        "x_service_id": "6F81-5844-456A",
        "x_location": "europe-west1",
    }
    assert found(made.stored, service_name="Gemini API").billed_cost == 12
    promotion = found(made.stored, x_credit_type="PROMOTION")
    assert (promotion.charge_description, promotion.list_cost, promotion.consumed_unit) == ("a credit", None, None)
    tax = found(made.stored, charge_category="Tax")
    assert (tax.sub_account_id, tax.region_id) == (None, None)
    assert found(made.stored, charge_category="Adjustment", billed_cost=Decimal(-3)).charge_class == "Correction"


async def test_labels_and_tags_tell_costs_apart(warehouse: Warehouse, desk: MakeDesk) -> None:
    """However many labels a row has, its cost counts once, and what is labelled otherwise stands apart."""
    table = warehouse.make(STANDARD)
    tags = [{"key": "env", "value": "prod", "inherited": True, "namespace": "1234567890"}]
    system = [{"key": "compute.googleapis.com/cores", "value": "8"}]
    both = pairs(team="payments", app="shop")
    warehouse.add(
        table,
        usage("2026-03-05T01:00:00", "1", EARLY, labels=both, tags=tags, system_labels=system),
        usage("2026-03-05T02:00:00", "2", EARLY, labels=both, tags=tags, system_labels=system),
        usage("2026-03-05T02:00:00", "4", EARLY, labels=[], project={"id": "shop-prod"}),
    )
    made = desk(table)
    await made.sync()

    assert made.costs == Counter(["3", "4"])
    assert found(made.stored, billed_cost=Decimal(3)).tags == {
        "team": "payments",
        "app": "shop",
        "compute.googleapis.com/cores": "8",
        "1234567890/env": "prod",
        "project/cost_center": "42",
    }
    assert found(made.stored, billed_cost=Decimal(4)).tags is None


async def test_resources_and_currencies(warehouse: Warehouse, desk: MakeDesk) -> None:
    """The detailed export tells resources, the standard way of reading it none; currencies are never added up."""
    table = warehouse.make(DETAILED)
    one, two = ({"name": name, "global_name": f"//compute.googleapis.com/{name}"} for name in ("vm-1", "vm-2"))
    yen: dict[str, Any] = {"currency": "JPY", "currency_conversion_rate": 151.25, "resource": two}
    warehouse.add(
        table,
        usage("2026-03-05T01:00:00", "1", EARLY, resource=one, subscription={"instance_id": "cud-1"}),
        usage("2026-03-05T01:00:00", "2", EARLY, resource=two),
        usage("2026-03-05T01:00:00", "300", EARLY, **yen),
    )
    detailed, standard = desk(table, "detailed"), desk(table)
    await detailed.sync()
    await standard.sync()

    assert detailed.sums("resource_name", "billing_currency") == {
        ("vm-1", "EUR"): 1,
        ("vm-2", "EUR"): 2,
        ("vm-2", "JPY"): 300,
    }
    vm = found(detailed.stored, resource_name="vm-1")
    assert (vm.resource_id, (vm.extra or {})["CommitmentDiscountId"]) == ("//compute.googleapis.com/vm-1", "cud-1")
    assert standard.sums("resource_name", "billing_currency", "x_currency_conversion_rate") == {
        (None, "EUR", "0.92"): 3,
        (None, "JPY", "151.25"): 300,
    }


async def test_late_rows_and_corrections(warehouse: Warehouse, desk: MakeDesk) -> None:
    """Only the days that gained rows are read again, each whole; what is on another invoice stays apart."""
    table = warehouse.make(STANDARD)
    days = [f"2026-03-{day:02}T05:00:00" for day in range(1, 11)]
    warehouse.add(
        table,
        *(usage(day, "1.5", EARLY) for day in days),
        usage("2026-02-10T23:00:00", "40", "2026-02-11 06:00:00", "Old", invoice={"month": "202602"}),
    )
    made = desk(table)
    await made.sync()
    assert sum(made.sums("day").values()) == 55
    assert made.read[0].seen_until == datetime(2026, 3, 10, 6, 12, 13, 500_000, tzinfo=UTC)

    await made.sync()
    assert made.read == []
    assert made.meter.calls == 3

    wrong = {"mode": "COMPLETE_NEGATION", "type": "USAGE_CORRECTION", "id": "1"}
    warehouse.add(
        table,
        usage("2026-03-02T07:00:00", "0.25", LATE),
        usage("2026-02-10T23:00:00", "-40", LATE, "Old", invoice={"month": "202603"}, adjustment_info=wrong),
        usage("2026-03-12T07:00:00", "2", LATE),
    )
    before = list(made.stored)
    made.now = NOW.replace(day=13)
    await made.sync()

    assert made.days == ["03-02..03-14", "02-10..02-11"]
    assert sum(made.sums("day").values()) == Decimal("17.25")
    assert made.sums("day", "x_invoice_month", "service_name") == {
        **{(day[5:10], "202603", "Compute Engine"): Decimal("1.5") for day in days},
        ("03-02", "202603", "Compute Engine"): Decimal("1.75"),
        ("03-12", "202603", "Compute Engine"): Decimal(2),
        ("02-10", "202602", "Old"): Decimal(40),
        ("02-10", "202603", "Old"): Decimal(-40),
    }
    assert found(made.stored, x_adjustment_mode="COMPLETE_NEGATION").charge_class == "Correction"
    untouched = [charge for charge in before if charge.billed_cost == Decimal("1.5")]
    assert len([charge for charge in untouched if charge in made.stored]) == 9


async def test_rows_that_arrive_out_of_order(warehouse: Warehouse, desk: MakeDesk) -> None:
    """A row that is dated before the newest export seen, and comes after it, is found all the same; and once."""
    table = warehouse.make(STANDARD)
    warehouse.add(table, usage("2026-03-01T05:00:00", "1", EARLY), usage("2026-03-02T05:00:00", "2", LATER))
    made = desk(table)
    await made.sync()
    warehouse.add(table, usage("2026-03-01T06:00:00", "4", "2026-03-19 08:00:00"))
    await made.sync()
    assert made.costs == Counter(["5", "2"])
    await made.sync()
    assert made.read == []


async def test_days_become_whole_as_google_goes_on(warehouse: Warehouse, desk: MakeDesk) -> None:
    """A day is known as far as Google has exported, whenever it was read; new exports bring it to its end."""
    table = warehouse.make(STANDARD)
    warehouse.add(table, usage("2026-03-18T05:00:00", "1", "2026-03-18 12:00:00"))
    made = desk(table)
    await made.sync()
    known = {f"{day:%m-%d}": piece.read_at for day, piece in made.pieces.items()}
    assert known["03-18"] == datetime(2026, 3, 18, 12, tzinfo=UTC)

    warehouse.add(table, usage("2026-03-20T05:00:00", "2", "2026-03-20 09:00:00"))
    await made.sync()
    assert made.days == ["03-16..03-21"]
    known = {f"{day:%m-%d}": piece.read_at for day, piece in made.pieces.items()}
    assert known["03-18"] == datetime(2026, 3, 20, 9, tzinfo=UTC)


async def test_answers_of_several_pages(warehouse: Warehouse, desk: MakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are followed to their end."""
    monkeypatch.setattr(bigquery, "PAGE_ROWS", 3)
    table = warehouse.make(STANDARD)
    warehouse.add(table, *(usage(f"2026-03-{day:02}T05:00:00", str(2**day), EARLY) for day in range(1, 11)))
    made = desk(table)
    await made.sync()
    assert made.meter.calls > 8
    assert sum(made.sums("day").values()) == 2**11 - 2


async def test_several_billing_accounts(warehouse: Warehouse, desk: MakeDesk) -> None:
    """Of several accounts in one table the one that is asked for counts; nothing found says what to do."""
    table = warehouse.make(STANDARD)
    warehouse.add(
        table,
        usage("2026-03-01T05:00:00", "1", EARLY),
        usage("2026-03-01T05:00:00", "2", EARLY, billing_account_id="020202-AAAAAA-BBBBBB"),
    )
    all_of_it, one = desk(table), desk(table, billingAccount="020202-AAAAAA-BBBBBB")
    await all_of_it.sync()
    await one.sync()
    assert (all_of_it.costs, one.costs) == (Counter(["1", "2"]), Counter(["2"]))
    with pytest.raises(NeedsPerson, match="no rows of the billing account 030303-AAAAAA-BBBBBB") as caught:
        await desk(table, billingAccount="030303-AAAAAA-BBBBBB").sync()
    assert caught.value.reason == "InvalidSettings"
    with pytest.raises(NeedsPerson, match="no rows yet") as caught:
        await desk(warehouse.make(STANDARD)).sync()
    assert caught.value.reason == "NoRows"
    with pytest.raises(NeedsPerson, match="no such table") as caught:
        await desk("acme-billing.billing.nothing").sync()
    assert caught.value.reason == "NotFound"
    with pytest.raises(NeedsPerson, match=r"no column BilledCost, .*is it the export"):
        await desk(table, "focus").sync()


async def test_focus_lines_arrive_as_google_wrote_them(warehouse: Warehouse, desk: MakeDesk) -> None:
    """What came in as FOCUS goes out as FOCUS: the same lines, columns and sums; lists become tags as well."""
    table = warehouse.make(FOCUS)
    stated: dict[str, Any] = {
        "ListCost": "0.000000002",
        "ChargeClass": "Correction",
        "ResourceId": "//compute.googleapis.com/vm-1",
        "SkuPriceId": "a price",
        "x_CostType": "regular",
        "x_Credits": [{"Name": "a", "Amount": "-0.5", "FullName": "b", "Id": "c", "Type": "PROMOTION"}],
        "x_Labels": [{"Key": "team", "Value": "payments"}],
        "x_Tags": [{"Key": "env", "Value": "prod", "x_Inherited": True, "x_Namespace": "123"}],
        "x_Project": {"Id": "shop-prod", "Number": "1", "Name": "Shop"},
    }
    full = line("2026-03-05T01:00:00", "123456789012345678.123456789", EARLY, **stated)
    equal = line("2026-03-05T02:00:00", "-1.5", EARLY, ChargeCategory="Credit")
    moment = line("2026-03-06T02:00:00", "3", EARLY, ChargePeriodEnd="2026-03-06 02:00:00", ChargeCategory="Tax")
    warehouse.add(table, full, equal, equal, moment)
    made = desk(table, "focus")
    await made.sync()

    assert made.costs == Counter({"123456789012345678.123456789": 1, "-1.5": 2, "3": 1})
    charge = found(made.stored, charge_class="Correction")
    told = {name: getter(COLUMNS[name])(charge) for name in full if name in COLUMNS and full[name] is not None}
    assert {name: str(value) for name, value in told.items()} == {
        name: f"{value}+00:00" if COLUMNS[name].kind == "time" else value
        for name, value in full.items()
        if name in COLUMNS
    } | {"ListCost": "2E-9"}
    extra = charge.extra or {}
    assert (charge.x_origin, charge.tags) == ("file", {"team": "payments", "123/env": "prod"})
    assert json.loads(str(extra["x_Credits"])) == [{**stated["x_Credits"][0], "Amount": "-0.500000000"}]
    assert json.loads(str(extra["x_Project"])) == stated["x_Project"]
    assert extra["x_ExportTime"] == "2026-03-10T06:12:13.500000Z"
    short = found(made.stored, charge_category="Tax")
    assert (short.charge_period_end - short.charge_period_start).total_seconds() == 1

    warehouse.add(table, line("2026-02-05T01:00:00", "-3", LATE, BillingPeriodStart="2026-03-01 08:00:00"))
    await made.sync()
    assert made.days == ["03-08..03-21", "02-05..02-06"]
    assert (found(made.stored, billed_cost=Decimal(-3)).extra or {})["BillingPeriodStart"] == "2026-03-01T08:00:00Z"
    await made.sync()
    assert made.read == []


async def test_lines_of_the_view_that_google_publishes(warehouse: Warehouse, desk: MakeDesk) -> None:
    """Its list of pairs becomes an object, its words are FOCUS's whatever the case; what cannot be read is told."""
    table = warehouse.make(VIEW)
    kinds = (("label", "team", "n/a"), ("tag", "env", "123"), ("project_label", "cost_center", "n/a"))
    tags = [{"key": key, "value": kind, "x_type": kind, "x_namespace": space} for kind, key, space in kinds]
    lists = dict.fromkeys(("x_Credits", "x_Labels", "x_SystemLabels", "x_Tags"))

    def viewed(cost: str, **columns: Any) -> dict[str, Any]:
        told = line("2026-03-05T01:00:00", cost, EARLY, **columns)
        return {name: value for name, value in told.items() if name not in lists}

    warehouse.add(table, viewed("1", Tags=tags, ChargeCategory="usage"), viewed("2", Tags=[], ChargeCategory="tax"))
    made = desk(table, "focus")
    await made.sync()
    assert made.sums("charge_category") == {("Usage",): 1, ("Tax",): 2}
    usage, tax = (found(made.stored, charge_category=category) for category in ("Usage", "Tax"))
    assert usage.tags == {"team": "label", "123/env": "tag", "project/cost_center": "project_label"}
    assert tax.tags is None

    warehouse.add(table, {**viewed("3", ChargeCategory="error", Tags=[]), "x_ExportTime": LATE})
    with pytest.raises(BadData, match=r"line of 2026-03-05 01:00.*ChargeCategory is 'error'") as caught:
        await made.sync()
    assert caught.value.reason == "BadRow"
