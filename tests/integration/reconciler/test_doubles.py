"""Two Providers over one cloud account, through the whole engine on a real ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from reconciler.connectors.scripted import ScriptedServer
from reconciler.kinds.provider import ProviderStatus
from reconciler.sources.base import Key
from tests.integration.connectors.aws_vendor import KEY_ID, SECRET, Item, Vendor
from tests.integration.connectors.focus_files import row, to_csv
from tests.integration.reconciler.conftest import START, Plant

DAY = START.date() - timedelta(days=3)


def put(plant: Plant, name: str, folder: Path | None = None, **spec: Any) -> Key:
    key = Key("Provider", plant.namespace, name)
    plant.put(name, secretRef={"name": "aws"}, **spec)
    held = plant.source.resources[key]
    meant = {field: value for field, value in held.spec.items() if field != "test"}
    plant.source.put(replace(held, spec=meant, folder=folder))
    return key


def doubled(plant: Plant, key: Key) -> Mapping[str, Any] | None:
    """The condition, and that all is well otherwise; the status is what the CRD takes."""
    ProviderStatus.model_validate_json(json.dumps(plant.status(key)))
    assert plant.ready(key) == ("True", "Succeeded")
    found = [each for each in plant.status(key)["conditions"] if each["type"] != "Ready"]
    assert [each["type"] for each in found] in ([], ["DoubleCounted"])
    return found[0] if found else None


async def test_cost_explorer_beside_a_file_of_aws(plant: Plant, tmp_path: Path) -> None:
    """Each is told of the other at its next look, once by an event, until one of them only attributes."""
    account = str(int(plant.namespace[-9:], 16)).zfill(12)[:12]
    plant.source.secrets[plant.namespace, "aws"] = {"accessKeyID": KEY_ID, "secretAccessKey": SECRET}
    line = row(DAY.isoformat(), "5", SubAccountId=account, ProviderName="Amazon Web Services")
    (tmp_path / "november.csv").write_bytes(to_csv([line]))
    async with ScriptedServer() as server:
        Vendor([Item(DAY, Decimal(5), account=account)]).open(server)
        block = {"source": "costExplorer", "identity": "Secret", "baseURL": server.url}
        explorer = put(plant, "explorer", type="aws", aws=block, interval="12h")
        await plant.settle(explorer)
        assert doubled(plant, explorer) is None
        assert plant.status(explorer)["syncCost"]["perMonth"] == {"amount": "1.2", "currency": "USD"}

        file = put(plant, "file", tmp_path, type="focus", focus={"files": ["*.csv"]})
        await plant.settle(file)
        said = doubled(plant, file)
        assert said is not None
        assert said["reason"] == "SameAccount"
        assert said["message"].startswith(f"AWS account {account} is counted by the Provider explorer, too. Totals")
        assert doubled(plant, explorer) is None
        for _ in range(2):
            await plant.settle(explorer)
        assert str((doubled(plant, explorer) or {})["message"]).startswith(f"AWS account {account} is counted by")
        told = [(key.name, event.type) for key, event in plant.source.events if event.reason == "SameAccount"]
        assert told == [("file", "Warning"), ("explorer", "Warning")]

        put(plant, "file", tmp_path, type="focus", focus={"files": ["*.csv"]}, attributionOnly=True)
        await plant.settle(file)
        await plant.settle(explorer)
        assert [doubled(plant, file), doubled(plant, explorer)] == [None, None]


async def test_a_provider_that_cannot_be_looked_at_stays_told(plant: Plant, tmp_path: Path) -> None:
    """A manifest that is refused takes no condition away whose cause is still there; suspending keeps it, too."""
    account = f"1{int(plant.namespace[-9:], 16)}".zfill(12)[:12]
    (tmp_path / "november.csv").write_bytes(
        to_csv([row(DAY.isoformat(), "5", SubAccountId=account, ProviderName="AWS")])
    )
    block = {"type": "focus", "focus": {"files": ["*.csv"]}}
    plant.source.secrets[plant.namespace, "aws"] = {"apiKey": "x"}
    one, two = put(plant, "one", tmp_path, **block), put(plant, "two", tmp_path, **block)
    for key in (one, two, one):
        await plant.settle(key)
    assert doubled(plant, one) is not None

    for change, reason in (({"history": "0d"}, "InvalidSettings"), ({"suspend": True}, "Suspended")):
        put(plant, "one", tmp_path, **block, **change)
        await plant.settle(one)
        assert plant.ready(one) == ("False", reason)
        assert "DoubleCounted" in [each["type"] for each in plant.status(one)["conditions"]]
