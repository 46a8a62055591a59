"""Suspending, removing and renaming: what stays in the ledger and what goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from reconciler.sources.base import Key
from tests.integration.reconciler.conftest import START, Plant

TODAY = START.date()


def _day(back: int) -> date:
    return TODAY - timedelta(days=back)


async def test_suspend_stops_and_keeps(plant: Plant) -> None:
    """Nothing is asked of the vendor; what was read stays."""
    plant.books.bills = {_day(1): ["1"]}
    key = plant.put()
    await plant.settle()
    plant.books.read.clear()
    plant.put(suspend=True)

    await plant.settle()

    assert plant.ready(key) == ("False", "Suspended")
    assert plant.books.read == []
    assert await plant.total() == 1


async def test_a_removed_provider_keeps_its_history(plant: Plant) -> None:
    """Retain, the default: the account is marked as deleted and its charges stay."""
    plant.books.bills = {_day(1): ["1"]}
    key = plant.put()
    await plant.settle()
    plant.source.remove(key)

    await plant.settle(key)

    assert await plant.total() == 1
    assert await plant.rows("select deleted_at from provider where namespace = :ns") == [(START,)]


async def test_delete_removes_every_row(plant: Plant) -> None:
    """deletionPolicy: Delete leaves nothing of the provider in any table, also when it went unwatched."""
    plant.books.bills = {_day(1): ["1"]}
    key = plant.put(deletionPolicy="Delete")
    await plant.settle()
    plant.books.bills = {_day(1): ["2"]}
    await plant.settle()
    del plant.source.resources[key]

    await plant.settle(Key("Provider", plant.namespace, "another"))

    summed = ("daily_cost", "daily_service_cost")
    for table in ("charge", "charge_history", *summed, "piece", "sync_run", "restatement", "vendor_call"):
        assert await plant.rows(f"select count(*) from {table} where namespace = :ns") == [(0,)], table
    assert await plant.rows("select count(*) from provider where namespace = :ns") == [(0,)]
    assert await plant.rows("select count(*) from resource where namespace = :ns") == [(0,)]


async def test_a_manifest_that_cannot_be_read_is_not_gone(plant: Plant) -> None:
    """A broken file must not delete what it declares."""
    key = plant.put(deletionPolicy="Delete")
    plant.books.bills = {_day(1): ["1"]}
    await plant.settle()
    plant.source.held_back.add("vendor.yaml:1")
    del plant.source.resources[key]

    await plant.settle(key)

    assert await plant.total() == 1


async def test_a_manifest_that_broke_is_told_and_changes_nothing(plant: Plant) -> None:
    """What was last good goes on being synced; the status says what is wrong with the manifest now."""
    plant.books.bills = {_day(1): ["1"]}
    key = plant.put()
    await plant.settle()
    plant.books.bills = {_day(1): ["2"]}
    plant.source.put(replace(plant.source.resources[key], wrong="vendor.yaml:7 spec.intervall: unknown field"))

    await plant.settle()

    assert plant.ready(key) == ("False", "InvalidSettings")
    assert "vendor.yaml:7" in plant.status(key)["conditions"][0]["message"]
    assert await plant.total() == 2
    plant.source.put(replace(plant.source.resources[key], wrong=None))
    await plant.settle()
    assert plant.ready(key) == ("True", "Succeeded")


async def test_another_kind_cannot_take_the_name(plant: Plant) -> None:
    """Both would feed the ledger under it."""
    plant.put()
    await plant.settle()
    entry = {"name": "seat", "serviceName": "Seats", "amount": "10.00", "start": "2026-11-01"}
    key = plant.put("vendor", kind="ManualCost", currency="USD", entries=[entry])

    await plant.settle(key)

    assert plant.ready(key) == ("False", "NameTaken")
