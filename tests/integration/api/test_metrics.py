"""/metrics: true figures under names that Prometheus' own checker accepts, in a bounded number."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import PIPE, STDOUT
from datetime import timedelta

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.server import listening
from ledger import accounts, resources, runs, tokens
from ledger.accounts import Account
from ledger.database import ReaderDB, WriterDB
from ledger.reads import metrics as reading
from ledger.resources import Ref, Sighting
from tests.integration.api.conftest import NOW, Asker, settings
from tests.integration.ledger.conftest import READ_AT, Desk, charge, days
from tests.loopback import PLAIN

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str, namespace: str) -> Samples:
    """The samples of a namespace, by name and the other labels."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            if labels.pop("namespace", None) == namespace:
                found[sample.name, frozenset(labels.items())] = sample.value
    return found


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"costhook_{name}", frozenset(labels.items())


async def scrape(asker: Asker, namespace: str) -> Samples:
    answer = await asker.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return samples(answer.text, namespace)


async def test_spend_is_told_by_service_and_currency(asker: Asker, desk: Desk) -> None:
    """Month to date ends today, the last complete day is the provider's own, and nothing unpriced is free."""
    said = [
        charge(0, "28 Sep", "100", service="A"),
        charge(3, "1 Oct", "1", service="A"),
        charge(4, "2 Oct", "2", service="A"),
        charge(4, "2 Oct", "3", service="B", currency="EUR"),
        charge(4, "2 Oct", None, service="B", currency="EUR"),
        charge(5, "3 Oct", "1000", service="A"),
    ]
    await desk.sync(days(0, 5), said[:-1])
    found = await scrape(asker, desk.namespace)

    a, b = (
        {"provider": desk.name, "service": "A", "currency": "USD"},
        {"provider": desk.name, "service": "B", "currency": "EUR"},
    )
    assert found[of("spend_month_to_date", **a)] == 3
    assert found[of("spend_last_complete_day", **a)] == 2
    assert found[of("spend_month_to_date", **b)] == 3
    assert found[of("unpriced_charges", **b)] == 1
    assert found[of("complete_through_timestamp_seconds", provider=desk.name)] == NOW.replace(day=3, hour=0).timestamp()

    await desk.sync(days(5, 6), said[-1:])
    assert (await scrape(asker, desk.namespace))[of("spend_month_to_date", **a)] == 3


async def test_syncs_and_their_fate_are_told(asker: Asker, desk: Desk) -> None:
    """Readiness, outcomes, durations, vendor calls and restatements of the last day are there."""
    ref = Ref(desk.namespace, "Provider", desk.name)
    await resources.see(desk.db, Sighting(ref, "u", 1, "s", None, {}, {}), NOW)
    await resources.write_status(desk.db, ref, {"conditions": [{"type": "Ready", "status": "True"}]}, NOW)
    await desk.sync(days(0, 2), [charge(0, "a", "5")], at=NOW - timedelta(hours=3))
    await desk.sync(days(0, 2), [charge(0, "a", "4")], at=NOW - timedelta(hours=1))
    begun = NOW - timedelta(hours=2)
    endings: tuple[tuple[runs.Outcome, int], ...] = (("Failed", 30), ("Succeeded", 90))
    for outcome, seconds in endings:
        run = await runs.start(desk.db, desk.namespace, desk.name, "Schedule", begun)
        await runs.meter(desk.db, run, NOW.date(), 7, 100)
        await runs.finish(desk.db, run, outcome, begun + timedelta(seconds=seconds))

    found, mine = await scrape(asker, desk.namespace), {"provider": desk.name}
    assert found[of("provider_ready", **mine)] == 1
    assert found[of("provider_suspended", **mine)] == 0
    assert found[of("syncs_last_day", outcome="Failed", **mine)] == 1
    assert found[of("last_sync_duration_seconds", **mine)] == 90
    assert found[of("last_successful_sync_timestamp_seconds", **mine)] == (begun + timedelta(seconds=90)).timestamp()
    assert of("next_sync_timestamp_seconds", **mine) not in found
    assert found[of("vendor_calls_today", **mine)] == 14
    assert found[of("restated_amount_last_day", currency="USD", **mine)] == -1


