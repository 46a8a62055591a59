"""What people are shown: amounts rounded but never hidden, tables that fit, and JSON that is exact."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from api.terminal.layout import Column, blocks, count, fitting, money, table, write_json

AMOUNTS = st.decimals(min_value=-(10**15), max_value=10**15, places=9, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1234567.891", "USD", "1,234,567.89"),
        ("-31.2", "EUR", "-31.20"),
        ("0", "USD", "0.00"),
        ("1234.5", "JPY", "1,234"),
        ("1.2345", "KWD", "1.234"),
        ("0.0000008", "USD", "<0.01"),
        ("-0.004", "USD", ">-0.01"),
        ("0.005", "USD", "0.00"),
        ("0.4", "JPY", "<1"),
    ],
)
def test_amounts_for_people(amount: str, currency: str, shown: str) -> None:
    """Thousands apart, rounded to the minor unit, half to even; what would round to nothing is shown as a trifle."""
    assert money(Decimal(amount), currency).plain == shown


@given(AMOUNTS)
def test_only_zero_and_half_a_unit_look_like_zero(amount: Decimal) -> None:
    """No amount beyond half a minor unit is shown as zero."""
    if money(amount, "USD").plain in ("0.00", "-0.00"):
        assert abs(amount) <= Decimal("0.005")
        assert amount == 0 or abs(amount) == Decimal("0.005")


@given(st.lists(st.tuples(st.text("abcdef ", max_size=30), AMOUNTS), min_size=1, max_size=5), st.integers(40, 120))
def test_what_fits_is_never_cut(rows: list[tuple[str, Decimal]], width: int) -> None:
    """Whichever layout is chosen, every amount is there in one piece and no line is wider than the console."""
    columns = [Column("Name"), Column("Amount", amount=True)]
    cells = [[Text(name), money(amount, "USD")] for name, amount in rows]
    console = Console(width=width, file=io.StringIO(), color_system=None)

    console.print(fitting(console, table(columns, cells), blocks(columns, cells)))

    assert isinstance(console.file, io.StringIO)
    out = console.file.getvalue()
    assert all(cell[1].plain in out for cell in cells)
    assert max(len(line) for line in out.splitlines()) <= width


def test_json_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    """Amounts keep every digit, as text without an exponent; times are in UTC."""
    east = timezone(timedelta(hours=2))

    write_json(
        {
            "amount": Decimal("1E-18"),
            "large": Decimal("123456789012345678901234567890.10"),
            "day": date(2026, 11, 21),
            "at": datetime(2026, 11, 21, 14, tzinfo=east),
            "name": "Zürich",
        }
    )

    out = capsys.readouterr().out
    assert json.loads(out) == {
        "amount": "0.000000000000000001",
        "large": "123456789012345678901234567890.1",
        "day": "2026-11-21",
        "at": "2026-11-21T12:00:00Z",
        "name": "Zürich",
    }
    assert "Zürich" in out


def test_counts() -> None:
    """One is singular."""
    assert (count(1, "row"), count(2000, "row"), count(0, "row")) == ("1 row", "2,000 rows", "0 rows")


def test_times_for_people() -> None:
    """A time is shown in UTC, wherever it was taken."""
    from api.terminal.layout import moment

    assert moment(datetime(2026, 11, 21, 23, 59, tzinfo=UTC)) == "2026-11-21 23:59"
    assert moment(None) == "-"
