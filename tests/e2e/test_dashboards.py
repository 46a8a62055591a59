"""The dashboards and alerts of the chart, asked of real sources about figures that running processes made."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ledger import tokens
from ledger.database import connect_writer, driver_url
from tests import grafana
from tests.e2e.operating import probes
from tests.e2e.process import Process
from tests.e2e.prometheus import NEEDED, Prometheus, scraping
from tests.e2e.release import Release
from tests.e2e.team import Ledger, Team
from tests.e2e.test_rules import rendered, rules
from tests.e2e.vendor import Vendor
from tests.e2e.waiting import PATIENCE, until

pytestmark = NEEDED

NOBODY: Final = "http://127.0.0.1:9/hook"
"""A receiver that is not there."""
METRIC: Final = re.compile(r"\b(?:costhook|process)_\w+")
SELECTOR: Final = re.compile(r"(?:costhook_\w+|up)\{[^}]*\}")
LEVELS: Final = [{"percent": 100, "severity": "critical"}, {"percent": 50}, {"percent": 10, "severity": "info"}]


@dataclass(frozen=True)
class Scene:
    """A team, and the two data sources that the dashboards ask."""

    team: Team
    prometheus: Prometheus
    postgres: AsyncEngine

    async def figures(self, question: grafana.Question, values: Mapping[str, str]) -> list[Any]:
        """The figures, or cells, that Grafana would show."""
        end, asked = datetime.now(UTC), grafana.filled(question.text, values)
        if question.is_sql:
            return await self._cells(question, grafana.timed(asked, end - question.period, end))
        if question.target["instant"]:
            found = self.prometheus.ask("query", query=asked, time=end.timestamp())["result"]
            said = [row["value"][1] for row in found]
        else:
            period = {"start": (end - timedelta(minutes=2)).timestamp(), "end": end.timestamp(), "step": 1}
            found = self.prometheus.ask("query_range", query=asked, **period)["result"]
            said = [value for row in found for _, value in row["values"]]
        return [figure for figure in map(float, said) if not math.isnan(figure)]

    async def _cells(self, question: grafana.Question, sql: str) -> list[Any]:
        async with self.postgres.connect() as connection:
            found = await connection.exec_driver_sql(sql)
            columns, rows = list(found.keys()), [tuple(row) for row in found]
        if question.target["format"] == "time_series":
            assert columns == ["time", "metric", "value"]
            assert all(isinstance(row[0], datetime) and isinstance(row[1], str) for row in rows)
            return [row[2] for row in rows]
        return [cell for row in rows for cell in row if cell is not None]


@pytest.fixture(scope="module")
def scene(
    release: Release, reconciler: Process, vendor: Vendor, ledger: Ledger, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """The API's pod beside the reconciler, a Prometheus that scrapes both, Grafana's login, and a team's life."""
    folder, namespace = tmp_path_factory.mktemp("scene"), f"team-{uuid4().hex[:8]}"
    release.plane.kubectl("create", "namespace", namespace)
    team, token = Team(release.plane, vendor, ledger, namespace), asyncio.run(_token(ledger))
    with release.process(release.pod_spec("deployment", "api"), folder / "log") as api:
        until(lambda: "http://" in api.said(), api.said)
        found = re.search(r"http://[\d.:]+", api.said())
        assert found is not None
        scraped = scraping(folder / "prometheus", found[0], token, probes(reconciler), rendered())
        with scraped as prometheus, _login(ledger) as postgres:
            live(team)
            yield Scene(team, prometheus, postgres)


def live(team: Team) -> None:
    """All that the dashboards show: spend, a restatement, a budget that is breached, messages that nobody takes."""
    team.give_key()
    hook = {"metadata": {"name": "hook", "namespace": team.namespace}, "stringData": {"url": NOBODY}}
    breach = {"budgetRef": {"name": "ai"}, "on": "Spend", "levels": LEVELS}
    team.plane.apply(
        {"apiVersion": "v1", "kind": "Secret", **hook},
        _manifest(team, "Channel", "waiting", type="webhook", secretRef={"name": "hook"}),
        _manifest(team, "Channel", "lost", type="webhook", secretRef={"name": "hook"}),
        _manifest(team, "Budget", "ai", amount="1.00", currency="USD"),
        _manifest(team, "Alert", "over", **breach, channels=[{"name": "waiting"}, {"name": "lost"}]),
    )
    team.apply_provider(callBudget={"perDay": 100})
    team.wait_ready()
    team.books.amount = "2.00"
    team.sync_now()
    team.wait("jsonpath={.status.state}=Firing", "over", "calert")
    _give_up(team)


