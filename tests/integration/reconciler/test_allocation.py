"""Allocations under the reconciler: when their rules are in force, and what becomes of two for one dimension."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.sources.base import Key
from tests.integration.reconciler.conftest import Plant

RULES = [{"match": {"services": ["api"]}, "value": "platform"}]
SHARED: dict[str, Any] = {"split": "Proportional"}


def in_force(plant: Plant, key: Key) -> Any:
    return plant.status(key).get("inForceGeneration")


async def test_good_rules_are_in_force(plant: Plant) -> None:
    """An Allocation is ready as soon as its rules are read, and so is each change of them."""
    key = plant.put("teams", "Allocation", dimension="team", rules=RULES)
    await plant.settle()
    assert plant.ready(key) == ("True", "Current")
    first = in_force(plant, key)

    plant.put("teams", "Allocation", dimension="team", rules=[*RULES, SHARED])
    await plant.settle()
    assert (first, in_force(plant, key)) == (1, 2)


async def test_rules_that_are_wrong_are_not_in_force(plant: Plant) -> None:
    """A spec that says nothing definite allocates nothing, and the condition says what to do."""
    key = plant.put("teams", "Allocation", dimension="team", rules=RULES)
    await plant.settle()
    plant.put("teams", "Allocation", dimension="team", rules=[{"value": "x", "split": "Proportional"}])
    await plant.settle()

    assert plant.ready(key) == ("False", "InvalidSettings")
    assert in_force(plant, key) != plant.status(key)["observedGeneration"]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
async def test_one_allocation_for_a_dimension(plant: Plant, names: tuple[str, str]) -> None:
    """The first by name is in force, whichever came first; the other says so, and takes over when it goes."""
    for name in names:
        plant.put(name, "Allocation", dimension="team", rules=RULES)
        await plant.settle()
    first, second = (Key("Allocation", plant.namespace, name) for name in ("a", "b"))

    assert (plant.ready(first), plant.ready(second)) == (("True", "Current"), ("False", "DimensionTaken"))
    assert (in_force(plant, first), in_force(plant, second)) == (1, None)

    plant.source.remove(first)
    await plant.settle(first)
    assert plant.ready(second) == ("True", "Current")
    assert in_force(plant, second) == 1


async def test_dimensions_and_namespaces_do_not_meet(plant: Plant) -> None:
    """Another dimension is another matter."""
    keys = [plant.put(name, "Allocation", dimension=name, rules=RULES) for name in ("team", "product")]
    await plant.settle()

    assert [plant.ready(key) for key in keys] == [("True", "Current")] * 2
