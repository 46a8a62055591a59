"""What comes out as a file and is read again by the `focus` connector into an empty ledger costs the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.database import WriterDB
from ledger.window import Span
from reconciler.connectors.focus import FocusSettings
from tests.integration.api.conftest import Asker
from tests.integration.connectors import focus_files
from tests.integration.ledger.conftest import Desk
from tests.integration.reads.conftest import SPAN, ledger_of, rich_charges

HISTORY = Span(datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
SAMPLE = Path(__file__).parents[3] / "examples" / "quickstart" / "focus"

# A provider of the name NULL would be read as none at all, which FOCUS does not allow.
charges = st.lists(rich_charges.map(lambda c: c._replace(service_provider_name="Vendor", extra=None)), max_size=8)
some = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


async def read_again(folder: Path) -> list[Charge]:
    """The charges of the files in the folder, as a first sync reads them."""
    files = focus_files.Desk(folder, FocusSettings(files=("*.csv", "*.jsonl", "*.parquet")))
    async with files.opened() as focus:
        for window in await focus.windows([], HISTORY):
            await files.replace(focus, window)
    return files.stored


async def totals(asker: Asker, desk: Desk, span: Span) -> list[dict[str, Any]]:
    asked = {**days_of(span), "namespaces": desk.namespace}
    manifest = (await asker.http.get("/export/charges/manifest", params=asked)).json()
    return [
        {**t, "billedCost": Decimal(t["billedCost"]), "effectiveCost": Decimal(t["effectiveCost"])}
        for t in manifest["totals"]
    ]


def days_of(span: Span) -> dict[str, str]:
    return {"from": span.start.date().isoformat(), "to": span.end.date().isoformat()}


def sums(found: Sequence[dict[str, Any]]) -> dict[str, tuple[Decimal, Decimal]]:
    return {total["currency"]: (total["billedCost"], total["effectiveCost"]) for total in found}


@some
@given(said=charges, kind=st.sampled_from(["csv", "jsonl", "parquet"]), what=st.sampled_from(["charges", "costs"]))
async def test_files_cost_the_same_when_read_again(
    asker: Asker, writer: WriterDB, tmp_path_factory: pytest.TempPathFactory, said: list[Charge], kind: str, what: str
) -> None:
    """In every format, of charges and of daily costs: the same sums in every currency, to the last digit."""
    first = await ledger_of(writer, said)
    folder = tmp_path_factory.mktemp("files")
    asked = {**days_of(SPAN), "namespaces": first.namespace}
    answer = await asker.http.get(f"/export/{what}.{kind}", params=asked)
    (folder / f"costs.{kind}").write_bytes(answer.content)

    again = await ledger_of(writer, await read_again(folder))
    before, after = await totals(asker, first, SPAN), await totals(asker, again, SPAN)
    assert sums(after) == sums(before)
    if what == "charges":
        assert after == before


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
async def test_real_billing_data_survives_the_way(
    asker: Asker, writer: WriterDB, namespace: str, tmp_path: Path, kind: str
) -> None:
    """The sample of real FOCUS data, read, written and read again, has the same rows and the same sums."""
    sample = await read_again(SAMPLE)
    span = Span(datetime(2024, 9, 1, tzinfo=UTC), datetime(2024, 10, 1, tzinfo=UTC))
    first = Desk(writer, namespace)
    await first.open()
    await first.sync(span, sample)
    answer = await asker.http.get(f"/export/charges.{kind}", params={**days_of(span), "namespaces": namespace})
    (tmp_path / f"charges.{kind}").write_bytes(answer.content)

    read = await read_again(tmp_path)
    again = Desk(writer, f"{namespace}-2")
    await again.open()
    await again.sync(span, read)
    assert len(read) == len(sample) == 1000
    assert await totals(asker, again, span) == await totals(asker, first, span)
