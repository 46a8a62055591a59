"""The example in docs/adding-a-connector.md works as it stands: its code, its entry point and its manifest."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from reconciler.connectors.registry import GROUP, Registry

PAGE = (Path(__file__).parents[3] / "docs/adding-a-connector.md").read_text()
FILE = re.compile(r"^```python (\w+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def fences(language: str) -> list[str]:
    """The code of every block of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def example(folder: Path) -> dict[str, Any]:
    """The modules of the page by name, imported from files in `folder`."""
    sources = {name.removesuffix(".py"): code for name, code in FILE.findall(PAGE)}
    for name, code in sources.items():
        (folder / f"{name}.py").write_text(code)
    sys.path.insert(0, str(folder))
    pytest.register_assert_rewrite(*sources)
    try:
        return {name: importlib.import_module(name) for name in sources}
    finally:
        sys.path.remove(str(folder))


with TemporaryDirectory() as _folder:
    MODULES = example(Path(_folder))

if TYPE_CHECKING:
    from reconciler.connectors.conformance import ConnectorConformance as Example
else:
    Example = MODULES["test_acme"].TestAcme


class TestAcme(Example):
    """Acme, the example, passes the suite that every connector passes."""


def test_the_entry_point_names_the_connector() -> None:
    """The package of the page offers its connector under the type that the traits say."""
    (declared,) = (tomllib.loads(code)["project"]["entry-points"][GROUP] for code in fences("toml"))
    registry = Registry(EntryPoint(name, value, GROUP) for name, value in declared.items())

    assert registry.connector("acme") is MODULES["acme"].Acme
    assert not registry.broken()


def test_the_manifest_fits_the_settings() -> None:
    """The Provider of the page has settings that the connector accepts, and names the Secret beside it."""
    (manifests,) = (list(yaml.safe_load_all(code)) for code in fences("yaml"))
    secret, provider = manifests
    settings = MODULES["acme"].Acme.Settings.model_validate(provider["spec"]["settings"])

    assert settings == MODULES["acme"].AcmeSettings()
    assert provider["spec"]["type"] == MODULES["acme"].Acme.traits.type
    assert provider["spec"]["secretRef"]["name"] == secret["metadata"]["name"]
    assert list(secret["stringData"]) == [key.name for key in MODULES["acme"].Acme.traits.credentials]
