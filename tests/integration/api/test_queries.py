"""Providers, syncs, restatements, connectors and the caller, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from ledger import accounts, resources, runs
from ledger.accounts import Account
from ledger.database import WriterDB
from ledger.resources import Ref, Sighting
from tests.integration.api.conftest import Asker
from tests.integration.ledger.conftest import READ_AT, Desk, charge, days

PROVIDERS = """
query ($filter: ProviderFilter, $first: Int! = 50, $after: String) {
  providers(filter: $filter, first: $first, after: $after) {
    totalCount
    edges { node {
      namespace name kind type labels suspended removed place completeThrough lastSyncTime nextSyncTime unpricedLines
      conditions { type status reason message lastTransitionTime }
      account { id name notes checkedAt } syncCost { calls perSync { amount currency } perMonth { amount currency } }
      monthToDate { amount currency }
      runningSync { provider windowsDone windowsTotal }
    } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": "Unauthorized",
    "message": "make an admin key",
    "lastTransitionTime": "2026-10-01T00:00:00Z",
    "observedGeneration": 1,
}


async def shown(asker: Asker, namespace: str, **chosen: Any) -> list[dict[str, Any]]:
    answer = await asker.ask(PROVIDERS, filter={"namespaces": [namespace], **chosen})
    assert answer["providers"]["totalCount"] == len(answer["providers"]["edges"])
    return [edge["node"] for edge in answer["providers"]["edges"]]


SYNC_COST = {
    "calls": 2,
    "perSync": {"amount": "0.02", "currency": "USD"},
    "perMonth": {"amount": "1.2", "currency": "USD"},
}
ACCOUNT = {"id": "acc-1", "notes": ["a good key"], "checkedAt": "2026-11-21T12:00:00Z"}


async def declare(db: WriterDB, namespace: str, name: str, kind: str = "Provider", **spec: Any) -> None:
    """A resource as a source shows it, with a condition and what its connector found."""
    said = {"conditions": [CONDITION], "account": ACCOUNT, "syncCost": SYNC_COST}
    ref = Ref(namespace, kind, name)
    await resources.see(db, Sighting(ref, "uid", 1, "folder", "a.yaml:1", {"env": "prod"}, spec), READ_AT)
    await resources.write_status(db, ref, said, READ_AT)


async def test_a_provider_shows_what_is_known_of_it(asker: Asker, desk: Desk) -> None:
    """Resource, account, sums and syncs of a provider come together in one answer."""
    await declare(desk.db, desk.namespace, desk.name, type="openai")
    await desk.sync(days(0, 5), [charge(0, "a", "1.5"), charge(3, "b", "-0.25"), charge(4, "c", None)])
    run = await runs.start(desk.db, desk.namespace, desk.name, "Schedule", READ_AT)
    await runs.plan(desk.db, run, 7)

    [found] = await shown(asker, desk.namespace)
    assert found == {
        "namespace": desk.namespace,
        "name": desk.name,
        "kind": "PROVIDER",
        "type": "openai",
        "labels": {"env": "prod"},
        "suspended": False,
        "removed": False,
        "place": "a.yaml:1",
        "completeThrough": "2026-10-02",
        "lastSyncTime": None,
        "nextSyncTime": None,
        "unpricedLines": 1,
        "conditions": [
            {k: v for k, v in CONDITION.items() if k not in ("observedGeneration", "status")} | {"status": "FALSE"}
        ],
        "account": {**ACCOUNT, "name": None},
        "syncCost": SYNC_COST,
        "monthToDate": [{"amount": "-0.25", "currency": "USD"}],
        "runningSync": {"provider": desk.name, "windowsDone": 0, "windowsTotal": 7},
    }


async def test_month_to_date_ends_with_today(asker: Asker, desk: Desk) -> None:
    """Costs of days to come, which manual costs have, are not counted yet; the API's clock says 2 October."""
    await desk.sync(days(0, 7), [charge(3, "1 Oct", "1"), charge(4, "2 Oct", "2"), charge(5, "3 Oct", "4")])

    [found] = await shown(asker, desk.namespace)
    assert found["monthToDate"] == [{"amount": "3", "currency": "USD"}]


async def test_refused_and_removed_providers_are_shown(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """A resource that never got an account is listed; one that is gone only when asked for."""
    await declare(writer, namespace, "refused", type="nope")
    await declare(writer, namespace, "by-hand", kind="ManualCost")
    gone = Account(namespace, "gone", "Provider", "openai")
    await accounts.register(writer, gone, READ_AT)
    await accounts.retire(writer, gone, READ_AT)

    listed = await shown(asker, namespace)
    assert [(p["name"], p["kind"], p["type"]) for p in listed] == [
        ("by-hand", "MANUAL_COST", "manual"),
        ("refused", "PROVIDER", "nope"),
    ]
    assert [p["name"] for p in await shown(asker, namespace, removed=True)] == ["gone"]
    assert len(await shown(asker, namespace, removed=None)) == 3


async def test_providers_are_filtered(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """Each field of the filter chooses, and all of them together."""
    await declare(writer, namespace, "a", type="openai")
    await accounts.register(writer, Account(namespace, "b", "Provider", "focus", {"env": "test"}, True), READ_AT)
    for chosen, names in (
        ({"names": ["a"]}, ["a"]),
        ({"types": ["focus"]}, ["b"]),
        ({"labels": [{"key": "env", "values": ["prod"]}]}, ["a"]),
        ({"labels": [{"key": "env"}]}, ["a", "b"]),
        ({"ready": False}, ["a", "b"]),
        ({"ready": True}, []),
        ({"suspended": True}, ["b"]),
        ({"suspended": True, "types": ["openai"]}, []),
        ({"names": []}, []),
    ):
        assert [p["name"] for p in await shown(asker, namespace, **chosen)] == names, chosen


async def test_providers_come_in_pages(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """Pages of providers, one behind the other, hold each once, in order."""
    for name in "cabde":
        await accounts.register(writer, Account(namespace, name, "Provider", "openai"), READ_AT)
    names, pages, after = [], 0, None
    while pages == 0 or after is not None:
        pages += 1
        page = (await asker.ask(PROVIDERS, filter={"namespaces": [namespace]}, first=2, after=after))["providers"]
        names += [edge["node"]["name"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None

    assert (names, pages) == (list("abcde"), 3)


async def test_one_provider_by_name(asker: Asker, desk: Desk) -> None:
    """A provider is found by namespace and name; one that does not exist is null, without an error."""
    query = "query ($ns: String!, $name: String!) { provider(namespace: $ns, name: $name) { name type } }"

    assert (await asker.ask(query, ns=desk.namespace, name=desk.name))["provider"]["name"] == desk.name
    assert (await asker.ask(query, ns=desk.namespace, name="other"))["provider"] is None


async def test_sync_runs_tell_how_they_went(asker: Asker, desk: Desk) -> None:
    """Runs are listed newest first, by namespace, provider and outcome, page by page, also below their provider."""
    outcomes: tuple[runs.Outcome, ...] = ("Succeeded", "Failed", "Succeeded")
    for outcome in outcomes:
        run = await runs.start(desk.db, desk.namespace, desk.name, "Schedule", READ_AT)
        await runs.meter(desk.db, run, READ_AT.date(), 3, 5_000_000_000)
        await runs.finish(desk.db, run, outcome, READ_AT + timedelta(minutes=1), error="no")
    query = """query ($ns: String!, $outcome: SyncOutcome, $after: String) {
      syncRuns(namespace: $ns, provider: "vendor", outcome: $outcome, first: 2, after: $after) {
        totalCount edges { node { outcome trigger calls bytesRead error finishedAt } } pageInfo { endCursor }
      }
      provider(namespace: $ns, name: "vendor") { syncRuns(first: 2, after: $after) { edges { node { outcome } } } }
    }"""
    first = await asker.ask(query, ns=desk.namespace)
    assert first["syncRuns"]["totalCount"] == 3
    assert [e["node"]["outcome"] for e in first["syncRuns"]["edges"]] == ["SUCCEEDED", "FAILED"]
    assert first["syncRuns"]["edges"][0]["node"]["bytesRead"] == 5_000_000_000
    second = await asker.ask(query, ns=desk.namespace, after=first["syncRuns"]["pageInfo"]["endCursor"])
    assert [e["node"]["outcome"] for e in second["syncRuns"]["edges"]] == ["SUCCEEDED"]
    assert second["provider"]["syncRuns"]["edges"] == [{"node": {"outcome": "SUCCEEDED"}}]
    failed = await asker.ask(query, ns=desk.namespace, outcome="FAILED")
    assert failed["syncRuns"]["totalCount"] == 1


async def test_restatements_tell_what_changed(asker: Asker, desk: Desk) -> None:
    """What a vendor changed is told per currency and window; what was merely arriving only when asked for."""
    await desk.sync(days(0, 3), [charge(0, "a", "1"), charge(1, "b", "2", currency="EUR")])
    later = READ_AT + timedelta(hours=1)
    await desk.sync(days(0, 3), [charge(0, "a", "1.5"), charge(2, "c", "4")], at=later)
    query = """query ($filter: ChargeFilter, $arriving: Boolean!, $after: String, $period: Period) {
      restatements(filter: $filter, arriving: $arriving, period: $period, first: 1, after: $after) {
        totalCount pageInfo { endCursor }
        edges { node {
          currency restated net inserted { rows amount } changed { rows amount } removed { rows amount }
        } }
      }
    }"""
    chosen = {"namespaces": [desk.namespace]}
    first = (await asker.ask(query, filter=chosen, arriving=False))["restatements"]
    second = await asker.ask(query, filter=chosen, arriving=False, after=first["pageInfo"]["endCursor"])
    nodes = {e["node"]["currency"]: e["node"] for e in (*first["edges"], *second["restatements"]["edges"])}
    assert first["totalCount"] == 2
    assert nodes["EUR"]["removed"] == {"rows": 1, "amount": "2"}
    assert (nodes["EUR"]["net"], nodes["USD"]["net"]) == ("-2", "4.5")

    every = (await asker.ask(query, filter={**chosen, "currencies": ["USD"]}, arriving=True))["restatements"]
    assert every["totalCount"] == 2
    elsewhere = {"from": "2026-01-01", "to": "2026-02-01"}
    assert (await asker.ask(query, filter=chosen, arriving=True, period=elsewhere))["restatements"]["totalCount"] == 0
    error = await asker.refused(query, filter={"services": ["S"]}, arriving=True)
    assert (error["code"], error["field"]) == ("BAD_INPUT", "filter")


async def test_connectors_and_the_caller_introduce_themselves(asker: Asker) -> None:
    """What can be synced and who asks is told; at the machine itself, everyone sees everything."""
    data = await asker.ask("{ viewer { kind name namespaces scopes } connectors { type origin settlingDays guide } }")

    assert data["viewer"] == {
        "kind": "LOCAL",
        "name": "local",
        "namespaces": None,
        "scopes": ["alert", "export", "metrics", "read", "sync"],
    }
    assert data["connectors"] == [
        {"type": "openai", "origin": "API", "settlingDays": 1.0, "guide": "docs/connectors/openai.md"}
    ]


async def test_amounts_keep_every_digit(asker: Asker, desk: Desk) -> None:
    """Amounts are text in plain notation, however large or small."""
    amounts = ("1E+20", "0.000000000000000000000001", "-12345678901234567890.12345678901234567890", "7.50")
    await desk.sync(days(0, 5), [charge(i, "a", amount) for i, amount in enumerate(amounts)])
    query = """query ($ns: [String!]) { charges(period: {from: "2026-09-01", to: "2026-11-01"}, orderBy: OLDEST,
      filter: {namespaces: $ns}) { edges { node { billedCost } } } }"""
    shown = [edge["node"]["billedCost"] for edge in (await asker.ask(query, ns=[desk.namespace]))["charges"]["edges"]]

    assert not any("E" in text for text in shown)
    assert [Decimal(text) for text in shown] == [Decimal(amount) for amount in amounts]
    assert shown[0] == "100000000000000000000"
