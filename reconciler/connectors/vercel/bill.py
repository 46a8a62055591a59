"""The lines that Vercel answers, which are FOCUS 1.3 rows as JSON, as charges.

Fields and values: vercel.com/docs/rest-api/billing and the official SDK's models. Which column feeds which field is
FOCUS's business and read by the rooms of the `focus` connector; what is Vercel's own is here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Final

from ledger.charge import Charge
from ledger.window import Span
from reconciler.connectors.focus.columns import NotFocus, layout
from reconciler.connectors.focus.jsonlines import JsonLinesReader
from reconciler.connectors.focus.reader import BLOCK_BYTES
from reconciler.connectors.focus.rows import BadCell
from reconciler.connectors.focus.rows import charges as rows
from reconciler.errors import BadData, Bug

NAME: Final = "Vercel's answer"


def charges(path: Path, span: Span, team: str | None) -> Iterator[list[Charge]]:
    """Every line of the answer at `path` as a charge, in batches. Raises Bug where one is not what it should be."""
    reader = JsonLinesReader(path, NAME)
    try:
        for block in reader.blocks():
            found = rows(layout(block.batch.schema.names, UTC), block)
            yield [_charge(row, span, team) for row in found]
    except BadCell as error:
        raise Bug(str(reader.bad_cell(error.row, error.column, error.cell, error.expected))) from None
    except NotFocus as error:
        raise Bug(str(reader.bad_file(str(error)))) from None
    except BadData as error:
        raise Bug(str(error)) from None


def is_cut(path: Path) -> bool:
    """Whether the last line of the answer at `path` breaks off."""
    with path.open("rb") as answer:
        answer.seek(max(0, answer.seek(0, os.SEEK_END) - BLOCK_BYTES))
        last = answer.read().rstrip().rpartition(b"\n")[2]
    try:
        json.loads(last or b"{}")
    except ValueError:
        return last.startswith(b"{")
    return False


def _charge(row: Charge, span: Span, team: str | None) -> Charge:
    """The row with its project where the ledger keeps projects; Vercel names it in the tags."""
    if not span.start <= row.charge_period_start < span.end:
        raise Bug(f"Vercel answered with a charge of {row.charge_period_start:%Y-%m-%dT%H:%MZ}, not asked for.")
    tags = row.tags or {}
    project = tags.get("ProjectId") or None
    return row._replace(
        x_origin="api",
        billing_account_id=row.billing_account_id or team,
        sub_account_id=row.sub_account_id or project,
        sub_account_name=row.sub_account_name or (tags.get("ProjectName") or project if project else None),
    )
