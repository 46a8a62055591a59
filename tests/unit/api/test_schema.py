"""The schema that is committed: it is the code's, and it does not break those who built on the last release."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from graphql import build_schema
from graphql.utilities import find_breaking_changes

ROOT = Path(__file__).parents[3]
CURRENT = ROOT / "schema.graphql"
RELEASED = ROOT / "api" / "released.graphql"


def test_the_committed_schema_is_the_codes() -> None:
    """schema.graphql is what `make schema` writes."""
    printed = subprocess.run(
        [sys.executable, "-m", "api.schema"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert printed == CURRENT.read_text(), "run `make schema`"


def test_nothing_breaks_since_the_last_release() -> None:
    """Whatever ran against the schema of the last release (api/released.graphql) still runs."""
    released, current = (build_schema(path.read_text()) for path in (RELEASED, CURRENT))

    assert not [change.description for change in find_breaking_changes(released, current)]


def test_a_breaking_change_would_be_found() -> None:
    """The check sees a field that went, an argument that became necessary and a type that changed."""
    released = build_schema("type Query { a(x: Int): Int b: Int! }")
    current = build_schema("type Query { a(x: Int!): Int b: Int }")

    assert len(find_breaking_changes(released, current)) == 2
