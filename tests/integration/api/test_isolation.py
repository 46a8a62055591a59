"""Team A's token against everything of team B: nothing comes out, and forbidden looks exactly like absent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.app import create_app
from api.server import listening
from ledger import accounts, manual_entries, runs, tokens
from ledger.accounts import Account
from ledger.database import ReaderDB, WriterDB
from ledger.entry import Key, figure
from ledger.manual_entries import Hand
from tests.integration.api.conftest import NOW, Asker, settings
from tests.integration.api.test_charges import PAGE
from tests.integration.api.test_costs import REPORT
from tests.integration.api.test_mutations import CANCEL, SYNC
from tests.integration.api.test_queries import PROVIDERS, declare
from tests.integration.ledger.conftest import READ_AT, Desk, charge, days
from tests.integration.ledger.test_isolation import breached, hushed
from tests.loopback import PLAIN

PERIOD = {"from": "2026-09-28", "to": "2026-10-05"}


ALERTING = ("alerts", "alertHistory", "budgets", "channels", "notifications", "silences(active: null)")


@dataclass
class Team:
    """A team with data of its own, and its token."""

    desk: Desk
    token: str
    http: httpx.AsyncClient

    @property
    def namespace(self) -> str:
        return self.desk.namespace

    async def post(self, query: str, **variables: Any) -> httpx.Response:
        return await Asker(self.http).post(query, variables, authorization=f"Bearer {self.token}")

    async def data(self, query: str, **variables: Any) -> dict[str, Any]:
        body = (await self.post(query, **variables)).json()
        assert "errors" not in body, body
        found: dict[str, Any] = body["data"]
        return found

    async def get(self, path: str, **asked: Any) -> httpx.Response:
        return await self.http.get(path, params=asked, headers={"authorization": f"Bearer {self.token}"})


@pytest.fixture
async def teams(reader: ReaderDB, writer: WriterDB) -> AsyncIterator[tuple[Team, Team]]:
    """Two teams with the same names for everything and data in every table."""
    app = create_app(settings(authentication=True), reader)
    async with listening(app, "127.0.0.1", 0) as url, httpx.AsyncClient(base_url=url, timeout=20, verify=PLAIN) as http:
        yield await team(writer, http, "1"), await team(writer, http, "1000")


async def team(writer: WriterDB, http: httpx.AsyncClient, amount: str) -> Team:
    desk = Desk(writer, f"team-{uuid4().hex[:10]}")
    await declare(writer, desk.namespace, desk.name, type="openai")
    await desk.open()
    await desk.sync(days(0, 5), [charge(0, "old", amount), charge(1, "b", amount)])
    await desk.sync(days(0, 5), [charge(0, "new", amount), charge(1, "b", amount)], at=READ_AT + timedelta(hours=1))
    await runs.start(writer, desk.namespace, desk.name, "Schedule", READ_AT)
    await accounts.register(writer, Account(desk.namespace, "groq", "Provider", "manual"), READ_AT)
    key = Key(namespace=desk.namespace, provider="groq", month=date(2026, 9, 1))
    async with writer.transaction() as connection:
        await manual_entries.add(connection, key, figure(amount, "USD", None), Hand("me", "local", READ_AT))
    await breached(desk)
    await hushed(desk)
    for kind, name in (("Alert", "over"), ("Budget", "ai"), ("Channel", "hook")):
        await declare(writer, desk.namespace, name, kind)
    scopes = ["read", "sync", "alert", "export", "metrics"]
    return Team(desk, await tokens.create(writer, "t", scopes, [desk.namespace], NOW), http)


async def test_lists_and_sums_hold_the_own_alone(teams: tuple[Team, Team]) -> None:
    """Whatever is listed or added up without naming anyone is the caller's own, as of now and of the past."""
    a, b = teams
    for at in (None, READ_AT.isoformat()):
        report = await a.data(
            REPORT,
            period=PERIOD,
            groupBy=[{"dimension": "NAMESPACE"}],
            granularity="TOTAL",
            metric="BILLED_COST",
            asOf=at,
        )
        assert [s["key"][0]["value"] for s in report["costs"]["series"]] == [a.namespace]
        assert report["costs"]["totals"][0]["total"] == "2"
        page = await a.data(PAGE, period=PERIOD, first=10, asOf=at)
        assert page["charges"]["totalCount"] == 2
    for field in ("restatements(arriving: true)", "syncRuns", "providers", "costEntries"):
        listed = (await a.data(f"{{ {field} {{ totalCount edges {{ node {{ namespace }} }} }} }}")).popitem()[1]
        assert {edge["node"]["namespace"] for edge in listed["edges"]} == {a.namespace}
        assert listed["totalCount"] == len(listed["edges"])
    assert b.namespace not in json.dumps(await a.data("{ viewer { namespaces } }"))


