"""A Provider over Google's export, through the whole engine on a real ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.sources.base import Key
from tests.integration.connectors.gcp_vendor import TABLE, Item, Vendor, refusal, service_account
from tests.integration.reconciler.conftest import START, Plant

WINDOWS = "select windows_total, windows_done from sync_run where namespace = :ns order by id"
INVOICES = """
select extra ->> 'x_invoice_month', sum(billed_cost) from charge where namespace = :ns group by 1 order by 1
"""


@pytest.fixture
def vendor() -> Vendor:
    """A Google with a month of days, each of which cost 1."""
    days = [START.date() - timedelta(days=ago) for ago in range(1, 31)]
    return Vendor([Item(day, Decimal(1), exported=START - timedelta(hours=3), invoice="202611") for day in days])


def put(plant: Plant, url: str) -> Key:
    plant.source.secrets[plant.namespace, "google"] = {"serviceAccountKey": service_account()}
    block = {"export": "standard", "table": TABLE, "identity": "Secret", "baseURL": url}
    key = plant.put("google", type="gcp", gcp=block, secretRef={"name": "google"}, test=None, history="40d")
    kept = {name: value for name, value in plant.source.resources[key].spec.items() if value is not None}
    plant.source.put(replace(plant.source.resources[key], spec=kept))
    return key


async def settle(plant: Plant, key: Key) -> tuple[str, str]:
    plant.clock.now += timedelta(hours=7)
    await plant.settle(key)
    return plant.ready(key)


async def test_an_unchanged_table_costs_one_query(plant: Plant, vendor: Vendor) -> None:
    """No window is read, days become whole as far as Google has exported, and status has the price."""
    async with ScriptedServer() as server:
        vendor.open(server)
        key = put(plant, server.url)
        assert await settle(plant, key) == ("True", "Succeeded")
        assert await settle(plant, key) == ("True", "Succeeded")
        assert await plant.rows(WINDOWS) == [(1, 1), (0, 0)]
        assert await plant.total("google") == 30
        assert plant.status(key)["completeThrough"] == "2026-11-18"
        assert plant.status(key)["syncCost"]["perSync"] == {"amount": "0.00006", "currency": "USD"}


async def test_corrections_are_not_lost_on_the_way(plant: Plant, vendor: Vendor) -> None:
    """A sync that fails between two windows leaves the second for the next one, which no new row announces."""
    later = datetime(2026, 11, 23, 9, tzinfo=UTC)
    old = START.date() - timedelta(days=25)
    answers = vendor._query

    def failing(request: Request) -> Reply:
        question = request.json()
        is_old = any(each["parameterValue"]["value"].startswith(str(old)) for each in question["queryParameters"])
        return refusal("odd", "no") if is_old else answers(request)

    async with ScriptedServer() as server:
        vendor.open(server)
        key = put(plant, server.url)
        await settle(plant, key)
        vendor.items += [
            Item(old, Decimal("-0.4"), exported=later, invoice="202612"),
            Item(later.date(), Decimal(2), exported=later, invoice="202611"),
        ]
        plant.clock.now = later
        vendor._query = failing  # type: ignore[method-assign]  # it fails half-way
        vendor.open(server)
        assert await settle(plant, key) == ("False", "Forbidden")
        assert await plant.rows(INVOICES) == [("202611", 32)]

        vendor._query = answers  # type: ignore[method-assign]  # it is well again
        vendor.open(server)
        assert await settle(plant, key) == ("True", "Succeeded")
        assert await plant.rows(INVOICES) == [("202611", 32), ("202612", Decimal("-0.4"))]
        assert (await plant.rows(WINDOWS))[-1] == (1, 1)
        assert plant.status(key)["completeThrough"] == "2026-11-20"
