"""The guides of the kinds tell every field, with its default, and their examples are good."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from reconciler.checks import check
from reconciler.kinds.catalogue import kinds
from reconciler.kinds.provider import built_in
from reconciler.kinds.structural import structural

DOCS = Path(__file__).parents[3] / "docs/kinds"
KINDS = kinds()
LISTED = {"entries", "rules"}
"""Lists whose items' fields stand in the tables as well."""


def page(name: str) -> str:
    return (DOCS / f"{name.lower()}.md").read_text()


def rows(name: str) -> dict[str, list[str]]:
    """The other cells of every row of the page's tables, by each of the names in its first cell."""
    found = {}
    for line in page(name).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            found.update(dict.fromkeys(re.findall("`([^`]+)`", cells[0]), cells[1:]))
    return found


def told(properties: dict[str, Any]) -> set[str]:
    """Fields as the guides name them: those of small blocks with a point, those of lists by themselves."""
    names = set()
    for name, schema in properties.items():
        inner = schema.get("properties", {})
        names |= {f"{name}.{below}" for below in inner} if inner and len(inner) <= 2 else {name}
    return names


@pytest.mark.parametrize("name", KINDS)
def test_every_field_of_the_spec_is_told(name: str) -> None:
    """Each field stands in a table, and each row is a field."""
    spec = dict(KINDS[name].schema["properties"])
    blocks = built_in().keys() & spec.keys()
    fields = told({field: schema for field, schema in spec.items() if field not in blocks}) | blocks
    for listed in LISTED & spec.keys():
        fields |= told(spec[listed]["items"]["properties"])
    status = told({f: s for f, s in structural(KINDS[name].status)["properties"].items() if f != "conditions"})
    conditions = {"conditions", "Ready", "Reconciling", "Stalled", "DoubleCounted"}

    assert rows(name).keys() - conditions == (fields | status) - conditions


@pytest.mark.parametrize("name", KINDS)
def test_the_defaults_are_those_of_the_model(name: str) -> None:
    """Where a guide names a default, a resource that says nothing gets it; required fields are called so."""
    schema: dict[str, Any] = dict(KINDS[name].schema)
    levels = [schema, *(schema["properties"].get(listed, {}).get("items", {}) for listed in LISTED)]
    table = rows(name)
    for level in levels:
        for field, inner in level.get("properties", {}).items():
            if "default" in inner:
                shown = inner["default"] if isinstance(inner["default"], str) else str(inner["default"]).lower()
                assert table[field][0] == f"`{shown}`", field
            elif field in level.get("required", ()):
                assert table[field][0] == "required", field


@pytest.mark.parametrize("name", KINDS)
def test_the_examples_are_good(name: str, tmp_path: Path) -> None:
    """Every manifest in a guide passes the check as it is."""
    examples = re.findall(r"^```yaml\n(.*?)^```", page(name), re.MULTILINE | re.DOTALL)
    for number, example in enumerate(examples):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "example.yaml").write_text(example)

        assert check(folder) == []
    assert examples
