"""A Provider over FOCUS files, through the whole engine on a real ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from reconciler.sources.base import Key
from tests.integration.connectors.focus_files import Desk, row, to_csv
from tests.integration.reconciler.conftest import Plant

WINDOWS = "select windows_total, windows_done, rows_read from sync_run where namespace = :ns order by id"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def put(plant: Plant, folder: Path) -> Key:
    """A Provider over every CSV file of the folder."""
    key = plant.put(type="focus", secretRef=None, test=None, focus={"files": ["*.csv"]})
    kept = {name: value for name, value in plant.source.resources[key].spec.items() if value is not None}
    plant.source.put(replace(plant.source.resources[key], spec=kept, folder=folder))
    return key


async def settle(plant: Plant, key: Key) -> tuple[str, str]:
    plant.clock.now += timedelta(hours=7)
    await plant.settle(key)
    return plant.ready(key)


async def test_a_year_of_files(plant: Plant, desk: Desk) -> None:
    """Files come in, change, fail and go; the ledger holds what the readable months say, and status says why."""
    january = desk.put("january.csv", to_csv([row("2026-01-01", "1"), row("2026-01-31", "2")]))
    desk.put("february.csv", to_csv([row("2026-02-01", "10")]))
    key = put(plant, desk.folder)

    assert await settle(plant, key) == ("True", "Succeeded")
    assert await plant.total() == 13

    desk.put("february.csv", to_csv([row("2026-02-01", "20"), row("2026-02-28", "0.000000000001")]))
    desk.put("january.csv", to_csv([row("2026-01-01", "5"), row("2026-01-31", "6", BillingCurrency="?")]))
    assert await settle(plant, key) == ("False", "BadRow")
    assert await plant.total() == Decimal("23.000000000001")
    assert "january.csv, line 3: BillingCurrency is '?'" in str(plant.status(key)["conditions"])

    january.unlink()
    assert await settle(plant, key) == ("True", "Succeeded")
    assert await plant.total() == Decimal("20.000000000001")

    (desk.folder / "february.csv").unlink()
    assert await settle(plant, key) == ("False", "NoFiles")
    assert await plant.total() == Decimal("20.000000000001")


async def test_unchanged_files_cost_nothing(plant: Plant, desk: Desk) -> None:
    """A sync over files that did not change reads no window and no row."""
    desk.put("a.csv", to_csv([row("2026-01-01"), row("2026-01-02")]))
    key = put(plant, desk.folder)
    await settle(plant, key)
    await settle(plant, key)
    assert await plant.rows(WINDOWS) == [(1, 1, 2), (0, 0, 0)]
    assert plant.status(key)["completeThrough"] == "2026-01-01"
