"""The table of providers, on what is told under it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

from rich.console import Console

from api.terminal.providers import Row, as_json, shown
from ledger.reads.providers import Condition, Provider, SyncCost, VendorAccount

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
AWS = Provider(
    namespace="team-a",
    name="aws",
    kind="Provider",
    type="aws",
    labels={},
    suspended=False,
    attribution_only=False,
    conditions=[
        Condition("Ready", "True", "Succeeded", "read", AT),
        Condition("DoubleCounted", "True", "SameAccount", "counted twice", AT),
    ],
    account=VendorAccount("123456789012", None, ("2 accounts",), AT),
    sync_cost=SyncCost(2, Decimal("0.02"), Decimal("1.2"), "USD"),
    place=None,
    complete_through=None,
    last_sync_at=None,
    next_sync_at=None,
    removed=False,
)


def test_what_needs_a_word_is_told() -> None:
    """The price of syncs and costs counted twice, under the table in words, and in the JSON with the account."""
    console = Console(file=StringIO(), width=160)
    console.print(shown([Row(AWS, ())], console))

    assert isinstance(console.file, StringIO)
    assert "aws: its syncs cost about 1.20 USD a month" in console.file.getvalue()
    assert "aws: SameAccount: counted twice" in console.file.getvalue()
    (found,) = as_json([Row(AWS, ())])
    assert found["syncCost"] == {
        "calls": 2,
        "perSync": Decimal("0.02"),
        "perMonth": Decimal("1.2"),
        "currency": "USD",
    }
    assert [each["type"] for each in found["conditions"]] == ["Ready", "DoubleCounted"]
    assert found["account"] == {"id": "123456789012", "name": None, "notes": ["2 accounts"], "checkedAt": AT}
