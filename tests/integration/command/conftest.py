"""What the command is tested on: folders that the embedded Postgres may use, also when the tests run as root."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder in the system's temporary one.

    As root the server runs as another user, for whom pytest's own temporary folders are closed, and closed again
    whenever another run of pytest begins.
    """
    with tempfile.TemporaryDirectory(prefix="costhook-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A new folder that any user may enter."""
    with open_folder() as made:
        yield made
