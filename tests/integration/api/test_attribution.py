"""Providers that only attribute what others bill, beside the one that bills it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from ledger import accounts
from ledger.accounts import Account
from ledger.database import WriterDB
from tests.integration.api.conftest import Asker
from tests.integration.ledger.conftest import READ_AT, Desk, charge, days

QUESTION = """
query ($costs: ChargeFilter, $charges: ChargeFilter) {
  costs(period: {from: "2026-09-28", to: "2026-10-05"}, filter: $costs) { totals { total } }
  byTag: costs(period: {from: "2026-09-28", to: "2026-10-05"}, filter: $costs, groupBy: [{dimension: SKU}]) {
    totals { total }
  }
  charges(period: {from: "2026-09-28", to: "2026-10-05"}, filter: $charges) { totalCount }
}
"""


async def _namespace(writer: WriterDB) -> str:
    """A vendor that bills 10.00, and a proxy that says who used 7.00 of it."""
    namespace = f"team-{uuid4().hex[:8]}"
    vendor = Desk(writer, namespace)
    await vendor.open()
    await vendor.sync(days(0, 1), [charge(0, "a", "10.00")])
    proxy = Desk(writer, namespace, "proxy")
    await accounts.register(writer, Account(namespace, "proxy", "Provider", "litellm", attribution_only=True), READ_AT)
    await proxy.sync(days(0, 1), [charge(0, "a", "4.00"), charge(0, "b", "3.00")])
    return namespace


@pytest.mark.parametrize(
    ("chosen", "total", "count"),
    [
        ({}, "10.00", 1),
        ({"attribution": "EXCLUDED"}, "10.00", 1),
        ({"attribution": "INCLUDED"}, "17.00", 3),
        ({"attribution": "ONLY"}, "7.00", 2),
        ({"providers": ["proxy"]}, "7.00", 2),
        ({"providers": ["proxy", "vendor"]}, "17.00", 3),
        ({"providers": ["proxy", "vendor"], "attribution": "EXCLUDED"}, "10.00", 1),
        ({"not": {"skus": ["b"]}}, "10.00", 1),
        ({"not": {"skus": ["b"]}, "attribution": "INCLUDED"}, "14.00", 2),
    ],
)
async def test_what_is_attributed_is_not_counted_twice(
    asker: Asker, writer: WriterDB, chosen: dict[str, Any], total: str, count: int
) -> None:
    """Totals leave such a provider out, in the rollup as in the charges, unless it is asked for."""
    chosen = {"namespaces": [await _namespace(writer)], **chosen}
    data = await asker.ask(QUESTION, costs=chosen, charges=chosen)
    for report in (data["costs"], data["byTag"]):
        assert [float(part["total"]) for part in report["totals"]] == [float(total)]
    assert data["charges"]["totalCount"] == count


async def test_exports_and_the_provider_say_so(asker: Asker, writer: WriterDB) -> None:
    """An export follows the same rule, its manifest names it, and the provider itself tells what it is."""
    namespace = await _namespace(writer)
    period = {"from": "2026-09-28", "to": "2026-10-05", "namespaces": namespace}
    for asked, rows in ((None, 1), ("included", 3), ("only", 2)):
        query = period | ({} if asked is None else {"attribution": asked})
        manifest = (await asker.http.get("/export/charges/manifest", params=query)).json()
        assert manifest["rows"] == rows
        assert manifest["filter"].get("attribution") == asked
    wrong = await asker.http.get("/export/charges.csv", params=period | {"attribution": "both"})
    assert wrong.status_code == 400
    told = await asker.ask(
        'query ($n: String!) { provider(namespace: $n, name: "proxy") { attributionOnly } }', n=namespace
    )
    assert told["provider"] == {"attributionOnly": True}
