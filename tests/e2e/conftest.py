"""A real cluster without nodes for every worker, started with its first test, and a namespace for every test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.e2e.controlplane import HOW_TO_GET, ControlPlane, missing_programs
from tests.e2e.process import Process
from tests.e2e.release import Release
from tests.e2e.secrecy import leaked
from tests.e2e.team import Ledger, Team
from tests.e2e.vendor import Vendor
from tests.integration.conftest import make_ledger, server_url

__all__ = ["server_url"]

REQUIRED = "COSTHOOK_REQUIRE_E2E"
"""Set where these tests must run: there a missing control plane fails them."""


@pytest.fixture(scope="session")
def assets() -> None:
    """Skip where there is no control plane to be had; say how to get it."""
    missing = missing_programs()
    if missing and os.environ.get(REQUIRED):
        pytest.fail(f"no {', '.join(missing)}: {HOW_TO_GET}")
    if missing:
        pytest.skip(HOW_TO_GET)


@pytest.fixture(scope="session")
def plane(assets: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """This worker's cluster."""
    with ControlPlane(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="session")
def vendor() -> Iterator[Vendor]:
    """The vendor that Providers of these tests name."""
    with Vendor() as running:
        yield running


@pytest.fixture(scope="session")
def ledger(assets: None, server_url: str) -> Ledger:
    """This worker's database."""
    return Ledger(asyncio.run(make_ledger(server_url)))


@pytest.fixture(scope="session")
def release(plane: ControlPlane, ledger: Ledger) -> Release:
    """The chart, installed on this worker's cluster; it brings the CRDs."""
    installed = Release(plane, "costhook", "costhook")
    installed.install(ledger.url)
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all")
    return installed


@pytest.fixture(scope="session")
def reconciler(release: Release, ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The reconciler of the tests that do it no harm, with the rights that the chart gives it and no others.

    After the last of them, the keys that they planted are searched for everywhere.
    """
    with release.reconciling(tmp_path_factory.mktemp("reconciler") / "log") as process:
        yield process
        leaks = list(leaked(release.plane, ledger, process))
    assert leaks == []


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    """A namespace that no other test uses."""
    name = f"team-{uuid4().hex[:8]}"
    plane.kubectl("create", "namespace", name)
    return name


@pytest.fixture
def team(plane: ControlPlane, vendor: Vendor, ledger: Ledger, namespace: str, reconciler: Process) -> Team:
    """A team whose namespace the common reconciler serves."""
    assert reconciler.pid
    return Team(plane, vendor, ledger, namespace)
