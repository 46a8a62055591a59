"""Three hundred Providers, applied, changed and deleted in any order; in the end everything is as an oracle says."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.e2e.controlplane import ControlPlane
from tests.e2e.team import Team
from tests.e2e.waiting import until

MANY = 300
BASE = "/apis/costhook.io/v1alpha1/namespaces"
Step = tuple[str, int]
STEPS = st.tuples(
    st.sampled_from(["lengthen", "suspend", "resume", "delete", "sync", "relabel"]), st.integers(0, MANY - 1)
)


@dataclass
class Wanted:
    """What the oracle expects of one Provider: its history in days, and whether it ever was to be synced."""

    history: int = 3
    suspended: bool = False
    asleep: bool = False
    deleted: bool = False
    policy: str = "Retain"


@dataclass
class Crowd:
    """The Providers of one team, and what is expected of each."""

    team: Team
    http: httpx.Client
    wanted: dict[int, Wanted] = field(default_factory=dict)

    def apply(self, number: int) -> None:
        asleep, policy = number % 2 == 1, "Delete" if number % 3 == 0 else "Retain"
        wanted = self.wanted[number] = Wanted(suspended=asleep, asleep=asleep, policy=policy)
        spec = {"history": f"{wanted.history}d", "deletionPolicy": policy, "suspend": asleep}
        self._send("POST", "", self.team.provider(_name(number), **spec))

    def step(self, action: str, number: int) -> None:
        wanted = self.wanted[number]
        if wanted.deleted:
            return
        match action:
            case "lengthen":
                wanted.history += 1
                self._patch(number, spec={"history": f"{wanted.history}d"})
            case "suspend" | "resume":
                wanted.suspended = action == "suspend"
                wanted.asleep = wanted.asleep and wanted.suspended
                self._patch(number, spec={"suspend": wanted.suspended})
            case "relabel":
                self._patch(number, metadata={"labels": {"round": str(wanted.history)}})
            case "sync":
                self._patch(number, metadata={"annotations": {"costhook.io/requested-at": f"at-{wanted.history}"}})
            case "delete":
                wanted.deleted = True
                self._send("DELETE", f"/{_name(number)}")

    def settle(self) -> None:
        """Let everything that may have synced before it was suspended go on, so that nothing depends on timing."""
        for number, wanted in self.wanted.items():
            if wanted.suspended and not wanted.asleep:
                self.step("resume", number)

    def amiss(self) -> list[str]:
        """What is not yet as it should be."""
        found = self.http.get(f"{BASE}/{self.team.namespace}/providers").json()["items"]
        objects = {each["metadata"]["name"]: each for each in found}
        return [complaint for number in self.wanted for complaint in self._amiss(number, objects.get(_name(number)))]

    def cost(self) -> dict[str, Decimal]:
        rows = self.team.ledger.rows(
            "select provider, sum(billed_cost) from daily_cost where namespace = :n group by provider",
            n=self.team.namespace,
        )
        return {name: Decimal(amount) for name, amount in rows}

    def _amiss(self, number: int, found: dict[str, Any] | None) -> list[str]:
        wanted, name = self.wanted[number], _name(number)
        if wanted.deleted or found is None:
            return [] if wanted.deleted and found is None else [f"{name}: deleted={wanted.deleted}, found={found}"]
        ready: dict[str, Any] = next((c for c in found["status"].get("conditions", ()) if c["type"] == "Ready"), {})
        said = ready.get("reason"), found["status"].get("observedGeneration")
        expected = "Suspended" if wanted.asleep else "Succeeded", found["metadata"]["generation"]
        return [] if said == expected else [f"{name}: {said} is not {expected}"]

    def _patch(self, number: int, **change: Any) -> None:
        self._send("PATCH", f"/{_name(number)}", change)

    def _send(self, method: str, path: str, body: Any = None) -> None:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = self.http.request(
            method,
            f"{BASE}/{self.team.namespace}/providers{path}",
            content=json.dumps(body) if body is not None else None,
            headers={"Content-Type": kind},
        )
        assert answer.is_success, answer.text


@pytest.mark.timeout(300)
def test_many_providers_in_any_order(team: Team) -> None:
    """Status and ledger agree with the oracle, whatever was done to whom in which order."""
    team.give_key()
    with _client(team.plane) as http:
        crowd = Crowd(team, http)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(crowd.apply, range(MANY)))
        _shuffle(crowd)
        crowd.settle()
        until(lambda: not crowd.amiss(), lambda: "; ".join(crowd.amiss()[:5]), 200, every=1)
        _compare(crowd)


def _shuffle(crowd: Crowd) -> None:
    @settings(max_examples=1, phases=[Phase.generate], database=None, derandomize=False)
    @given(st.lists(STEPS, min_size=150, max_size=200))
    def steps(chosen: list[Step]) -> None:
        for action, number in chosen:
            crowd.step(action, number)

    run: Callable[[], None] = steps
    run()


def _compare(crowd: Crowd) -> None:
    gone = [_name(number) for number, wanted in crowd.wanted.items() if wanted.deleted and wanted.policy == "Delete"]
    until(lambda: not set(gone) & set(crowd.cost()))
    cost = crowd.cost()
    for number, wanted in crowd.wanted.items():
        if not wanted.deleted:
            expected = 0 if wanted.asleep else Decimal("1.25") * (wanted.history + 1)
            assert cost.get(_name(number), 0) == expected, _name(number)
    left = crowd.team.ledger.rows(
        "select name from provider where namespace = :n and deleted_at is null order by name", n=crowd.team.namespace
    )
    assert [name for (name,) in left] == sorted(_name(n) for n, wanted in crowd.wanted.items() if not wanted.deleted)


def _name(number: int) -> str:
    return f"account-{number:03}"


def _client(plane: ControlPlane) -> httpx.Client:
    return httpx.Client(
        base_url=plane.url, headers={"Authorization": f"Bearer {plane.token}"}, verify=plane.trust(), timeout=30
    )
