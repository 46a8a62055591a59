"""Conformance: the figures that come out are the vendor's figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger.window import DAY, Span
from reconciler.connectors.base import Settings
from reconciler.connectors.conformance.harness import Hooks


class Figures(Hooks):
    """What holds for every connector, whatever it reads."""

    pytestmark = pytest.mark.asyncio

    async def test_traits_are_complete(self) -> None:
        """The traits say what the data is like, and the settings are a model that refuses unknown fields."""
        traits = self.connector.traits
        assert re.fullmatch(r"[a-z][a-z0-9-]*", traits.type), "the type is a lower-case name"
        assert traits.title
        assert traits.gives
        assert traits.grain in ("Hour", "Day", "Month", "Line")
        assert traits.settling <= traits.moving, "figures that are not there yet still move"
        assert traits.longest_window >= DAY
        assert issubclass(self.connector.Settings, Settings)
        missing = {key.name for key in traits.credentials if key.required} - set(self.credentials)
        assert not missing, f"the test's credentials lack {missing}"

    async def test_everything_adds_up(self, tmp_path: Path) -> None:
        """Over many days, lines and pages, what is stored is what the vendor's books say."""
        lines = self.some_lines()
        async with self.stage(tmp_path, lines) as stage:
            await stage.sync()
            assert stage.totals() == stage.expected(lines)

    async def test_amounts_are_exact(self, tmp_path: Path) -> None:
        """Amounts with more digits than a float holds arrive to the last digit."""
        lines = [self.a_line(2, 123_456_789_012_345_678_901), self.a_line(3, 1)]
        async with self.stage(tmp_path, lines) as stage:
            await stage.sync()
            assert stage.totals() == stage.expected(lines)

    async def test_days_without_charges(self, tmp_path: Path) -> None:
        """Days on which the vendor has nothing are empty, and do not end the reading of later days."""
        lines = [self.a_line(1, 500), self.a_line(8, 700)]
        async with self.stage(tmp_path, lines) as stage:
            await stage.sync()
            assert stage.totals() == stage.expected(lines)

    async def test_credits_count_negative(self, tmp_path: Path) -> None:
        """A credit lowers the total; it is neither dropped nor turned round."""
        if not self.credits:
            pytest.skip("this vendor has no negative lines")
        lines = [self.a_line(1, 500), self.a_line(1, -900, "beta"), self.a_line(2, -1)]
        async with self.stage(tmp_path, lines) as stage:
            await stage.sync()
            assert stage.totals() == stage.expected(lines)

    async def test_equal_lines_both_count(self, tmp_path: Path) -> None:
        """Two lines that look alike are two lines: their sum is the vendor's sum."""
        if not self.duplicates:
            pytest.skip("this vendor cannot say the same line twice")
        lines = [self.a_line(4, 250), self.a_line(4, 250), self.a_line(4, 250)]
        async with self.stage(tmp_path, lines) as stage:
            await stage.sync()
            assert stage.totals() == stage.expected(lines)

    async def test_a_second_read_gives_the_same(self, tmp_path: Path) -> None:
        """Reading the same books again yields the same charges, field by field."""
        async with self.stage(tmp_path, self.some_lines()) as stage:
            await stage.sync()
            first = stage.rows()
            await stage.sync()
            assert stage.rows() == first

    async def test_restated_days(self, tmp_path: Path) -> None:
        """When the vendor changes, adds and takes back lines, the next read gives the new figures alone."""
        lines = self.some_lines()
        async with self.stage(tmp_path, lines) as stage:
            await stage.sync()
            restated = [self.a_line(0, 4242), *lines[2:], self.a_line(5, 77, "gamma")]
            stage.restate(restated)
            await stage.sync()
            assert stage.totals() == stage.expected(restated)

    async def test_one_day_of_many(self, tmp_path: Path) -> None:
        """Asked for one day, the connector yields that day whole, and nothing outside the windows it named."""
        lines = self.some_lines()
        async with self.stage(tmp_path, lines) as stage:
            day = self.first_day + 3 * DAY
            await stage.sync(Span.of_days(day, day + DAY))
            key = (stage.group(day), self.currency)
            assert stage.totals().get(key) == stage.expected(lines).get(key)
