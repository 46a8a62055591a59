"""The shortcut past Alembic says what Alembic says."""

from __future__ import annotations

from migrations.step import last
from migrations.upgrade import newest


def test_the_newest_step_is_told_by_its_file() -> None:
    """The number in the newest file's name is the revision that Alembic calls the head."""
    assert last() == newest()
