"""What the image and the Compose file promise, as far as their text shows it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LINES = [
    line.partition(" ")[::2]
    for line in (ROOT / "Dockerfile").read_text().splitlines()
    if line and not line.startswith("#")
]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def _all(instruction: str) -> list[str]:
    return [rest for name, rest in LINES if name == instruction]


def test_the_base_is_pinned_by_digest() -> None:
    """Every stage begins with one base, whose digest has to be named; there is no default to fall back to."""
    assert {rest.split()[0] for rest in _all("FROM")} == {"${PYTHON}@${PYTHON_DIGEST}"}
    assert "PYTHON_DIGEST" in _all("ARG")


def test_the_image_runs_as_nobody_in_particular() -> None:
    """The last user is a number other than root's, so that a cluster can tell; nothing follows that needs more."""
    assert _all("USER") == ["65532:65532"]
    after = [name for name, _ in LINES][[name for name, _ in LINES].index("USER") :]
    assert set(after) == {"USER", "WORKDIR", "ENTRYPOINT"}


def test_the_entry_point_is_the_command() -> None:
    """Arguments of the container are arguments of `costhook`."""
    assert [json.loads(rest) for rest in _all("ENTRYPOINT")] == [["costhook"]]
    assert _all("CMD") == []


@pytest.mark.parametrize("line", _all("RUN"))
def test_no_step_goes_through_a_shell(line: str) -> None:
    """Every step is a list of words, so that no failure inside a pipe goes unseen."""
    assert json.loads(line)


def test_nothing_is_fetched_or_unpacked_on_the_way() -> None:
    """Files come by COPY from what .dockerignore lets through, and libraries with the hashes of the lock."""
    assert _all("ADD") == []
    pips = [json.loads(line) for line in _all("RUN") if "pip" in line]
    assert all("--require-hashes" in each or "--no-deps" in each for each in pips)
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    wanted = {
        word.removeprefix("./") for rest in _all("COPY") if "--from" not in rest for word in shlex.split(rest)[:-1]
    }
    assert wanted == sent
    assert all((ROOT / name).exists() for name in wanted)


def test_paths_do_not_depend_on_where_a_stage_begins() -> None:
    """Working directories are absolute and named before relative destinations; nothing changes them by `cd`."""
    assert all(rest.startswith("/") for rest in _all("WORKDIR"))
    placed = False
    for name, rest in LINES:
        placed = (placed and name != "FROM") or name == "WORKDIR"
        if name in ("COPY", "ADD"):
            assert placed or shlex.split(rest)[-1].startswith("/"), rest
    assert not any(word in ("cd", "sudo", "sh", "bash") for line in _all("RUN") for word in json.loads(line))


def test_stages_are_named_once_and_before_they_are_used() -> None:
    """COPY --from names a stage above it, and no stage of the same name comes twice."""
    known: list[str] = []
    for name, rest in LINES:
        words = rest.split()
        if name == "FROM" and "AS" in words:
            known.append(words[-1])
        sources = [word.removeprefix("--from=") for word in words if word.startswith("--from=")]
        assert set(sources) <= set(known), rest
    assert len(known) == len(set(known))


def test_every_instruction_is_one_that_is_meant_to_be_used() -> None:
    """No deprecated instruction, one entry point, and no setting that is a secret."""
    assert {name for name, _ in LINES} <= {
        "ARG",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "FROM",
        "LABEL",
        "RUN",
        "USER",
        "VOLUME",
        "WORKDIR",
    }
    assert len(_all("ENTRYPOINT")) == 1
    named = " ".join([*_all("ENV"), *_all("ARG"), *_all("LABEL")]).lower()
    assert not any(word in named for word in ("password", "secret", "token", "apikey"))
    assert "PIP_NO_CACHE_DIR=1" in " ".join(_all("ENV"))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    """Read-only root, no capabilities, no new privileges, not root."""
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["user"] == _all("USER")[0]
    assert {volume.partition(":")[0] for volume in service["volumes"] if not volume.startswith("$")} <= set(
        COMPOSE["volumes"]
    )
