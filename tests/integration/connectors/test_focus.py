"""The FOCUS connector on real files: formats, changes, damage, and what stays when something is wrong."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest

from ledger.charge import Charge
from reconciler.connectors.conformance import FileConformance, Line
from reconciler.connectors.focus import Focus, FocusSettings
from tests.integration.connectors.focus_files import FORMATS, Desk, row

SAMPLE = Path(__file__).parents[3] / "examples/quickstart/focus/focus_sample.csv"


class Conformance(FileConformance):
    """What every connector that reads files must hold."""

    connector = Focus
    name: ClassVar[str]

    def settings(self, base_url: str) -> FocusSettings:
        return FocusSettings(files=("exports/*",))

    def place(self, folder: Path, lines: Sequence[Line]) -> None:
        self._write(folder, lines, "USD")

    def damage(self, folder: Path) -> None:
        self._write(folder, self.some_lines(), "dollars")

    def _write(self, folder: Path, lines: Sequence[Line], currency: str) -> None:
        rows = [
            row(str(line.day), str(line.amount), ServiceName=line.item, SubAccountId=line.project) for line in lines
        ]
        rows[-1] = {**rows[-1], "BillingCurrency": currency}
        path = folder / "exports" / self.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(FORMATS[self.name](rows))


class TestCsv(Conformance):
    name = "rows.csv"


class TestJsonLines(Conformance):
    name = "rows.jsonl.gz"


class TestParquet(Conformance):
    name = "rows.parquet"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class TestSample:
    """A thousand lines of real bills of AWS, Microsoft and Oracle, quirks and all."""

    @pytest.fixture
    async def charges(self, desk: Desk) -> list[Charge]:
        desk.put("focus_sample.csv", SAMPLE.read_bytes())
        assert await desk.sync() == []
        return desk.stored

    async def test_every_line_counts(self, charges: list[Charge], desk: Desk) -> None:
        """All lines come in as one month, and their sums are the file's, to the last digit."""
        with SAMPLE.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(charges) == len(rows) == 1000
        assert desk.months == ["2024-09"]
        assert str(desk.read[0].seen_until) == "2024-10-01 00:00:00+00:00"
        for column, field in [("BilledCost", "billed_cost"), ("EffectiveCost", "effective_cost")]:
            assert sum(getattr(charge, field) for charge in charges) == sum(Decimal(line[column]) for line in rows)

    async def test_nulls_are_left_null(self, charges: list[Charge]) -> None:
        """What Oracle leaves out is None, not zero, and not the text NULL."""
        oracle = [charge for charge in charges if charge.service_provider_name == "Oracle"]
        assert {charge.contracted_cost for charge in oracle} == {None}
        assert {charge.resource_name for charge in oracle} == {None}
        assert not any("PricingCategory" in (charge.extra or {}) for charge in oracle)
        assert "NULL" not in {value for charge in charges for value in (charge.extra or {}).values()}
        assert "NULL" not in {value for charge in charges for value in charge if isinstance(value, str)}

    async def test_words_are_spelled_as_in_focus(self, charges: list[Charge]) -> None:
        """`Usage-based`, as Oracle writes it, is the same frequency as everybody's `Usage-Based`."""
        assert {charge.charge_frequency for charge in charges} == {"Usage-Based", "One-Time"}

    async def test_nothing_is_lost(self, charges: list[Charge]) -> None:
        """Columns without a field, FOCUS's or not, are kept beside the fields, and tags are tags."""
        first = charges[0]
        assert first.extra is not None
        assert first.extra["x_Id"] == "11472"
        assert first.extra["BillingPeriodStart"] == "2024-09-01T00:00:00Z"
        assert first.extra["ListUnitPrice"] == "0.0000004"
        assert "ProviderName" not in first.extra
        assert charges[1].tags == {
            "application": "BrightLensMatrix",
            "environment": "dev",
            "business_unit": "ViennaAI",
        }
