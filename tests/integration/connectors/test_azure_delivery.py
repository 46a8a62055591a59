"""Which of Azure's runs count: of those that repeat one another the newest, and none that would count twice."""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from reconciler.connectors.http import Meter
from reconciler.errors import Bug, NeedsPerson
from tests.integration.connectors import azurite
from tests.integration.connectors.azure_exports import ROOT, SCOPE, Account, ExportDesk, row
from tests.integration.connectors.azurite import Azurite

pytestmark = azurite.NEEDED
JANUARY, FEBRUARY, MARCH = "2026-01", "2026-02", "2026-03"
NUMBERS = count(1)


@pytest.fixture
def account(azurite_server: Azurite) -> Account:
    return Account(azurite_server, f"runs-{next(NUMBERS)}")


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


async def test_a_run_in_a_folder_of_its_own_takes_the_formers_place(account: Account, desk: ExportDesk) -> None:
    """Of the runs that lie side by side the one that was submitted last counts, and only that."""
    account.create_new(MARCH, [row("2026-03-01", "1")])
    account.create_new(MARCH, [row("2026-03-01", "1")], [row("2026-03-02", "2")])
    await desk.sync()
    assert desk.costs == costs("1", "2")

    account.create_new(MARCH, [row("2026-03-01", "1.25")])
    assert await desk.sync() == []
    assert desk.costs == costs("1.25")
    assert desk.months == [MARCH]
    assert await calls(desk) == 1


async def test_a_run_that_was_submitted_earlier_and_written_later_does_not_count(
    account: Account, desk: ExportDesk
) -> None:
    """What decides is when a run was submitted, and no name and no time of a blob."""
    account.create_new(MARCH, [row("2026-03-01", "2")])
    account.create_new(MARCH, [row("2026-03-01", "1")], submittedTime="2026-02-28T06:00:00Z")
    await desk.sync()
    assert desk.costs == costs("2")


async def test_an_empty_run_takes_no_month_away(account: Account, desk: ExportDesk) -> None:
    """A run without files is no month without costs: beside the former run, in its place, or before the first."""
    account.overwrite(FEBRUARY, [row("2026-02-01", "8")])
    account.create_new(MARCH, [row("2026-03-01", "1")])
    await desk.sync()
    account.overwrite(FEBRUARY)
    account.create_new(MARCH)
    account.create_new(JANUARY)
    assert await desk.sync() == []
    assert desk.costs == costs("8", "1")
    assert desk.months == []


async def test_only_focus_is_read(account: Account, desk: ExportDesk) -> None:
    """Exports of other types are no costs beside those of FOCUS, whatever their manifests say of periods."""
    account.create_new(MARCH, [row("2026-03-01", "5")], type="ActualCost", startDate=None)
    with pytest.raises(NeedsPerson, match="exports of type ActualCost, which it does not read") as caught:
        await desk.sync()
    assert caught.value.reason == "NoFiles"

    account.create_new(MARCH, [row("2026-03-01", "1")])
    await desk.sync()
    assert desk.costs == costs("1")


async def test_another_version_takes_the_formers_place(account: Account, desk: ExportDesk) -> None:
    """When an export is set to another version its runs are not added to those before."""
    account.create_new(MARCH, [row("2026-03-01", "1")])
    account.create_new(MARCH, [row("2026-03-01", "1", ServiceProviderName="Microsoft")], dataVersion="1.2-preview")
    await desk.sync()
    assert desk.costs == costs("1")
    async with desk.opened() as connector:
        found = await connector.check()
    assert found.notes[0] == "1 month of 1 scope, delivered last at 2026-03-02T06:00Z, in version 1.2-preview."
    assert found.id == SCOPE.lower()


OTHER = "/providers/Microsoft.Billing/billingAccounts/8608480"


async def test_scopes_that_may_hold_one_another_are_not_added(account: Account, desk: ExportDesk) -> None:
    """A billing account's export beside a subscription's would count twice; one of them can be named."""
    account.create_new(MARCH, [row("2026-03-01", "1")])
    account.create_new(MARCH, [row("2026-03-01", "9")], scope=OTHER)
    with pytest.raises(NeedsPerson, match=r"Name the one to read in azure\.scope") as caught:
        await desk.sync()
    assert caught.value.reason == "InvalidSettings"

    desk.block = {"scope": SCOPE}
    await desk.sync()
    assert desk.costs == costs("1")
    desk.block = {"scope": OTHER}
    await desk.sync()
    assert desk.costs == costs("9")


async def test_scopes_side_by_side_are_added(account: Account, desk: ExportDesk) -> None:
    """Exports of several subscriptions make one Provider, unless one lies in another."""
    account.create_new(MARCH, [row("2026-03-01", "1")])
    account.create_new(MARCH, [row("2026-03-01", "2")], scope=SCOPE.replace("ABC", "DEF"))
    await desk.sync()
    assert desk.costs == costs("1", "2")

    account.create_new(MARCH, [row("2026-03-01", "1")], scope=f"{SCOPE}/resourceGroups/web")
    with pytest.raises(NeedsPerson, match="several scopes"):
        await desk.sync()


async def test_periods_that_overlap_are_not_added(account: Account, desk: ExportDesk) -> None:
    """A quarter's export beside a month's of the same scope would count twice."""
    account.create_new(MARCH, [row("2026-03-01", "1")])
    account.create_new(JANUARY, [row("2026-03-01", "1")], endDate="2026-03-31T00:00:00")
    with pytest.raises(NeedsPerson, match="2026-01-01 to 2026-03-31 and 2026-03-01 to 2026-03-31"):
        await desk.sync()


async def test_a_period_may_end_on_the_next_ones_first_day(account: Account, desk: ExportDesk) -> None:
    """Periods that only touch one another are apart, whichever way their ends are told."""
    account.create_new(FEBRUARY, [row("2026-02-01", "1")], endDate="2026-03-01T00:00:00Z")
    account.create_new(MARCH, [row("2026-03-01", "2")])
    await desk.sync()
    assert desk.costs == costs("1", "2")


async def test_nothing_delivered_yet(account: Account, desk: ExportDesk) -> None:
    """A container without the export is no export without costs."""
    account.put("other/manifest.json", b"{}")
    with pytest.raises(NeedsPerson, match="24 hours; check account, container and prefix") as caught:
        await desk.sync()
    assert caught.value.reason == "NoFiles"


@pytest.mark.parametrize("manifest", [b"{}", b"[]", b'{"exportConfig":{"type":"FocusCost"}}', b"nonsense"])
async def test_manifests_of_another_shape(manifest: bytes, account: Account, desk: ExportDesk) -> None:
    """A manifest of another shape is an error, and no month without costs."""
    account.put(f"{ROOT}/manifest.json", manifest)
    with pytest.raises(Bug):
        await desk.sync()
