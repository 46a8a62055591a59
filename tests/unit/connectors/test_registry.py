"""Connectors are found by entry point; broken packages harm nobody else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import pytest

from reconciler.connectors.registry import GROUP, Registry, broken, connector, connectors, installed
from reconciler.errors import NeedsPerson

GOOD = """
from collections.abc import AsyncIterator
from datetime import timedelta
from reconciler.connectors.base import Account, Connector, Settings, Traits

def traits(type_):
    return Traits(type=type_, title="T", origin="api", gives="g", grain="Day", reach=None,
                  settling=timedelta(0), moving=timedelta(0))

class Good(Connector[Settings]):
    traits = traits("{good}")
    Settings = Settings

    async def check(self):
        return Account()

    async def charges(self, window):
        yield []

class Misnamed(Good):
    traits = traits("other")

class Bare(Connector[Settings]):
    traits = traits("{bare}")

def function():
    pass
"""

ENTRIES = """[costhook.connectors]
tp-good = tp_good:Good
tp-bare = tp_good:Bare
tp-misnamed = tp_good:Misnamed
tp-function = tp_good:function
tp-missing = tp_good:Missing
tp-raises = tp_raises:Anything
tp-absent = tp_absent:Anything
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The registry of a machine on which one third party's package is installed, half of it broken."""
    (tmp_path / "tp_good.py").write_text(GOOD.replace("{good}", "tp-good").replace("{bare}", "tp-bare"))
    (tmp_path / "tp_raises.py").write_text("raise RuntimeError('no such license')")
    info = tmp_path / "tp-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tp\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = [entry for package in distributions(path=[str(tmp_path)]) for entry in package.entry_points]
    yield Registry(entry for entry in found if entry.group == GROUP)
    for name in ("tp_good", "tp_raises"):
        sys.modules.pop(name, None)


def test_nothing_is_loaded_before_it_is_asked_for(registry: Registry) -> None:
    """Knowing the types imports no connector; asking for one imports that one."""
    assert "tp-raises" in registry.types
    assert "tp_good" not in sys.modules

    assert registry.connector("tp-good").traits.type == "tp-good"
    assert "tp_good" in sys.modules


def test_broken_ones_take_no_other_down(registry: Registry) -> None:
    """Whatever is wrong with an entry point is reported under its type, and the good ones are there."""
    assert list(registry.connectors()) == ["tp-good"]
    assert registry.broken() == {
        "tp-absent": "ModuleNotFoundError: No module named 'tp_absent'",
        "tp-bare": "BrokenEntry: its Settings must be a subclass of reconciler.connectors.base.Settings",
        "tp-function": registry.broken()["tp-function"],
        "tp-misnamed": "BrokenEntry: its traits must say type 'tp-misnamed', as its entry point does",
        "tp-missing": "AttributeError: module 'tp_good' has no attribute 'Missing'",
        "tp-raises": "RuntimeError: no such license",
    }
    assert "is no subclass of Connector" in registry.broken()["tp-function"]


def test_a_broken_one_says_why(registry: Registry) -> None:
    """A Provider of a broken type is told what the package's error was."""
    with pytest.raises(NeedsPerson, match="'tp-raises' cannot be loaded: RuntimeError: no such license") as caught:
        registry.connector("tp-raises")
    assert caught.value.reason == "BrokenConnector"


def test_an_unknown_type_names_the_known(registry: Registry) -> None:
    """A mistyped type is answered by the type that was probably meant, and by all there are."""
    with pytest.raises(
        NeedsPerson, match=r"no connector 'TP-god'\. Did you mean 'tp-good'\? Known types: tp-absent, tp-bare"
    ) as caught:
        registry.connector("TP-god")
    assert caught.value.reason == "UnknownType"


def test_an_unknown_type_like_no_other() -> None:
    """Nothing is guessed where nothing is near."""
    with pytest.raises(NeedsPerson, match=r"no connector 'zzz'\. Known types: none"):
        Registry([]).connector("zzz")


def test_a_type_that_two_packages_offer() -> None:
    """Neither of two packages wins by chance: the type is reported as broken, with both."""
    registry = Registry([EntryPoint("x", "one:A", GROUP), EntryPoint("x", "two:B", GROUP)])

    assert registry.broken() == {"x": "BrokenEntry: several packages offer it: one:A, two:B"}


def test_an_entry_that_is_found_twice(registry: Registry) -> None:
    """A package that is on the path twice, as editable installs are, offers its connectors once."""
    entry = EntryPoint("tp-good", "tp_good:Good", GROUP)

    assert Registry([entry, entry]).connector("tp-good").traits.type == "tp-good"


def test_a_built_in_type_cannot_be_taken_over() -> None:
    """A package that offers a connector under a built-in's name does not get to see its credentials."""
    mine = EntryPoint("openai", "reconciler.connectors.openai:OpenAI", GROUP)
    registry = Registry([EntryPoint("openai", "evil:OpenAI", GROUP), mine])

    assert registry.connector("openai").__module__.startswith("reconciler.connectors.openai")


def test_the_built_in_connectors_are_installed() -> None:
    """The connectors that this package declares can be loaded, all of them."""
    assert {"anthropic", "focus", "openai"} <= set(connectors())
    assert not broken()
    assert connector("openai") is installed().connector("openai")
