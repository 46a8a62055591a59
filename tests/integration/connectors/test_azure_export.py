"""The Azure connector, source export, against containers of azurite, as Azure delivers to them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ledger.focus import COLUMNS
from reconciler.connectors.azure.delivery import Run
from reconciler.connectors.azure.export import Export
from reconciler.connectors.http import Meter
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import NeedsPerson, RetryLater
from tests.integration.connectors import azurite
from tests.integration.connectors.azure_exports import ROOT, SCOPE, Account, ExportDesk, row
from tests.integration.connectors.azure_vendor import CLIENT, SECRET, TENANT
from tests.integration.connectors.azurite import Azurite, bearer, sas
from tests.integration.connectors.focus_files import HISTORY

pytestmark = azurite.NEEDED
JANUARY, FEBRUARY, MARCH = "2026-01", "2026-02", "2026-03"
NUMBERS = count(1)


@pytest.fixture
def account(azurite_server: Azurite) -> Account:
    return Account(azurite_server, f"focus-{next(NUMBERS)}")


@pytest.fixture
def desk(account: Account, tmp_path: Path) -> ExportDesk:
    return ExportDesk(tmp_path, account=account)


async def calls(desk: ExportDesk) -> int:
    """How many calls a sync takes."""
    desk.meter = Meter()
    assert await desk.sync() == []
    return desk.meter.calls


def costs(*amounts: str) -> Counter[str]:
    return Counter(amounts)


async def test_lines_arrive_as_azure_wrote_them(account: Account, desk: ExportDesk) -> None:
    """All columns of FOCUS 1.0 and Azure's own arrive, zeros as zeros and amounts to the last digit."""
    stated: dict[str, Any] = {
        **{name: f"a {name}" for name, column in COLUMNS.items() if column.kind == "text" and column.since <= "1.0"},
        **row("2026-03-05", "0.123456789012345678"),
        "ListCost": Decimal(0),
        "ContractedCost": Decimal("1E-7"),
        "ChargeClass": None,
        "x_PricingCurrency": "USD",
    }
    account.create_new(MARCH, [stated])
    assert await desk.sync() == []

    (charge,) = desk.stored
    assert charge.billed_cost == Decimal("0.123456789012345678")
    assert (charge.list_cost, charge.contracted_cost) == (Decimal(0), Decimal("1E-7"))
    assert charge.charge_period_start == datetime(2026, 3, 5, tzinfo=UTC)
    assert (charge.x_origin, charge.service_provider_name, charge.tags) == ("file", "Microsoft", {"team": "payments"})
    assert (charge.sub_account_id, charge.region_id, charge.sku_id) == (SCOPE.lower(), "westeurope", "a SkuId")
    extra = charge.extra or {}
    assert extra["CommitmentDiscountId"] == "a CommitmentDiscountId"
    assert (extra["x_ResourceGroupName"], extra["x_PricingCurrency"]) == ("web", "USD")


async def test_what_came_in_as_focus_has_the_same_sums(account: Account, desk: ExportDesk) -> None:
    """Of many lines, negative ones and one of no service among them, every column of money keeps its sum."""
    money = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
    rows = [
        row(
            f"2026-03-{1 + number % 19:02}",
            f"{number - 5}E-7",
            ListCost=Decimal(number).scaleb(-18),
            ContractedCost=None,
        )
        for number in range(40)
    ]
    rows[7] = {**rows[7], "ServiceName": None}
    account.create_new(MARCH, rows[:20], rows[20:])
    assert await desk.sync() == []

    names = ("billed_cost", "effective_cost", "list_cost", "contracted_cost")
    came = [sum((each[name] or Decimal(0) for each in rows), Decimal(0)) for name in money]
    went = [sum((getattr(charge, name) or Decimal(0) for charge in desk.stored), Decimal(0)) for name in names]
    assert (len(desk.stored), went) == (len(rows), came)
    assert Counter(charge.service_name for charge in desk.stored) == {"Virtual Machines": 39, "Microsoft": 1}


async def test_months_are_read_once(account: Account, desk: ExportDesk) -> None:
    """The first sync reads every month, the next asks for the list of blobs and nothing else."""
    account.create_new(FEBRUARY, [row("2026-02-01", "1")], [row("2026-02-28", "2")])
    account.create_new(MARCH, [row("2026-03-01", "4")])
    assert await calls(desk) == 1 + 2 * 2 + 3
    assert desk.months == [MARCH, FEBRUARY]
    assert desk.costs == costs("1", "2", "4")
    seen = [window.seen_until for window in desk.read]
    assert seen == [datetime(2026, 3, run, 6, 0, 0, 123456, tzinfo=UTC) for run in (2, 1)]

    assert await calls(desk) == 1
    assert desk.months == []


