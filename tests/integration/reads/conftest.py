"""Charges with everything in them, and a ledger that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import get_args
from uuid import uuid4

from hypothesis import strategies as st

from ledger.charge import Charge, ChargeCategory, Origin
from ledger.database import WriterDB
from ledger.window import DAY, Span
from tests.integration.ledger.conftest import Desk

FIRST = datetime(2026, 9, 28, tzinfo=UTC)
SPAN = Span(FIRST, FIRST + 7 * DAY)

TRICKY = (
    *("plain", "=1+1", "-5", "+49", "@here", "\tx", "'quoted", "a,b", 'say "hi"', "two\nlines", "cr\rlf\n", "ünï"),
    *("NULL", "\\.", "\\n", "{}", "null", "$1", "a:b", "x::y", "%s", "\u2028", "\uff1dwide", "0x1", "1e5"),
)
texts = st.sampled_from(TRICKY) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
amounts = st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**12), max_value=10**12) | (
    st.sampled_from([Decimal("1E+5"), Decimal("0.000000000000000000001"), Decimal("-0"), Decimal("123456789012345.67")])
)
moments = st.integers(0, 7 * 24 * 60 - 1).map(lambda minutes: FIRST + timedelta(minutes=minutes))
keys = st.sampled_from(["team", "env", "a:b", "$1", "a'b", "k\\", "=k"])
stated = st.fixed_dictionaries(
    {},
    optional={
        "ProviderName": texts,
        "InvoiceIssuerName": texts,
        "BillingPeriodStart": st.just("2026-08-01T00:00:00Z"),
        "ListUnitPrice": st.sampled_from(["0.01", "12", "-3.5"]),
        "AvailabilityZone": texts,
        "SkuPriceDetails": st.just('{"x_a": 1}'),
        "Tags": st.just("no object"),
        "HostProviderName": texts,
        "x_Region": texts,
        "x_odd $1 name'": texts,
        "x_number": st.integers(0, 10**9),
    },
)


def optional(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.none() | strategy


def _charge(values: dict[str, object]) -> Charge:
    return Charge(**values)  # type: ignore[arg-type]  # the strategy below draws what the fields hold


rich_charges = st.fixed_dictionaries(
    {
        "charge_period_start": moments,
        "charge_period_end": st.just(SPAN.end + DAY),
        "billing_currency": st.sampled_from(["USD", "EUR", "JPY"]),
        "billed_cost": st.none() | amounts,
        "x_origin": st.sampled_from(get_args(Origin)),
        "service_name": texts,
        "service_provider_name": texts,
        "charge_category": st.sampled_from(get_args(ChargeCategory)),
        "charge_class": st.none() | st.just("Correction"),
        "service_category": st.sampled_from([None, "Compute", "AI and Machine Learning", "Odd"]),
        "sub_account_id": optional(texts),
        "sub_account_name": optional(texts),
        "region_id": optional(texts),
        "resource_id": optional(texts),
        "sku_id": optional(texts),
        "x_model": optional(st.sampled_from(["gpt", "claude"])),
        "x_token_type": optional(st.sampled_from(["input", "output"])),
        "consumed_quantity": st.none() | amounts,
        "consumed_unit": optional(st.sampled_from(["Tokens", "Hours"])),
        "effective_cost": st.none() | amounts,
        "list_cost": st.none() | amounts,
        "tags": st.none() | st.dictionaries(keys, texts, max_size=2),
        "extra": st.none() | stated,
    }
).map(_charge)


async def ledger_of(db: WriterDB, charges: Sequence[Charge]) -> Desk:
    """A provider in a namespace of its own that has these charges."""
    desk = Desk(db, f"team-{uuid4().hex[:10]}")
    await desk.open()
    await desk.sync(SPAN, charges)
    return desk
