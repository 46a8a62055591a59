"""What the chart's files say of one another."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from charts.document import CHART, documents, schema, values

KNOWN = list(values((CHART / "values.yaml").read_text()))


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_what_is_made_is_up_to_date(path: Any) -> None:
    """README, schema and CRDs of the chart are as `make chart` writes them now."""
    assert path.read_text() == documents()[path]


def test_every_value_is_explained() -> None:
    """Every value has a comment of its own, or lies in one that has."""

    def leaves(tree: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        if not isinstance(tree, dict) or not tree:
            return [path]
        return [leaf for name, inner in tree.items() for leaf in leaves(inner, (*path, name))]

    explained = {value.path for value in KNOWN} | {("settings",)}
    unexplained = [
        leaf
        for leaf in leaves(yaml.safe_load((CHART / "values.yaml").read_text()))
        if not any(leaf[: len(path)] == path for path in explained)
    ]

    assert unexplained == []


def test_every_value_is_used() -> None:
    """Every value, or one that it lies in, is named in a template."""
    templates = "\n".join(path.read_text() for path in (CHART / "templates").iterdir())

    unused = [".".join(value.path) for value in KNOWN if f".{value.path[-1]}" not in templates]

    assert unused == []


def test_the_schema_refuses_what_is_not_known() -> None:
    """No object of the schema with known fields lets others pass."""

    def open_objects(part: Any) -> list[Any]:
        if not isinstance(part, dict):
            return []
        here = [part] if part.get("properties") and part.get("additionalProperties") is not False else []
        return here + [found for inner in part.values() for found in open_objects(inner)]

    assert open_objects(json.loads(schema(KNOWN))) == []