def _give_up(team: Team) -> None:
    """Let a day pass for what the Channel `lost` could not deliver, and have it tried once more."""
    lost, ours = "where namespace = :ns and channel = 'lost'", {"ns": team.namespace}
    until(lambda: team.ledger.rows(f"select id from notification {lost} and attempts > 0", **ours))
    team.ledger.rows(f"update notification set created_at = created_at - interval '1 day' {lost}", **ours)
    changed = {"type": "webhook", "secretRef": {"name": "hook"}, "rateLimit": {"messages": 20, "per": "1h"}}
    team.plane.apply(_manifest(team, "Channel", "lost", **changed))
    until(lambda: team.ledger.rows(f"select id from notification {lost} and state = 'Dead'", **ours))


def _manifest(team: Team, kind: str, name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": team.namespace}
    return {"apiVersion": "costhook.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


@contextmanager
def _login(ledger: Ledger) -> Iterator[AsyncEngine]:
    """The login that the documentation gives Grafana."""
    name = f"grafana_{uuid4().hex[:12]}"
    asyncio.run(_run(ledger.url, grafana.login(name)))
    yield create_async_engine(driver_url(grafana.as_login(ledger.url, name)))
    asyncio.run(_run(ledger.url, f"drop owned by {name}; drop role {name}"))


async def _run(url: str, script: str) -> None:
    engine = create_async_engine(driver_url(url))
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.execute(script)
    await engine.dispose()


async def _token(ledger: Ledger) -> str:
    db = connect_writer(ledger.url, pool_size=1)
    try:
        return await tokens.create(db, "prometheus", ["metrics"], None, datetime.now(UTC))
    finally:
        await db.close()


def test_every_query_returns_data(scene: Scene) -> None:
    """Every panel's every query, its variables filled in, finds figures in Prometheus or in the ledger.

    Once for this team's provider, once for everything, once for several that are chosen.
    """
    chosen = {"namespace": scene.team.namespace, "provider": "openai", "currency": "USD"}
    everything = chosen | {"namespace": ".*", "provider": ".*"}
    several = chosen | {name: f"({chosen[name]}|nobody)" for name in ("namespace", "provider")}
    empty = [(question, values) for values in (chosen, everything, several) for question in grafana.questions()]
    assert len(empty) > 3 * 40

    async def search() -> None:
        end = asyncio.get_running_loop().time() + PATIENCE
        while empty and asyncio.get_running_loop().time() < end:
            empty[:] = [each for each in empty if not await scene.figures(*each)]
            await asyncio.sleep(0.2)
        await scene.postgres.dispose()

    asyncio.run(search())

    assert [str(question) for question, _ in empty] == []


def test_every_name_is_known(scene: Scene) -> None:
    """Every metric that a panel names is scraped, also where a query falls back on 0, and every variable has values."""
    chosen = {"namespace": scene.team.namespace, "provider": "openai", "currency": "USD"}
    named = {name for each in grafana.questions() if not each.is_sql for name in METRIC.findall(each.text)}

    assert named - set(scene.prometheus.ask("label/__name__/values")) == set()
    for series, label in grafana.label_queries():
        asked = {"match[]": grafana.filled(series, chosen)}
        assert chosen[label] in scene.prometheus.ask(f"label/{label}/values", **asked)


def test_alerts_find_what_they_go_by(scene: Scene) -> None:
    """Every series that an alert of the chart asks for is scraped, and messages that were given up make one fire."""
    selectors = {found for rule in rules().values() for found in SELECTOR.findall(rule["expr"])}
    assert len(selectors) > 7
    assert [each for each in selectors if not scene.prometheus.ask("query", query=each)["result"]] == []

    def firing() -> set[tuple[str, ...]]:
        found = scene.prometheus.ask("alerts")["alerts"]
        names = ("alertname", "namespace", "channel")
        return {tuple(each["labels"].get(name, "") for name in names) for each in found if each["state"] == "firing"}

    until(lambda: ("CosthookDeadLetters", scene.team.namespace, "lost") in firing(), lambda: str(firing()))
