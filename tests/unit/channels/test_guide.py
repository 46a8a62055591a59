"""The guide to channels shows what works: each type, its manifests, and how a signature is checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.channels.registry import CHANNELS
from reconciler.channels.webhook import signature
from reconciler.checks import check
from reconciler.kinds.channel import channel_spec
from reconciler.kinds.shape import faults
from tests.unit.channels.messages import NOW

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = DOCS.parent / "examples/channels"
GUIDE = (DOCS / "channels.md").read_text()


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_every_type_has_its_section_and_names_its_keys(name: str) -> None:
    """Where a type's traits send the reader there is a section, which names every key of its Secret."""
    path, _, anchor = CHANNELS[name].traits.guide.partition("#")
    section = GUIDE.partition(f"\n## {anchor}\n")[2].partition("\n## ")[0]
    row = next(line for line in GUIDE.splitlines() if line.startswith(f"| [{name}](#{name})"))

    assert path == "docs/channels.md"
    assert section
    assert not [key.name for key in CHANNELS[name].traits.credentials if key.name not in section + row]


def test_every_manifest_is_good() -> None:
    """Each Channel in the guide can be applied as it is."""
    manifests: list[Any] = [found for text in fences("yaml") if "kind" in (found := yaml.safe_load(text))]

    assert len(manifests) >= 5
    for manifest in manifests:
        assert faults(channel_spec(), manifest["spec"]) == [], manifest["metadata"]["name"]


def test_every_type_has_an_example_that_passes_the_check() -> None:
    """One file for each type, as good as `costhook check` wants it."""
    assert {path.stem for path in EXAMPLES.iterdir()} == CHANNELS.keys()
    assert check(EXAMPLES) == []


def test_receivers_can_check_signatures_as_the_guide_says() -> None:
    """The guide's function takes a genuine message, and refuses another body, another key and an old message."""
    (code,) = fences("python")
    scope: dict[str, Any] = {}
    exec(code, scope)  # noqa: S102 - the guide's own code is what is tested
    is_genuine = scope["is_genuine"]
    header, now = signature(["old-key", "s3cret"], NOW, b"{}"), NOW.timestamp()

    assert is_genuine(header, b"{}", b"s3cret", now + 299)
    assert is_genuine(header, b"{}", b"old-key", now)
    assert not is_genuine(header, b"{} ", b"s3cret", now)
    assert not is_genuine(header, b"{}", b"another", now)
    assert not is_genuine(header, b"{}", b"s3cret", now + 301)
