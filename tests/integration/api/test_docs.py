"""Every query of docs/api.md is run, and the page shows what it answers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from api.app import create_app
from api.server import listening
from ledger import accounts, resources, tokens
from ledger.accounts import Account
from ledger.alerts import book
from ledger.alerts.book import Name
from ledger.alerts.evaluation import evaluate
from ledger.charge import Charge
from ledger.database import ReaderDB, WriterDB
from ledger.resources import Ref, Sighting
from ledger.window import DAY, Span, midnight
from reconciler import status
from reconciler.kinds.alert import AlertSpec
from reconciler.kinds.budget import BudgetSpec
from reconciler.kinds.catalogue import kinds
from reconciler.kinds.reading import read
from reconciler.status import Verdict
from tests.integration.api.allocating import declare
from tests.integration.api.conftest import Asker, settings
from tests.integration.ledger.conftest import Desk
from tests.loopback import PLAIN

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
TODAY = datetime(2026, 11, 21, 12, tzinfo=UTC)
EXAMPLE = re.compile(r"^```graphql\n(.*?)^```\n\n```json\n(.*?)^```", re.MULTILINE | re.DOTALL)


LEVELS = [{"percent": 50, "severity": "info"}, {"percent": 80}, {"percent": 100, "severity": "critical"}]


class Line(NamedTuple):
    """A line of the bill in the page's story: what one model costs a day, and how many tokens of a type it is for."""

    provider: str
    model: str
    amount: str
    team: str = "search"
    token_type: str | None = None
    tokens: int | None = None


SEPTEMBER = (
    Line("openai", "gpt-5.2", "8.75", "search", "input", 5_000_000),
    Line("openai", "gpt-5.2", "0.875", "search", "cached_input", 5_000_000),
    Line("openai", "gpt-5.2", "14", "search", "output", 1_000_000),
    Line("anthropic", "claude-opus-5", "10", "search", "input", 2_000_000),
    Line("anthropic", "claude-opus-5", "3", "search", "cached_input", 6_000_000),
    Line("anthropic", "claude-opus-5", "12.5", "search", "output", 500_000),
)
OCTOBER = (
    Line("openai", "gpt-5.2", "40.10"),
    Line("openai", "gpt-5.2-mini", "3.25"),
    Line("anthropic", "claude-opus-5", "25"),
)
NOVEMBER = (
    Line("openai", "gpt-5.2", "22.40"),
    Line("openai", "gpt-5.2-mini", "4.75", "support"),
    Line("anthropic", "claude-opus-5", "61.5", "support"),
)

SHARES = [{"value": "search", "weight": 2}, {"value": "support", "weight": 1}]
TEAMS: list[dict[str, Any]] = [
    {"match": {"services": ["OpenAI API"]}, "split": "Fixed", "shares": SHARES},
    {"valueFrom": {"tag": "team"}},
]
"""The rules of the page's Allocation: what OpenAI costs is shared, and the rest says whose it is."""


def told(first: date, after_last: date, lines: Sequence[Line], provider: str) -> list[Charge]:
    """The same lines for every day of the period."""
    days = [first + timedelta(days=i) for i in range((after_last - first).days)]
    return [_charge(day, line) for day in days for line in lines if line.provider == provider]


def _charge(day: date, line: Line) -> Charge:
    title = {"openai": "OpenAI", "anthropic": "Anthropic"}[line.provider]
    return Charge(
        midnight(day),
        midnight(day) + DAY,
        "USD",
        Decimal(line.amount),
        "api",
        f"{title} API",
        title,
        x_model=line.model,
        x_token_type=line.token_type,
        consumed_quantity=None if line.tokens is None else Decimal(line.tokens),
        consumed_unit=None if line.tokens is None else "Tokens",
        tags={"team": line.team},
    )


@pytest.fixture
async def page(reader: ReaderDB, writer: WriterDB, namespace: str) -> AsyncIterator[Asker]:
    """The API that the page tells of: two vendors, and a restatement of the last October day on 3 November."""
    september, october, november, today = date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1), date(2026, 11, 21)
    for provider in ("openai", "anthropic"):
        account = Account(namespace, provider, "Provider", provider, {"environment": "production"})
        await accounts.register(writer, account, TODAY)
        desk = Desk(writer, namespace, provider)
        await desk.sync(
            Span.of_days(september, october),
            told(september, october, SEPTEMBER, provider),
            at=datetime(2026, 10, 9, tzinfo=UTC),
        )
        before = told(october, november, OCTOBER, provider)
        at = datetime(2026, 11, 2, 6, tzinfo=UTC)
        await desk.sync(Span.of_days(october, november), before, at=at - timedelta(hours=20))
        await desk.sync(Span.of_days(october, november), before, at=at)
        if provider == "openai":
            last = october.replace(day=31)
            restated = [c._replace(billed_cost=Decimal("38.60")) if c.x_model == "gpt-5.2" else c for c in before]
            kept = [c for c in restated if c.charge_period_start.date() == last]
            await desk.sync(Span.of_days(last, november), kept, at=at + timedelta(days=1))
        await desk.sync(Span.of_days(november, today), told(november, today, NOVEMBER, provider), at=TODAY)
    await budgeted(writer, namespace)
    await declare(writer, namespace, TEAMS)
    token = await tokens.create(writer, "docs", ["read", "alert"], [namespace], TODAY)
    app = create_app(settings(authentication=True, clock=lambda: TODAY), reader)
    headers = {"authorization": f"Bearer {token}"}
    async with (
        listening(app, "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url, headers=headers, verify=PLAIN) as http,
    ):
        yield Asker(http)


async def budgeted(writer: WriterDB, namespace: str) -> None:
    """A budget of 2,000 USD a month that is nearly spent, and the alert on it, judged."""
    specs: dict[str, tuple[str, dict[str, Any]]] = {
        "Budget": ("ai", {"amount": "2000.00", "currency": "USD"}),
        "Alert": ("ai-budget", {"budgetRef": {"name": "ai"}, "on": "Spend", "levels": LEVELS}),
    }
    for kind, (name, spec) in specs.items():
        ref = Ref(namespace, kind, name)
        generation, _ = await resources.see(writer, Sighting(ref, "u", 1, "s", None, {}, spec), TODAY)
        verdict = Verdict("True", "Current", "all of the scope is in USD")
        await resources.write_status(writer, ref, status.compose({}, verdict, generation, TODAY, {}), TODAY)
    budget, alert = (read(kinds()[kind], spec) for kind, (_, spec) in specs.items())
    assert isinstance(budget, BudgetSpec)
    assert isinstance(alert, AlertSpec)
    async with writer.transaction() as connection:
        await book.keep(connection, Name(namespace, "ai-budget"), 1, alert.compiled(budget), TODAY)
    while await evaluate(writer, TODAY):
        pass


def examples() -> list[tuple[str, Any]]:
    """Every query of the page with the answer that the page shows."""
    return [(query, json.loads(answer)) for query, answer in EXAMPLE.findall(PAGE.read_text())]


async def test_the_page_shows_what_is_answered(page: Asker, namespace: str) -> None:
    """Each query, copied as it stands but for the namespace, gets the answer below it to the letter."""
    told = examples()
    assert len(told) >= 5
    for query, answer in told:
        found = await page.ask(query.replace("team-a", namespace))
        assert json.loads(json.dumps({"data": found}).replace(namespace, "team-a")) == answer, query
