"""From `kubectl apply` to the cost in GraphQL: the whole way, with both processes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.e2e.process import Process
from tests.e2e.team import Ledger, Team
from tests.e2e.waiting import pause, until
from tests.loopback import PLAIN

QUESTION = """
query ($namespace: String!) {
  provider(namespace: $namespace, name: "openai") {
    monthToDate { amount currency }
    conditions { type status reason }
  }
}
"""


@pytest.fixture(scope="module")
def api(ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The API over this worker's database, on loopback."""
    log = tmp_path_factory.mktemp("api") / "log"
    environment = {"COSTHOOK_DATABASE_URL": ledger.url}
    with Process("serve", "--listen", "127.0.0.1:0", log=log, environment=environment) as process:
        until(lambda: "http://" in process.said(), process.said)
        found = re.search(r"http://[\d.:]+", process.said())
        assert found is not None
        with httpx.Client(base_url=found[0], verify=PLAIN) as client:
            yield client


def test_the_cost_of_an_applied_provider_is_in_graphql(team: Team, api: httpx.Client) -> None:
    """Within two seconds of `kubectl apply` the cost can be read."""
    team.give_key()
    team.apply_provider()
    applied = time.monotonic()

    answer = _ask(api, team)
    while not (answer and answer["monthToDate"]):
        pause()
        answer = _ask(api, team)
    waited = time.monotonic() - applied

    team.wait_ready()
    [amount] = answer["monthToDate"]
    assert Decimal(amount["amount"]) > 0
    assert amount["currency"] == "USD"
    until(lambda: _conditions(api, team) == [("Ready", "True", "Succeeded")])
    assert waited <= 2


def test_a_sync_can_be_asked_for_in_graphql(team: Team, api: httpx.Client) -> None:
    """What GraphQL asks for, the reconciler in the cluster does."""
    team.give_key()
    team.apply_provider()
    team.wait_ready()
    team.books.amount = "3.00"

    asked = f'mutation {{ syncProvider(namespace: "{team.namespace}", name: "openai") {{ __typename }} }}'
    said = api.post("/graphql", json={"query": asked}).json()

    assert "errors" not in said, said
    team.until_cost("18")


def _ask(api: httpx.Client, team: Team) -> dict[str, Any] | None:
    answer = api.post("/graphql", json={"query": QUESTION, "variables": {"namespace": team.namespace}}).json()
    assert "errors" not in answer, answer
    found: dict[str, Any] | None = answer["data"]["provider"]
    return found


def _conditions(api: httpx.Client, team: Team) -> list[tuple[str, str, str]]:
    answer = _ask(api, team)
    assert answer is not None
    return [(each["type"].title(), each["status"].title(), each["reason"]) for each in answer["conditions"]]
