"""What connectors tell of accounts and of the price of syncs, as a Provider's status shows it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from reconciler.connectors.base import SyncPrice
from reconciler.errors import RetryLater
from reconciler.kinds.durations import parse
from reconciler.kinds.findings import cost, monthly
from tests.integration.reconciler.conftest import Plant


def usd(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}


async def test_notes_are_shown_short_and_without_secrets(plant: Plant) -> None:
    """However many and long they are, and whatever a vendor repeats in them."""
    plant.books.notes = ("the key good-key ends soon", "x" * 9999, *map(str, range(99)))
    key = plant.put()

    await plant.settle()

    notes = plant.status(key)["account"]["notes"]
    assert notes[0] == "the key *** ends soon"
    assert len(notes) == 8
    assert max(map(len, notes)) == 512


@pytest.mark.parametrize(
    ("interval", "month"),
    [("6h", "2.4"), ("12h", "1.2"), ("1d", "0.6"), ("1d12h", "0.4"), ("7h", "2.06"), ("90d", "0.01")],
)
def test_the_price_of_syncs_is_that_of_the_interval(interval: str, month: str) -> None:
    """Whatever interval the Provider has, a month of thirty days costs as many syncs as it holds."""
    sync = cost(SyncPrice(2, Decimal("0.02")))

    assert monthly(sync, parse(interval)) == {"calls": 2, "perSync": usd("0.02"), "perMonth": usd(month)}
    assert monthly(cost(None), parse(interval)) is None


async def test_the_price_follows_the_interval_even_where_the_sync_fails(plant: Plant) -> None:
    """No price of an interval that is no more the Provider's; and none where calls became free."""
    plant.books.price = SyncPrice(2, Decimal("0.02"))
    key = plant.put(interval="12h")
    await plant.settle()
    plant.put(interval="1d")
    plant.books.fault = lambda _window: RetryLater("not now")
    await plant.settle()
    assert plant.ready(key)[0] == "False"
    assert plant.status(key)["syncCost"]["perMonth"] == usd("0.6")

    plant.books.fault, plant.books.price = lambda _window: None, None
    await plant.settle()
    assert "syncCost" not in plant.status(key)