async def test_when_data_and_syncs_are_due_is_told(asker: Asker, desk: Desk, writer: WriterDB) -> None:
    """The day after the whole ones is due when it is over and its lag has passed; before the first, since creation."""
    await accounts.schedule(writer, desk.namespace, desk.name, NOW + timedelta(hours=6))
    lag, mine = timedelta(days=1, hours=6), {"provider": desk.name}
    await accounts.register(writer, Account(desk.namespace, desk.name, "Provider", "openai", lag=lag), READ_AT)
    before = await scrape(asker, desk.namespace)
    await desk.sync(days(0, 2), [charge(0, "a", "5")])
    after = await scrape(asker, desk.namespace)

    created = before[of("provider_created_timestamp_seconds", **mine)]
    assert created == READ_AT.timestamp()
    assert before[of("next_sync_timestamp_seconds", **mine)] == (NOW + timedelta(hours=6)).timestamp()
    assert before[of("data_due_timestamp_seconds", **mine)] == created + lag.total_seconds()
    whole = after[of("complete_through_timestamp_seconds", **mine)]
    assert after[of("data_due_timestamp_seconds", **mine)] == whole + (timedelta(days=1) + lag).total_seconds()


async def test_the_number_of_series_is_bounded(reader: ReaderDB, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the largest, services are added up as `other` of their provider and currency: no amount is lost."""
    monkeypatch.setattr(reading, "TOP", 3)
    said = [charge(4, "x", str(10 * i + 1), service=f"S{i}", currency=c) for i in range(5) for c in ("USD", "EUR")]
    await desk.sync(days(4, 5), said)
    token = await tokens.create(desk.db, "x", ["metrics"], [desk.namespace], NOW)
    app = create_app(settings(authentication=True), reader)
    async with listening(app, "127.0.0.1", 0) as url, httpx.AsyncClient(timeout=20, verify=PLAIN) as http:
        answer = await http.get(f"{url}/metrics", headers={"authorization": f"Bearer {token}"})

    found = samples(answer.text, desk.namespace)
    spent = {labels: value for (name, labels), value in found.items() if name == "costhook_spend_month_to_date"}
    assert len(spent) == 3 + 2
    for currency in ("USD", "EUR"):
        assert sum(value for labels, value in spent.items() if ("currency", currency) in labels) == 105


async def test_a_scraper_sees_its_namespaces(reader: ReaderDB, writer: WriterDB, desk: Desk, namespace: str) -> None:
    """A token scrapes with the scope for it, its own namespaces, and the whole house only where it sees all of it."""
    await accounts.register(writer, Account("elsewhere", "theirs", "Provider", "openai"), READ_AT)
    app = create_app(settings(authentication=True), reader)
    async with listening(app, "127.0.0.1", 0) as url, httpx.AsyncClient(timeout=20, verify=PLAIN) as http:

        async def get(scopes: list[str], namespaces: list[str] | None) -> httpx.Response:
            token = await tokens.create(writer, "x", scopes, namespaces, NOW)
            return await http.get(f"{url}/metrics", headers={"authorization": f"Bearer {token}"})

        assert (await get(["read"], None)).status_code == 403
        own = (await get(["metrics"], [namespace])).text
        assert desk.name in own
        assert "theirs" not in own
        assert "costhook_database_size_bytes" not in own
        whole = (await get(["metrics"], None)).text
        assert "theirs" in whole
        assert "costhook_database_size_bytes" in whole


@pytest.mark.skipif(
    shutil.which("promtool") is None and "COSTHOOK_REQUIRE_PROGRAMS" not in os.environ,
    reason="promtool is missing: apt-get install prometheus",
)
async def test_prometheus_own_checker_finds_no_fault(asker: Asker, desk: Desk) -> None:
    """`promtool check metrics` accepts names, help texts and format."""
    await desk.sync(days(0, 5), [charge(4, "x", "1")])
    text = (await asker.http.get("/metrics")).text
    checked = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await checked.communicate(text.encode())

    assert (checked.returncode, said.decode()) == (0, "")
