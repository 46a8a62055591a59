"""The rules of the house that no other tool checks: layers of single modules, locked versions, sizes, the guard."""

from __future__ import annotations

import ast
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {contract["name"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
DOMAIN = CONTRACTS["What a charge, a window and an amount are needs the standard library alone."]["source_modules"]
PRODUCT = ("api", "ledger", "migrations", "reconciler")
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-emulators.txt")
PIN = re.compile(r"(\S+==[^ \\]+(?: ; [^\\]+)?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


def modules() -> Iterator[Path]:
    """Every Python file of the project."""
    yield ROOT / "costhook.py"
    for folder in (*PRODUCT, "tests"):
        yield from (ROOT / folder).rglob("*.py")


def imported(path: Path) -> set[str]:
    """Full names of the modules that the file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
    return names


def pins(lock: str) -> dict[str, Requirement]:
    """Every pinned requirement of a lock file by name."""
    found = (Requirement(match[1].strip()) for match in PIN.finditer((ROOT / lock).read_text()))
    return {requirement.name: requirement for requirement in found}


@pytest.mark.parametrize("module", DOMAIN)
def test_domain_modules_import_only_the_standard_library(module: str) -> None:
    """A domain module imports the standard library and other domain modules, and nothing else at all."""
    names = imported(ROOT / f"{module.replace('.', '/')}.py")

    assert not {name for name in names if name not in DOMAIN and name.partition(".")[0] not in sys.stdlib_module_names}


@pytest.mark.parametrize("library", ["asyncpg", "graphql", "kopf", "sqlalchemy", "starlette", "strawberry"])
def test_the_command_leaves_libraries_to_their_rooms(library: str) -> None:
    """costhook.py puts rooms together and uses none of the libraries that belong to one room."""
    assert library not in {name.partition(".")[0] for name in imported(ROOT / "costhook.py")}


def test_every_contract_of_the_layers_is_a_sentence() -> None:
    """A broken layer is reported in words that say what the rule is."""
    assert all(name[0].isupper() and name.endswith(".") for name in CONTRACTS)


def test_no_module_grows_past_what_can_be_read_at_once() -> None:
    """No module has more than 400 lines."""
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}

    assert not {name: lines for name, lines in lengths.items() if lines > 400}


@pytest.mark.parametrize("name", PROJECT["project"]["entry-points"]["costhook.connectors"])
def test_a_connector_is_one_module_one_test_module_and_one_guide(name: str) -> None:
    """Every built-in connector has its module, its tests and its guide where everybody expects them."""
    assert find_spec(f"reconciler.connectors.{name}")
    assert (ROOT / f"docs/connectors/{name}.md").is_file()
    assert list((ROOT / "tests").glob(f"*/connectors/test_{name}.py"))


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_name_no_address_and_no_path(lock: str) -> None:
    """A lock file installs from any mirror: it holds nothing that could be an address or a path."""
    assert "/" not in (ROOT / lock).read_text()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_version_has_hashes(lock: str) -> None:
    """Besides comments, a lock file holds exact versions with hashes and nothing else."""
    assert not re.sub(r" *#.*\n", "", PIN.sub("", (ROOT / lock).read_text()))


@pytest.mark.parametrize(("lock", "group"), [("requirements.txt", "install"), ("requirements-dev.txt", "dev")])
def test_locks_hold_what_the_project_declares(lock: str, group: str) -> None:
    """Every declared dependency is locked, in a version that the declaration allows."""
    groups = PROJECT["dependency-groups"]
    declared = PROJECT["project"]["dependencies"] + groups["install"] + groups[group]
    locked = pins(lock)

    for requirement in (Requirement(text) for text in declared if isinstance(text, str)):
        version = str(locked[requirement.name].specifier).removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement}: run `make lock`"


def test_development_runs_the_versions_that_run_in_production() -> None:
    """requirements-dev.txt repeats requirements.txt to the letter and only adds to it."""
    run, dev = pins("requirements.txt"), pins("requirements-dev.txt")

    assert run.items() <= dev.items()


def test_no_lock_records_addresses_and_no_file_asks_for_one_python() -> None:
    """There is no uv.lock, which records registries, and no .python-version, which makes uv download one."""
    assert not (ROOT / "uv.lock").exists()
    assert not (ROOT / ".python-version").exists()


def test_help_lists_every_target() -> None:
    """`make help` has a line for every target a person may call."""
    answer = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)

    targets = set(re.findall(r"^\.PHONY: (\w+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^  make (\w+) +\S", answer.stdout, re.MULTILINE)) == targets
    assert targets >= set("install up test lint bench schema crds docs clean lock help".split())


def test_nothing_connects_beyond_this_machine() -> None:
    """Connecting to an address that is not loopback fails at once, and not as a network error would."""
    with socket.socket() as connection, pytest.raises(RuntimeError, match="play the other side"):
        connection.connect(("192.0.2.1", 443))


def test_nothing_asks_a_name_server() -> None:
    """Looking up a public name fails at once; a name under .invalid does not exist, as the standard promises."""
    with pytest.raises(RuntimeError, match="tried to look up"):
        socket.getaddrinfo("example.com", 443)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("vendor.invalid", 443)


def test_loopback_stays_open() -> None:
    """A server on 127.0.0.1 can be reached by address and by name."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, port), timeout=5).close()