async def test_naming_the_other_team_is_like_naming_nobody(teams: tuple[Team, Team]) -> None:
    """Every query that names B's namespace gets, to the letter, what a namespace that does not exist gets."""
    a, b = teams
    queries: list[tuple[str, dict[str, Any]]] = [
        ('query ($ns: String!) { provider(namespace: $ns, name: "vendor") { name } }', {}),
        ("query ($ns: String!) { syncRuns(namespace: $ns) { totalCount edges { node { id } } } }", {}),
        ("query ($ns: String!) { restatements(filter: {namespaces: [$ns]}, arriving: true) { totalCount } }", {}),
        ("query ($ns: String!) { providers(filter: {namespaces: [$ns], removed: null}) { totalCount } }", {}),
        (
            (
                "query ($ns: String!, $p: Period!) { costs(period: $p, filter: {namespaces: [$ns]}) "
                "{ totals { total } completeThrough completeness { provider } } }"
            ),
            {"p": PERIOD},
        ),
        (
            (
                'query ($ns: String!, $p: Period!) { costs(period: $p, filter: {namespaces: [$ns], skus: ["new"]}) '
                "{ totals { total } } }"
            ),
            {"p": PERIOD},
        ),
        (
            "query ($ns: String!, $p: Period!) { charges(period: $p, filter: {namespaces: [$ns]}) { totalCount } }",
            {"p": PERIOD},
        ),
        (
            (
                'mutation ($ns: String!) { syncProvider(namespace: $ns, name: "vendor") { __typename ... on Problem '
                "{ code message field } } }"
            ),
            {},
        ),
        ("query ($ns: String!) { costEntries(namespace: $ns) { totalCount edges { node { month } } } }", {}),
        *(
            (
                (
                    f'mutation ($ns: String!) {{ {name}(namespace: $ns, provider: "groq", month: "2026-09"{more}) '
                    "{ __typename ... on Problem { code message field } } }"
                ),
                {},
            )
            for name, more in (("addCost", ', amount: "1"'), ("editCost", ', amount: "1"'), ("deleteCost", ""))
        ),
        *(
            (f"query ($ns: String!) {{ {asked} {{ totalCount edges {{ node {{ id }} }} }} }}", {})
            for asked in (
                *(f"{field}(filter: {{namespaces: [$ns]}})" for field in ("alerts", "alertHistory", "budgets")),
                *("notifications(filter: {namespaces: [$ns]})", "channels(namespaces: [$ns])"),
                "silences(namespaces: [$ns], active: null)",
            )
        ),
        ('query ($ns: String!) { budget(namespace: $ns, name: "ai") { name } }', {}),
        *(
            (f"mutation ($ns: String!) {{ {asked} {{ __typename ... on Problem {{ code message field }} }} }}", {})
            for asked in (
                *('acknowledgeAlert(namespace: $ns, name: "over")', 'unacknowledgeAlert(namespace: $ns, name: "over")'),
                'silence(scope: {namespace: $ns}, until: "2030-01-01T00:00:00Z", reason: "x")',
                'silence(scope: {namespace: $ns, alert: "over"}, until: "2030-01-01T00:00:00Z", reason: "x")',
                'testChannel(namespace: $ns, name: "hook")',
            )
        ),
    ]
    for query, variables in queries:
        theirs = await a.post(query, **variables, ns=b.namespace)
        nobodys = await a.post(query, **variables, ns="team-nobody")
        assert (theirs.status_code, theirs.text) == (nobodys.status_code, nobodys.text)


