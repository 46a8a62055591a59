"""Type manual: which months are asked for and where, and what an entry becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.charge import Charge
from ledger.entry import Entry, Figure, Key
from ledger.window import Span, Window
from reconciler.connectors.base import Context, Credentials
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient
from reconciler.connectors.manual import Manual, ManualSettings
from reconciler.connectors.manual.vendors import VENDORS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
GUIDE = Path(__file__).parents[3] / "docs/connectors/manual.md"


def entry(month: int, amount: str = "10", service: str = "", note: str | None = None) -> Entry:
    return Entry(
        key=Key(namespace="team-a", provider="groq", month=date(2026, month, 1), service=service),
        figure=Figure(amount=Decimal(amount), currency="EUR", note=note),
        entered_at=NOW,
        entered_by="me",
    )


async def opened(
    *entries: Entry, now: datetime = NOW, memory: Mapping[str, str] | None = None, **block: Any
) -> tuple[Manual, list[Window]]:
    """A connector that was told of the entries, and the windows that it names for the last 90 days."""

    async def told() -> Sequence[Entry]:
        return entries

    client = VendorClient(base_url=None, policy=EgressPolicy(), meter=Meter(clock=lambda: now))
    settings = ManualSettings.model_validate({"vendor": "groq", **block})
    async with client:
        context = Context(client, Credentials({}), now, memory or {}, name="groq", entries=told)
        connector = Manual(settings, context)
        days = Span.of_days(date(2026, 8, 24), date(2026, 11, 22))
        return connector, await connector.windows([days], days)


async def missing(*entries: Entry, now: datetime = NOW, **block: Any) -> str | None:
    connector, _ = await opened(*entries, now=now, **block)
    error = await connector.awaiting()
    return None if error is None else str(error)


async def charges(*entries: Entry, **block: Any) -> list[Charge]:
    connector, windows = await opened(*entries, **block)
    return [charge for window in windows async for batch in connector.charges(window) for charge in batch]


@pytest.mark.parametrize(
    ("months", "now", "block", "words"),
    [
        ((), NOW, {}, "2026-10 is missing"),
        ((), datetime(2026, 11, 5, 23, tzinfo=UTC), {}, "2026-09 is missing"),
        ((9,), NOW, {}, "2026-10 is missing"),
        ((10,), NOW, {}, None),
        ((10,), datetime(2026, 12, 5, 23, tzinfo=UTC), {}, None),
        ((10,), datetime(2026, 12, 6, tzinfo=UTC), {}, "2026-11 is missing"),
        ((10,), datetime(2026, 12, 1, tzinfo=UTC), {"graceDays": 0}, "2026-11 is missing"),
        ((7, 10), NOW, {}, r"2026-08 is missing \(one more is missing\)"),
        ((6, 10), NOW, {}, r"2026-07 is missing \(2 more months are missing\)"),
        ((10,), NOW, {"since": "2026-08"}, "2026-08 is missing"),
        ((), NOW, {"since": "2026-11"}, None),
    ],
)
async def test_the_first_missing_month_is_named(
    months: Sequence[int], now: datetime, block: Mapping[str, Any], words: str | None
) -> None:
    """From the first entry, or the month that is stated, to the last that is over and past its grace."""
    said = await missing(*map(entry, months), now=now, **block)

    if words is None:
        assert said is None
    else:
        with pytest.raises(AssertionError, match=words):
            raise AssertionError(said)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({}, "https://console.groq.com/settings/billing (Settings > Billing)"),
        ({"vendor": "Acme"}, "find it on Acme's invoice"),
        ({"vendor": "Acme", "page": "https://acme.example/bills"}, "find it at https://acme.example/bills, then"),
        ({"page": "https://proxy.example/groq"}, "find it at https://proxy.example/groq, then"),
    ],
)
async def test_the_page_is_named(block: Mapping[str, Any], words: str) -> None:
    """A known vendor has its page, any other the one that the manifest names."""
    assert words in (await missing(**block) or "")


async def test_an_entry_becomes_a_charge() -> None:
    """With the vendor's names, the note, and a credit where it is negative."""
    first, second = await charges(entry(10, "-1.5", note="refund"), entry(9, "0"), service="Inference")

    assert first == Charge(
        charge_period_start=datetime(2026, 10, 1, tzinfo=UTC),
        charge_period_end=datetime(2026, 11, 1, tzinfo=UTC),
        billing_currency="EUR",
        billed_cost=Decimal("-1.5"),
        x_origin="manual",
        service_name="Inference",
        service_provider_name="Groq",
        charge_category="Credit",
        charge_description="refund",
        service_category="AI and Machine Learning",
    )
    assert (second.billed_cost, second.charge_category) == (Decimal(0), "Usage")


async def test_a_month_may_be_spread_over_its_days() -> None:
    """The days add up to the figure to the last digit."""
    found = await charges(entry(10, "100.000001"), spread="Daily")

    assert len(found) == 31
    assert sum(charge.billed_cost or 0 for charge in found) == Decimal("100.000001")


async def test_only_what_changed_or_is_due_is_read() -> None:
    """A month whose entries are those that were stored is read again only when its days are due."""
    _, windows = await opened(entry(3), entry(10))
    memory = {name: str(state) for window in windows for name, state in window.remember.items()}
    assert [window.start.month for window in windows] == [10, 3]

    _, again = await opened(entry(3), entry(10), memory=memory)
    _, edited = await opened(entry(3, "11"), entry(10), memory=memory)
    _, deleted = await opened(entry(10), memory=memory)

    assert [window.start.month for window in again] == [10]
    assert [window.start.month for window in edited] == [10, 3]
    assert [window.start.month for window in deleted] == [10, 3]


def test_the_guide_lists_every_known_vendor() -> None:
    """With its page and the name of its service."""
    text = GUIDE.read_text()

    for name, vendor in VENDORS.items():
        assert f"| `{name}` | {vendor.title} | {vendor.service} | {vendor.page} |" in text