@pytest.mark.parametrize("packed", [False, True], ids=["parquet", "csv"])
async def test_a_month_that_changed_is_read_whole(packed: bool, account: Account, desk: ExportDesk) -> None:
    """A run over the former one replaces that month alone; restated days have their new costs."""
    account.overwrite(FEBRUARY, [row("2026-02-01", "8")], packed=packed)
    account.overwrite(MARCH, [row("2026-03-01", "1")], [row("2026-03-02", "2")], packed=packed)
    await desk.sync()
    assert desk.costs == costs("8", "1", "2")
    account.overwrite(
        MARCH, [row("2026-03-01", "1.5"), row("2026-03-04", "-0.5", ChargeCategory="Purchase")], packed=packed
    )

    assert await desk.sync() == []
    assert desk.months == [MARCH]
    assert desk.costs == costs("8", "1.5", "-0.5")


async def test_a_month_that_is_being_written_waits(account: Account, desk: ExportDesk) -> None:
    """A manifest whose files are not all there belongs to a run that is just replaced."""
    account.overwrite(FEBRUARY, [row("2026-02-01", "8")])
    (name,) = account.overwrite(MARCH, [row("2026-03-01", "1")])
    await desk.sync()
    account.overwrite(FEBRUARY, [row("2026-02-01", "9")])
    account.runs += 1
    account.manifest(name.rpartition("/")[0], MARCH, [name, f"{name}-2"], {})

    with pytest.raises(RetryLater, match="2026-03 was replaced") as caught:
        await desk.sync()
    assert caught.value.reason == "FileChanged"
    assert desk.costs == costs("9", "1")


async def test_files_newer_than_their_manifest_are_not_read(account: Account, desk: ExportDesk) -> None:
    """What was written after the manifest is of the next run."""
    (name,) = account.overwrite(MARCH, [row("2026-03-01", "1")])
    async with desk.opened() as connector:
        export: Export = connector._export
        (run,) = await export.newest()
        manifest = run.manifest._replace(modified=run.manifest.modified - timedelta(minutes=1))
        assert [each.name for each in await export._deliveries.files(run)] == [name]
        with pytest.raises(RetryLater, match="replaced"):
            await export._deliveries.files(Run(manifest, run.scope, run.version, run.span, run.submitted))