async def test_cursors_and_ids_of_the_other_team_open_nothing(teams: tuple[Team, Team]) -> None:
    """B's cursors only place A among A's own rows; B's ids are as unknown as made-up ones."""
    a, b = teams
    theirs = await b.data(PAGE, period=PERIOD, first=1)
    page = await a.data(PAGE, period=PERIOD, first=10, after=theirs["charges"]["pageInfo"]["endCursor"])
    assert all(edge["node"]["billedCost"] == "1" for edge in page["charges"]["edges"])

    listed = "{ providers(first: 1) { pageInfo { endCursor } } syncRuns(first: 1) { edges { node { id } } } }"
    held = await b.data(listed)
    behind = await a.data(PROVIDERS, after=held["providers"]["pageInfo"]["endCursor"])
    assert all(edge["node"]["namespace"] == a.namespace for edge in behind["providers"]["edges"])
    for run in held["syncRuns"]["edges"]:
        assert (await a.data(CANCEL, id=run["node"]["id"]))["cancelSync"]["code"] == "NOT_FOUND"
        assert (await b.data(CANCEL, id=run["node"]["id"]))["cancelSync"]["__typename"] == "CancelRequested"


async def test_messages_and_silences_of_the_other_team_are_out_of_reach(teams: tuple[Team, Team]) -> None:
    """By B's ids A finds no message, ends no silence and retries nothing."""
    a, b = teams
    listed = "{ notifications { edges { node { id } } } silences(active: null) { edges { node { id } } } }"
    held = await b.data(listed)
    [message], [silence] = (
        [edge["node"]["id"] for edge in held[name]["edges"]] for name in ("notifications", "silences")
    )
    one = "query ($id: ID!) { notification(id: $id) { state } }"
    assert (await a.data(one, id=message))["notification"] is None
    assert (await b.data(one, id=message))["notification"] is not None
    for name, id_, possible in (
        ("retryNotification", message, "StateProblem"),
        ("endSilence", silence, "SilenceEnded"),
    ):
        change = f"mutation ($id: ID!) {{ {name}(id: $id) {{ __typename }} }}"
        assert (await a.data(change, id=id_))[name]["__typename"] == "NotFoundProblem"
        assert (await b.data(change, id=id_))[name]["__typename"] == possible


async def test_doing_something_takes_the_scope(teams: tuple[Team, Team], writer: WriterDB) -> None:
    """A token that may only read acknowledges, silences and sends nothing."""
    a, _ = teams
    a.token = await tokens.create(writer, "reader", ["read", "sync"], [a.namespace], NOW)
    answer = await a.post(
        'mutation ($ns: String!) { testChannel(namespace: $ns, name: "hook") { __typename } }', ns=a.namespace
    )
    assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_nobody_changes_the_other_teams_things(teams: tuple[Team, Team]) -> None:
    """A's wishes for B's provider reach nobody: B's reconciler finds nothing asked for."""
    a, b = teams
    assert (await a.data(SYNC, namespace=b.namespace, name="vendor"))["syncProvider"]["code"] == "NOT_FOUND"

    run = await runs.start(b.desk.db, b.namespace, "vendor", "Manual", READ_AT)
    assert await runs.claim_requests(b.desk.db, run) == []


@pytest.mark.parametrize("path", ["charges.csv", "charges.jsonl", "costs.csv", "charges/manifest", "costs/manifest"])
async def test_files_hold_the_own_alone(teams: tuple[Team, Team], path: str) -> None:
    """A's files and manifests have A's rows, whoever is named, now and as of the past."""
    a, b = teams
    for at in ({}, {"asOf": READ_AT.isoformat()}):
        own = (await a.get(f"/export/{path}", **PERIOD, **at)).text
        assert b.namespace not in own
        assert "1000" not in own
        theirs = (await a.get(f"/export/{path}", **PERIOD, **at, namespaces=b.namespace)).text
        nobodys = (await a.get(f"/export/{path}", **PERIOD, **at, namespaces="team-nobody")).text
        assert theirs.replace(b.namespace, "team-nobody") == nobodys
        assert "vendor" not in theirs.partition("\n")[2]


async def test_a_token_for_no_namespace_sees_nothing(teams: tuple[Team, Team], writer: WriterDB) -> None:
    """A token that was made for no namespace, or for odd names, sees nothing at all; "*" is no name."""
    a, _ = teams
    for odd in ([], ["*"], ["nobody"], [f"{a.namespace},*"], [""]):
        a.token = await tokens.create(writer, "odd", ["read"], odd, NOW)
        page = await a.data(PAGE, period=PERIOD, first=1)
        assert page["charges"]["totalCount"] == 0, odd
