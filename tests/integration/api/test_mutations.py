"""Asking for syncs and stopping them over HTTP: what reaches the reconciler, and what the audit log says."""

from __future__ import annotations

import json
from datetime import date, timedelta

from sqlalchemy import text

from ledger import accounts, audit, runs
from ledger.accounts import Account
from ledger.database import ReaderDB, WriterDB
from ledger.notices import REQUESTS
from ledger.runs import Request
from tests.integration.api.conftest import NOW, Asker
from tests.integration.ledger.conftest import READ_AT, Desk

SYNC = """
mutation ($namespace: String!, $name: String!, $period: Period) {
  syncProvider(namespace: $namespace, name: $name, period: $period) {
    __typename
    ... on SyncRequested { namespace provider from to }
    ... on Problem { code message field }
  }
}
"""
CANCEL = """
mutation ($id: ID!) {
  cancelSync(id: $id) {
    __typename
    ... on CancelRequested { syncRun { id outcome cancelRequested } }
    ... on Problem { code message field }
  }
}
"""


async def test_a_sync_that_is_asked_for_waits_for_the_reconciler(asker: Asker, desk: Desk) -> None:
    """A request waits in the database, with its days, until a run takes it on."""
    period = {"from": "2026-09-01", "to": "2026-10-01"}
    for wanted in (period, None):
        answer = await asker.ask(SYNC, namespace=desk.namespace, name=desk.name, period=wanted)
        assert answer["syncProvider"] == {
            "__typename": "SyncRequested",
            "namespace": desk.namespace,
            "provider": desk.name,
            "from": wanted and wanted["from"],
            "to": wanted and wanted["to"],
        }

    run = await runs.start(desk.db, desk.namespace, desk.name, "Manual", READ_AT)
    taken = await runs.claim_requests(desk.db, run)
    assert taken == [Request(date(2026, 9, 1), date(2026, 10, 1)), Request(None, None)]


async def test_whoever_listens_is_told(asker: Asker, desk: Desk) -> None:
    """The reconciler is told at once which provider is meant, of syncs and of cancelations."""
    heard: list[object] = []
    async with desk.db.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        await driver.add_listener(REQUESTS, lambda *notice: heard.append(json.loads(notice[-1])))
        await asker.ask(SYNC, namespace=desk.namespace, name=desk.name)
        run = await runs.start(desk.db, desk.namespace, desk.name, "Manual", READ_AT)
        await asker.ask(CANCEL, id=await id_of(asker, run.namespace))
        await connection.execute(text("select 1"))
        await connection.invalidate()

    assert heard == [{"namespace": desk.namespace, "name": desk.name}] * 2


async def id_of(asker: Asker, namespace: str) -> str:
    query = "query ($ns: String!) { syncRuns(namespace: $ns, first: 1) { edges { node { id } } } }"
    edges = (await asker.ask(query, ns=namespace))["syncRuns"]["edges"]
    return str(edges[0]["node"]["id"])


async def test_a_running_sync_is_asked_to_stop(asker: Asker, desk: Desk) -> None:
    """Canceling marks the run, which sees it at its next window; a run that ended is a typed problem."""
    run = await runs.start(desk.db, desk.namespace, desk.name, "Manual", READ_AT)
    name = await id_of(asker, desk.namespace)
    answer = (await asker.ask(CANCEL, id=name))["cancelSync"]
    assert answer["syncRun"] == {"id": name, "outcome": "RUNNING", "cancelRequested": True}
    async with desk.db.transaction() as connection:
        assert await runs.is_canceled(connection, run)

    await runs.finish(desk.db, run, "Canceled", READ_AT + timedelta(minutes=1))
    answer = (await asker.ask(CANCEL, id=name))["cancelSync"]
    assert (answer["__typename"], answer["code"], answer["field"]) == ("StateProblem", "NOT_RUNNING", "id")


async def test_problems_are_typed(asker: Asker, writer: WriterDB, namespace: str) -> None:
    """What does not exist, is suspended, or is no id at all is answered as data, and nothing is asked for."""
    resting = Account(namespace, "resting", "Provider", "openai", suspended=True)
    await accounts.register(writer, resting, READ_AT)
    for name, code in (("resting", "SUSPENDED"), ("nobody", "NOT_FOUND")):
        problem = (await asker.ask(SYNC, namespace=namespace, name=name))["syncProvider"]
        assert (problem["code"], problem["field"]) == (code, "name")
    for bad in ("", "x", "WyJTeW5jUnVuIiw5OTksImEiXQ", "WyJQcm92aWRlciIsImEiLCJiIiwiUHJvdmlkZXIiXQ"):
        assert (await asker.ask(CANCEL, id=bad))["cancelSync"]["code"] == "NOT_FOUND"
    async with writer.transaction() as connection:
        asked = await connection.execute(text("select 1 from sync_request where namespace = :ns"), {"ns": namespace})
        assert asked.first() is None


async def test_changes_are_in_the_audit_log(asker: Asker, desk: Desk) -> None:
    """Who asked for what is written down with the change; what was refused is not."""
    period = {"from": "2026-09-01", "to": "2026-10-01"}
    await asker.post(
        SYNC, {"namespace": desk.namespace, "name": desk.name, "period": period}, **{"x-request-id": "asked-by-me"}
    )
    await asker.ask(SYNC, namespace=desk.namespace, name="nobody")

    [entry] = [entry for entry in await audit.latest(desk.db, 50) if entry.namespace == desk.namespace]
    assert entry == audit.Entry(
        at=NOW,
        actor="local",
        actor_kind="local",
        action="syncProvider",
        namespace=desk.namespace,
        subject=desk.name,
        detail=period,
        request_id="asked-by-me",
    )


async def test_readers_change_nothing_else_of_a_run(reader: ReaderDB, desk: Desk) -> None:
    """Postgres itself lets the API's role ask a run to stop, and neither take that back nor touch anything else."""
    await runs.start(desk.db, desk.namespace, desk.name, "Manual", READ_AT)
    changes = ("cancel_requested = true", "cancel_requested = false", "outcome = 'Failed'", "rows_read = 1")
    seen = [await attempt(reader, desk.namespace, change) for change in changes]
    assert seen == ["1 changed", "denied", "denied", "denied"]
    assert await attempt(reader, "elsewhere", "cancel_requested = true") == "0 changed"


async def attempt(reader: ReaderDB, namespace: str, change: str) -> str:
    """Try to change every run that the reader sees with one namespace."""
    try:
        async with reader.transaction([namespace]) as connection:
            done = await connection.execute(text(f"update sync_run set {change}"))
            return f"{done.rowcount} changed"
    except Exception as error:  # noqa: BLE001  # of whichever kind, by what it says
        refused = "permission denied" in str(error) or "row-level security" in str(error)
        return "denied" if refused else str(error)
