"""A connector of a third party: a package that is built, installed, found and run, by programs of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.command.conftest import open_folder

MANIFEST = """\
apiVersion: costhook.io/v1alpha1
kind: Provider
metadata: {name: days}
spec:
  type: tally
  history: 3d
  settings: {perDay: "0.1000000000000000000001", currency: EUR}
"""


@dataclass(frozen=True)
class Place:
    """A folder with the package installed beside Costhook, and manifests."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "manifests" / "days.yaml"

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Costhook in a process of its own, which finds what is installed."""
        path = os.pathsep.join(filter(None, (str(self.folder / "site"), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", "costhook", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
        )


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with open_folder() as folder:
        shutil.copytree(Path(__file__).parent / "tally", folder / "package")
        uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--python", sys.executable]
        options = ["--no-deps", "--no-build-isolation", "--no-cache", "--target", str(folder / "site")]
        subprocess.run([*uv, *options, str(folder / "package")], check=True)
        found = Place(folder)
        found.file.parent.mkdir()
        found.file.write_text(MANIFEST)
        yield found


def test_it_is_really_installed(place: Place) -> None:
    """The package lies beside Costhook as any other does, with its metadata; this process knows nothing of it."""
    assert (place.folder / "site/costhook_tally-1.2.3.dist-info/entry_points.txt").is_file()
    with pytest.raises(ModuleNotFoundError):
        __import__("costhook_tally")


def test_it_is_listed(place: Place) -> None:
    """`costhook connectors` finds it by its entry point, beside the built-in ones, and nothing is broken."""
    answer = place.run("connectors", "--json")

    said = json.loads(answer.stdout)
    listed = {each["type"]: each for each in said["connectors"]}
    assert listed["tally"]["title"] == "Tally"
    assert "openai" in listed
    assert said["broken"] == {}


def test_its_settings_are_checked(place: Place) -> None:
    """`costhook check` reads spec.settings by its model, and names the line of what is wrong."""
    assert place.run("check", place.file.parent).returncode == 0
    wrong = place.folder / "wrong"
    wrong.mkdir()
    (wrong / "days.yaml").write_text(MANIFEST.replace("perDay", "perday"))
    answer = place.run("check", wrong)

    assert answer.returncode == 1
    assert "days.yaml:7 spec.settings.perday: unknown field; did you mean perDay?" in answer.stdout


def test_it_is_run(place: Place) -> None:
    """A manifest of its type is tried, with the settings of spec.settings."""
    answer = place.run("try", place.file, "--from", "2026-03-01", "--to", "2026-03-04", "--json")

    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["totals"] == [{"currency": "EUR", "amount": "0.3000000000000000000003"}]


def test_it_is_synced(place: Place) -> None:
    """`costhook up` stores what it yields, and shows it like any other."""
    answer = place.run("up", place.file.parent, "--once", "--json", "--state", place.folder / "state")

    assert answer.returncode == 0, answer.stderr
    [row] = json.loads(answer.stdout)
    assert (row["type"], row["ready"], row["reason"]) == ("tally", "True", "Succeeded")
    assert row["figures"][0]["total"] == "0.4000000000000000000004"


def test_without_the_package_the_type_is_unknown(place: Place, tmp_path: Path) -> None:
    """Costhook alone does not know the type, and says which it knows."""
    command = [sys.executable, "-m", "costhook", "try", str(place.file)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert answer.returncode == 1
    assert "there is no connector 'tally'" in answer.stderr
