"""The guides of the connectors tell every setting, and their manifests and the examples are good as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reconciler.checks import check
from reconciler.connectors.base import Connector
from reconciler.connectors.registry import BUILT_IN, connectors

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples/connectors"
BUILT = {name: kind for name, kind in connectors().items() if kind.__module__.startswith(BUILT_IN)}


def guide(kind: type[Connector[Any]]) -> str:
    return (ROOT / kind.traits.guide).read_text()


@pytest.mark.parametrize("name", BUILT)
def test_every_setting_is_told_with_its_default(name: str) -> None:
    """The guide's table has a row for every setting, with the default where it is a value, and no other row."""
    rows = dict(re.findall(rf"^\| `{name}\.(\w+)` \|([^|]*)\|", guide(BUILT[name]), re.MULTILINE))
    fields = {field.alias or plain: field for plain, field in BUILT[name].Settings.model_fields.items()}

    assert rows.keys() == fields.keys()
    for alias, field in fields.items():
        if isinstance(field.default, str | int):
            written = json.dumps(field.default).strip('"')
            assert rows[alias].strip("` ") == written, alias


@pytest.mark.parametrize("name", BUILT)
def test_the_manifests_in_a_guide_are_good(name: str, tmp_path: Path) -> None:
    """At least one manifest in the guide declares a Provider of the type, and none has a fault."""
    found = [
        text
        for text in re.findall(r"^```yaml\n(.*?)^```", guide(BUILT[name]), re.MULTILINE | re.DOTALL)
        if "kind: " in text
    ]
    for number, manifest in enumerate(found):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "example.yaml").write_text(manifest)

        assert check(folder) == []
    assert any(f"type: {name}\n" in manifest for manifest in found)


def test_the_examples_are_good_and_wait_to_be_switched_on() -> None:
    """No example has a fault, and none syncs before somebody wants it to."""
    assert check(EXAMPLES) == []
    for example in EXAMPLES.glob("*.yaml"):
        text = example.read_text()
        assert f"type: {example.stem}\n" in text
        assert "  suspend: true\n" in text
        assert BUILT[example.stem].traits.guide in text
