"""Vercel: its calendar and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.window import DAY, Piece, Span, complete_through, due, midnight
from reconciler.connectors.vercel import Vercel, VercelSettings
from reconciler.connectors.vercel.pacific import last_midnight, months

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))


@given(first=DAYS, count=st.integers(1, 400), hours=st.integers(0, 24 * 400))
def test_months_cover_what_is_due_and_is_over(first: date, count: int, hours: int) -> None:
    """Every instant that is due and over lies in exactly one month; each begins on a first, and none ends later."""
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    asked = Span.of_days(first, date.fromordinal(first.toordinal() + count))
    now = datetime.fromtimestamp(start.timestamp() + hours * 3600, UTC)
    found = months([asked], now)[::-1]

    for month in found:
        local = month.start.astimezone(LOS_ANGELES)
        assert (local.day, local.hour) == (1, 0)
        assert month.end.astimezone(LOS_ANGELES).hour == 0
        assert month.end <= last_midnight(now) <= now
    assert all(before.end == after.start for before, after in pairwise(found))
    over = min(asked.end, last_midnight(now))
    assert not found or (found[0].start <= asked.start and found[-1].end >= over)
    assert found or over <= asked.start or last_midnight(now).astimezone(LOS_ANGELES).day == 1


@given(first=DAYS, hours=st.integers(0, 23))
def test_months_settle_in_the_ledger(first: date, hours: int) -> None:
    """Once read, months are due again only while they move, and are whole up to the last day that is over and settled.

    The ledger thinks in UTC days; months of another calendar must neither stay due for ever nor leave gaps.
    """
    now = datetime(first.year, first.month, first.day, hours, tzinfo=UTC)
    wanted = Span.of_days(first - 100 * DAY, first + DAY)
    traits = Vercel.traits
    pieces = [Piece(piece, now, 0, 0) for month in months([wanted], now) for piece in month.pieces()]

    (again,) = due(wanted, pieces, traits.moving)
    assert now - again.start <= traits.moving + 2 * DAY
    whole = complete_through(pieces, traits.settling)
    assert whole is not None
    assert timedelta(0) <= now - midnight(whole) - traits.settling < 3 * DAY


@pytest.mark.parametrize("block", [{"baseURL": "ftp://x"}, {"team": ""}, {"team": "a b"}, {"project": "prj_1"}])
def test_settings_have_bounds(block: Mapping[str, Any]) -> None:
    """Settings beyond their bounds and unknown ones are refused."""
    with pytest.raises(ValidationError):
        VercelSettings.model_validate(block)
