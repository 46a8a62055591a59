"""What the cells of a FOCUS file mean: times, amounts, words and tags as real exports write them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final

from ledger.charge import CHARGE_CATEGORIES, MAX_TEXT
from ledger.focus import ENUMS, text
from ledger.money import MAX_DIGITS, amount, plain

NULLS: Final = frozenset(("", "NULL"))
"""Texts that stand for null: FOCUS asks for NULL, CSV writers leave the cell empty."""
YEARS: Final = range(2000, 2100)
"""Years a charge may lie in; others are typing errors or a spreadsheet's idea of no date."""

Parse = Callable[[Any], object]

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def moment(cell: str | datetime, zone: tzinfo) -> datetime:
    """The instant a cell names, in UTC. What names no zone is in `zone`; a date is its midnight.

    Takes `2024-09-01T00:00:00Z`, `2024-09-01 00:00:00` (the FOCUS sample), `2024-01-01T00:00Z` (Azure's 1.0),
    `2024-09-01 00:00:00 UTC` (BigQuery), offsets, fractions and dates. Raises ValueError.
    """
    read = cell if isinstance(cell, datetime) else datetime.fromisoformat(cell.strip().removesuffix(" UTC"))
    if read.tzinfo is None:
        read = read.replace(tzinfo=UTC if isinstance(cell, str) and cell.endswith("UTC") else zone)
    if read.year not in YEARS:
        raise ValueError(f"the year {read.year}")
    return read.astimezone(UTC)


def number(cell: str) -> Decimal:
    """The exact amount a cell writes: digits, one point, perhaps an exponent; no thousands, no signs of currency.

    Raises ValueError.
    """
    if cell.replace(".", "", 1).isdecimal() and len(cell) <= MAX_DIGITS:  # nearly all, and millions of them
        return Decimal(cell)
    if _NUMBER.fullmatch(cell.strip()) is None:
        raise ValueError("no decimal number")
    return amount(cell.strip())


def plain_number(cell: str) -> str:
    """The amount of a cell in plain notation. Raises ValueError."""
    return plain(number(cell))


def plain_moment(cell: str | datetime, zone: tzinfo) -> str:
    """The instant of a cell as `YYYY-MM-DDTHH:MM:SSZ`. Raises ValueError."""
    return moment(cell, zone).isoformat().replace("+00:00", "Z")


def label(cell: str) -> str:
    """A text short enough for the ledger. Raises ValueError."""
    if len(cell) > MAX_TEXT:
        raise ValueError(f"{len(cell)} characters")
    return cell


def cell_text(cell: str | datetime) -> str:
    """Any cell as the text it is kept as where its meaning is not known."""
    return cell if isinstance(cell, str) else cell.isoformat().replace("+00:00", "Z")


def word(column: str) -> Callable[[str], str]:
    """Read a column whose values FOCUS lists: spelled as in the list whatever the case, others as they are."""
    known = {value.casefold(): value for value in ENUMS[column]}
    return lambda cell: known.get(cell.strip().casefold()) or label(cell)


_category = word("ChargeCategory")


def category(cell: str) -> str:
    """A charge category. Raises ValueError: a category that is none says nothing about the sign of a cost."""
    found = _category(cell)
    if found not in CHARGE_CATEGORIES:
        raise ValueError(found)
    return found


def tags_or_text(cell: str) -> dict[str, str] | str | None:
    """The tags of a JSON object: values as text, a null as the empty text; the cell itself when it is no object.

    FOCUS wants flat objects; what vendors nest is kept as JSON text.
    """
    try:
        read = json.loads(cell, parse_float=Decimal, parse_constant=str)
        return ({key: text(value) or "" for key, value in read.items()} or None) if isinstance(read, dict) else cell
    except (ValueError, ArithmeticError, RecursionError):
        return cell
