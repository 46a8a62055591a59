"""The newest step of the schema, told without Alembic, whose import costs more than the answer.

Every step is a file `NNNN_what_it_does.py` in `versions`; the number is its revision. How far a database is
says ledger.reads.health.
"""

from __future__ import annotations

from pathlib import Path


def last() -> str:
    """The revision of the newest step there is."""
    return max(path.name.partition("_")[0] for path in (Path(__file__).parent / "versions").glob("[0-9]*_*.py"))