async def test_a_file_that_is_replaced_while_it_is_read(
    account: Account, desk: ExportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another content under the same name is told by its ETag, and the month is not stored."""
    monkeypatch.setattr("reconciler.connectors.focus.delivered.KEPT", 0)
    (name,) = account.overwrite(MARCH, [row("2026-03-01", "1")])
    async with desk.opened() as connector:
        (window,) = await connector.windows([], HISTORY)
        account.put(name, b"something else")
        with pytest.raises(RetryLater, match=r"parquet was replaced") as caught:
            await desk.replace(connector, window)
        account.delete(name)
        with pytest.raises(RetryLater, match=r"parquet was replaced"):
            await desk.replace(connector, window)
    assert caught.value.reason == "FileChanged"
    assert desk.stored == []


async def test_months_that_are_deleted_from_the_container_stay(account: Account, desk: ExportDesk) -> None:
    """A rule that clears the container clears no history; manifests that are gone are forgotten."""
    names = [account.create_new(month, [row(f"{month}-01", "1")])[0] for month in (FEBRUARY, MARCH)]
    await desk.sync()
    assert len([key for key in desk.memory if key.startswith("manifest:")]) == 2
    account.delete(names[0])
    account.delete(f"{names[0].rpartition('/')[0]}/manifest.json")
    account.create_new(MARCH, [row("2026-03-01", "3")])

    assert await desk.sync() == []
    assert desk.costs == costs("1", "3")
    assert len([key for key in desk.memory if key.startswith("manifest:")]) == 2


async def test_months_before_the_history_are_not_read(account: Account, desk: ExportDesk) -> None:
    """What lies before spec.history is looked at once, and costs nothing after that."""
    account.create_new("2025-12", [row("2025-12-01", "1")])
    account.create_new(JANUARY, [row("2026-01-01", "2")])
    await desk.sync()
    assert desk.months == [JANUARY]
    assert await calls(desk) == 1


async def test_copies_that_find_no_room_are_brought_twice(
    account: Account, desk: ExportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a bound no copy is kept between looking and reading, and none is left behind."""
    account.create_new(MARCH, [row("2026-03-01", "1")], [row("2026-03-02", "2")])
    monkeypatch.setattr("reconciler.connectors.focus.delivered.KEPT", 0)
    assert await calls(desk) == 1 + 2 + 2 * 2
    assert desk.costs == costs("1", "2")
    async with desk.opened() as connector:
        assert list(connector._export._scratch.iterdir()) == []


async def test_names_are_taken_as_they_are(account: Account, desk: ExportDesk) -> None:
    """Spaces, signs and letters of names reach Azure as they were listed; any folder will do."""
    folder = f"{ROOT} & söhne/a+b%20c/#1"
    account.put(f"{folder}/teil 1?.csv", b"")
    account.delete(f"{folder}/teil 1?.csv")
    account.runs += 1
    text = io.StringIO()
    csv.writer(text).writerows(
        [
            ["BilledCost", "BillingCurrency", "ChargePeriodStart", "ChargePeriodEnd", "ServiceName", "ProviderName"],
            ["1.5", "EUR", "2026-03-01T00:00Z", "2026-03-02T00:00Z", "Storage", "Microsoft"],
        ]
    )
    account.put(f"{folder}/teil 1?.csv", text.getvalue().encode())
    account.manifest(folder, MARCH, [f"{folder}/teil 1?.csv"], {})
    assert await desk.sync() == []
    assert desk.costs == costs("1.5")


async def test_a_damaged_file_fails_its_month_alone(account: Account, desk: ExportDesk) -> None:
    """Other months are stored, and the error names the file."""
    account.create_new(FEBRUARY, [row("2026-02-01", "1")])
    (name,) = account.create_new(MARCH, [row("2026-03-01", "2")])
    account.put(name, b"PAR1 and no more")
    account.manifest(name.rpartition("/")[0], MARCH, [name], {})
    (error,) = await desk.sync()
    assert f"{name} cannot be read" in str(error)
    assert desk.costs == costs("1")


async def test_a_bearer_token_opens_the_container(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entra's token for storage, in exchange for the service account's, reads what a SAS reads."""
    account.create_new(MARCH, [row("2026-03-01", "1")])
    file = tmp_path / "token"
    file.write_text("service-account-token")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(file))
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_BLOB_HOST", account.azurite.url)
    asked: list[Request] = []

    def token(request: Request) -> Reply:
        asked.append(request)
        return Reply.json({"access_token": bearer()})

    async with ScriptedServer() as entra:
        entra.route("POST", f"/{TENANT}/oauth2/v2.0/token", token)
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", entra.url)
        desk = ExportDesk(tmp_path, account=account, block={"identity": "Platform", "baseURL": None})
        assert await desk.sync() == []
    assert desk.costs == costs("1")
    assert [b"scope=https%3A%2F%2Fstorage.azure.com%2F.default" in request.body for request in asked] == [True]


@pytest.mark.parametrize(
    ("keys", "block", "reason", "words"),
    [
        ({"sasToken": sas(ends="2026-03-01T00:00:00Z")}, {}, "Unauthorized", "SAS token has ended"),
        ({"sasToken": sas("r")}, {}, "Forbidden", "permissions read and list"),
        ({"sasToken": sas()}, {"account": "devstoreaccount1", "container": "nobodys"}, "NotFound", "no such container"),
        ({"other": "value-of-another-key"}, {}, "InvalidSecret", "clientSecret, or for source export sasToken"),
        ({"clientSecret": SECRET}, {}, "InvalidSettings", "tenantID and azure.clientID"),
    ],
    ids=["ended", "no list", "no container", "no key", "no tenant"],
)
async def test_azurite_refuses_in_words(
    keys: dict[str, str], block: dict[str, str], reason: str, words: str, account: Account, tmp_path: Path
) -> None:
    """What Blob storage refuses is told by what to do, and no SAS token shows."""
    desk = ExportDesk(tmp_path, account=account, keys=keys, block={"export": block} if block else {})
    with pytest.raises(NeedsPerson, match=words) as caught:
        await desk.sync()
    assert caught.value.reason == reason
    assert "sig=" not in str(caught.value)
