"""Entering figures over HTTP: what reaches the ledger, and what is refused in which words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.app import create_app
from api.server import listening
from ledger import accounts, audit, manual_entries, standing, tokens
from ledger.accounts import Account
from ledger.database import ReaderDB, WriterDB
from tests.integration.api.conftest import NOW, Asker, settings
from tests.loopback import PLAIN

ADD = """
mutation ($ns: String!, $p: String = "groq", $m: String = "2026-09", $a: Decimal!, $c: String = "USD", $s: String,
          $n: String) {
  addCost(namespace: $ns, provider: $p, month: $m, amount: $a, currency: $c, service: $s, note: $n) {
    __typename
    ... on CostEntered { entry { month service amount currency note enteredBy enteredAt changedBy } }
    ... on Problem { code message field }
  }
}
"""
EDIT = """
mutation ($ns: String!, $m: String = "2026-09", $a: Decimal, $c: String, $s: String) {
  editCost(namespace: $ns, provider: "groq", month: $m, amount: $a, currency: $c, service: $s) {
    __typename
    ... on CostEdited { entry { amount currency note changedBy changedAt } }
    ... on Problem { code message field }
  }
}
"""
CLEAR = """
mutation ($ns: String!) {
  editCost(namespace: $ns, provider: "groq", month: "2026-09", note: null) {
    ... on CostEdited { entry { amount note } }
  }
}
"""
DELETE = """
mutation ($ns: String!, $m: String = "2026-09") {
  deleteCost(namespace: $ns, provider: "groq", month: $m) {
    __typename
    ... on CostDeleted { amount currency }
    ... on Problem { code message field }
  }
}
"""
LIST = """
query ($ns: String, $first: Int!, $after: String) {
  costEntries(namespace: $ns, provider: "groq", first: $first, after: $after) {
    totalCount
    pageInfo { hasNextPage endCursor }
    edges { node { month service amount } }
  }
}
"""


@pytest.fixture
async def ns(writer: WriterDB, namespace: str) -> str:
    """A namespace with a Provider that takes entries."""
    await accounts.register(writer, Account(namespace, "groq", "Provider", "manual"), NOW)
    return namespace


async def test_a_figure_is_entered_edited_and_deleted(asker: Asker, writer: WriterDB, ns: str) -> None:
    """Every digit arrives; who and when are told; a sync waits after each change."""
    added = (await asker.ask(ADD, ns=ns, a="12.3400000000000000000001", n="no. 7"))["addCost"]
    assert added == {
        "__typename": "CostEntered",
        "entry": {
            "month": "2026-09",
            "service": None,
            "amount": "12.3400000000000000000001",
            "currency": "USD",
            "note": "no. 7",
            "enteredBy": "local",
            "enteredAt": "2026-10-02T15:00:00Z",
            "changedBy": None,
        },
    }
    assert (ns, "groq") in await standing.waiting(writer)

    edited = (await asker.ask(EDIT, ns=ns, a="0", c="eur"))["editCost"]["entry"]
    assert (edited["amount"], edited["currency"], edited["note"], edited["changedBy"]) == ("0", "EUR", "no. 7", "local")
    assert (await asker.ask(CLEAR, ns=ns))["editCost"]["entry"] == {"amount": "0", "note": None}

    assert (await asker.ask(DELETE, ns=ns))["deleteCost"] == {
        "__typename": "CostDeleted",
        "amount": "0",
        "currency": "EUR",
    }
    assert await manual_entries.of_provider(writer, ns, "groq") == []
    actions = [entry.action for entry in await audit.latest(writer, 50) if entry.namespace == ns]
    assert actions == ["deleteCost", "editCost", "editCost", "addCost"]


async def test_problems_are_typed(asker: Asker, ns: str) -> None:
    """What is entered already, and what is not there, is answered as data."""
    await asker.ask(ADD, ns=ns, a="1")

    again = (await asker.ask(ADD, ns=ns, a="2"))["addCost"]
    assert (again["code"], again["field"]) == ("ALREADY_ENTERED", "month")
    assert again["message"].startswith("Groq 2026-09 is entered already: 1 USD by local")
    assert (await asker.ask(ADD, ns=ns, p="nobody", a="2"))["addCost"]["code"] == "NOT_FOUND"
    assert (await asker.ask(ADD, ns="elsewhere", a="2"))["addCost"]["code"] == "NOT_FOUND"
    assert (await asker.ask(EDIT, ns=ns, m="2026-08", a="2"))["editCost"]["code"] == "NOT_FOUND"
    assert (await asker.ask(DELETE, ns=ns, m="2026-08"))["deleteCost"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("query", "variables", "code", "field"),
    [
        (ADD, {"a": "1", "m": "October"}, "BAD_INPUT", "month"),
        (ADD, {"a": "1", "m": "0000-01"}, "BAD_INPUT", "month"),
        (ADD, {"a": "1", "m": "2026-11"}, "BAD_INPUT", "month"),
        (ADD, {"a": "1", "c": "dollars"}, "BAD_INPUT", "currency"),
        (ADD, {"a": "1", "n": "x" * 1001}, "BAD_INPUT", "note"),
        (ADD, {"a": "1" + "0" * 70}, "BAD_INPUT", "amount"),
        (ADD, {"a": 1.5}, "BAD_REQUEST", None),
        (ADD, {"a": "1e5"}, "BAD_REQUEST", None),
        (ADD, {"a": "NaN"}, "BAD_REQUEST", None),
        (EDIT, {}, "BAD_INPUT", "amount"),
    ],
)
async def test_what_is_no_figure_is_refused(
    query: str, variables: dict[str, Any], code: str, field: str | None, asker: Asker, ns: str
) -> None:
    """Months, amounts and currencies that are none name the argument; a float is no exact amount."""
    error = await asker.refused(query, ns=ns, **variables)

    assert (error["code"], error.get("field")) == (code, field)
    assert (await asker.ask(LIST, ns=ns, first=1))["costEntries"]["totalCount"] == 0


async def test_entries_come_in_pages(asker: Asker, ns: str) -> None:
    """Newest month first, each once, and no others than those of the namespace."""
    for month in ("2026-07", "2026-09", "2026-08"):
        for service in (None, "Batch"):
            await asker.ask(ADD, ns=ns, m=month, a="1", s=service)
    seen, after = [], None
    while True:
        page = (await asker.ask(LIST, ns=ns, first=4, after=after))["costEntries"]
        seen += [(edge["node"]["month"], edge["node"]["service"]) for edge in page["edges"]]
        assert page["totalCount"] == 6
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]

    assert seen == [(month, service) for month in ("2026-09", "2026-08", "2026-07") for service in (None, "Batch")]
    assert (await asker.refused(LIST, ns=ns, first=4, after="x"))["code"] == "BAD_CURSOR"


async def test_entering_takes_the_scope_sync(reader: ReaderDB, writer: WriterDB, ns: str) -> None:
    """Whoever may only read may list figures and enter none; whoever enters stands in the audit log by name."""
    app = create_app(settings(authentication=True), reader)
    async with listening(app, "127.0.0.1", 0) as url, httpx.AsyncClient(base_url=url, timeout=30, verify=PLAIN) as http:
        answers = {}
        for name, scopes in (("reads", ["read"]), ("enters", ["read", "sync"])):
            token = await tokens.create(writer, name, scopes, [ns], NOW)
            answer = await Asker(http).post(ADD, {"ns": ns, "a": "1"}, authorization=f"Bearer {token}")
            answers[name] = answer.json()

    assert answers["reads"]["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert answers["enters"]["data"]["addCost"]["entry"]["enteredBy"].endswith("(enters)")
    [entry] = [entry for entry in await audit.latest(writer, 50) if entry.namespace == ns]
    assert (entry.actor_kind, entry.action) == ("token", "addCost")
    assert entry.actor.endswith("(enters)")
