"""Messages for tests: one that is whole, and any that may be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from reconciler.channels.message import Driver, Message, Period

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)

FIRING = Message(
    key="0192f0c1-aaaa",
    what="firing",
    namespace="team-a",
    alert="ai-budget",
    on="Spend",
    level="90%",
    severity="warning",
    summary="ai has spent 90.2% of its budget",
    description="Between 2026-03-01 and 2026-03-19, 4,512.30 USD of 5,000.00 USD were spent.",
    scope_text="provider openai",
    starts_at=NOW,
    judged_at=NOW,
    budget="ai",
    complete_through=date(2026, 3, 19),
    period=Period(date(2026, 3, 1), date(2026, 4, 1)),
    amount=Decimal("4512.3000001"),
    limit=Decimal(5000),
    share=Decimal("0.90246"),
    currency="USD",
    drivers=(Driver("gpt-5", Decimal(3000), "USD"), Driver("o4_mini", Decimal("1512.3000001"), "USD")),
    link="https://costhook.example.com/graphql?alert=ai-budget",
    labels={"environment": "production"},
)


def message(**fields: Any) -> Message:
    """FIRING with other fields."""
    return replace(FIRING, **fields)


def resolved(**fields: Any) -> Message:
    """The message that ends FIRING."""
    return message(what="resolved", key="0192f0c1-bbbb", ends_at=NOW + timedelta(hours=3), **fields)


PARTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TEXTS = PARTS | st.builds(str.__mul__, PARTS, st.sampled_from([1, 40, 1000]))
"""Of any script, and now and then far longer than any limit."""
NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?", fullmatch=True)
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=12)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
DAYS = st.dates(date(2000, 1, 1), date(2099, 1, 1))
CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD"])

ANY: st.SearchStrategy[Message] = st.builds(
    Message,
    key=NAMES,
    what=st.sampled_from(["firing", "resolved", "retracted", "test"]),
    namespace=NAMES,
    alert=NAMES,
    on=st.sampled_from(["Spend", "Forecast", "Restatement", "SyncFailure", "MissingData", "UnpricedLines"]),
    level=st.sampled_from(["70%", "100%", "500.00 USD", ""]),
    severity=st.sampled_from(["info", "warning", "critical"]),
    summary=TEXTS,
    description=TEXTS,
    scope_text=TEXTS,
    starts_at=TIMES,
    judged_at=TIMES,
    ends_at=st.none() | TIMES,
    budget=st.none() | NAMES,
    complete_through=st.none() | DAYS,
    period=st.none() | st.builds(Period, DAYS, DAYS),
    amount=st.none() | AMOUNTS,
    limit=st.none() | AMOUNTS,
    share=st.none() | AMOUNTS,
    currency=st.none() | CURRENCIES,
    drivers=st.lists(st.builds(Driver, TEXTS, AMOUNTS, CURRENCIES), max_size=3).map(tuple),
    link=st.none() | st.just("https://costhook.example.com/?a=1&b=<2>|"),
    labels=st.dictionaries(st.sampled_from(["environment", "app.kubernetes.io/name", "1st", "namespace"]), TEXTS),
)
"""Whatever a message may hold: markup, other scripts, line breaks, far too much of it."""

SEVERAL = st.lists(ANY, min_size=1, max_size=4)
