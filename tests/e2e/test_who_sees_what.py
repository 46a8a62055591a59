"""In a cluster RBAC alone decides who sees which costs: real service accounts, groups and bindings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from tests.e2e.release import Release
from tests.e2e.team import Team
from tests.e2e.waiting import until
from tests.loopback import PLAIN

MINUTE = 60.0


@dataclass(frozen=True)
class Person:
    """Somebody with a service account in a namespace, who asks the API."""

    team: Team
    url: str
    name: str

    @property
    def token(self) -> str:
        return self.team.kubectl("create", "token", self.name).strip()

    def bind(self, role: str, *, team: Team | None = None) -> str:
        """Bind the person's account to a role of the cluster in a team's namespace; the name of the binding."""
        name, account = f"{self.name}-{role}", f"--serviceaccount={self.team.namespace}:{self.name}"
        (team or self.team).kubectl("create", "rolebinding", name, f"--clusterrole={role}", account)
        return name

    def ask(self, token: str, query: str = "{ providers { edges { node { namespace } } } }") -> httpx.Response:
        return httpx.post(
            f"{self.url}/graphql", json={"query": query}, headers={"Authorization": f"Bearer {token}"}, verify=PLAIN
        )

    def sees(self, token: str) -> set[str]:
        """The namespaces whose providers they are shown."""
        edges = self.ask(token).json()["data"]["providers"]["edges"]
        return {edge["node"]["namespace"] for edge in edges}

    def syncs(self, token: str) -> str:
        """What they are answered when they ask for a sync."""
        return self.changes(token, f'syncProvider(namespace: "{self.team.namespace}", name: "openai")')

    def tests(self, token: str) -> str:
        """What they are answered when they ask for a test message to a channel that there is not."""
        return self.changes(token, f'testChannel(namespace: "{self.team.namespace}", name: "none")')

    def changes(self, token: str, what: str) -> str:
        """What they are answered when they ask for a change: the type of the answer, or why not."""
        said = self.ask(token, f"mutation {{ done: {what} {{ __typename }} }}").json()
        return str(said["errors"][0]["message"] if "errors" in said else said["data"]["done"]["__typename"])


@pytest.fixture(scope="module")
def api(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API's pod as a process, with the rights that the chart gives it; its base URL."""
    log = tmp_path_factory.mktemp("api") / "log"
    with release.process(release.pod_spec("deployment", "api"), log) as process:
        until(lambda: "http://" in process.said(), process.said)
        found = re.search(r"http://[\d.:]+", process.said())
        assert found is not None
        yield found[0]


@pytest.fixture
def person(team: Team, api: str) -> Person:
    """Somebody in a team whose cost is known."""
    team.give_key()
    team.apply_provider()
    team.wait_ready()
    somebody = Person(team, api, f"somebody-{uuid4().hex[:6]}")
    team.kubectl("create", "serviceaccount", somebody.name)
    return somebody


def test_viewers_see_their_namespace_and_no_other(person: Person) -> None:
    """Whoever may `get providers` in a namespace sees its costs, and may ask for nothing."""
    person.bind("view")
    token = person.token

    until(lambda: "data" in person.ask(token).json())
    assert person.sees(token) == {person.team.namespace}
    assert "not ask for syncs" in person.syncs(token) or "scope sync" in person.syncs(token)
    assert "do nothing about its alerts" in person.tests(token) or "scope alert" in person.tests(token)


def test_editors_may_ask_for_syncs_and_see_to_alerts(person: Person) -> None:
    """Whoever may change Providers in a namespace may have them synced, and who may change Alerts see to them."""
    person.bind("edit")

    assert person.syncs(person.token) == "SyncRequested"
    assert person.tests(person.token) == "NotFoundProblem"


def test_without_a_binding_nothing_is_seen(person: Person) -> None:
    """A token of the cluster alone opens nothing; no token, or a wrong one, is not let in at all."""
    assert person.sees(person.token) == set()
    assert person.ask("wrong.token.here").status_code == 401
    assert httpx.post(f"{person.url}/graphql", json={"query": "{ __typename }"}, verify=PLAIN).status_code == 401


def test_a_token_meant_for_somebody_else_is_no_good(person: Person) -> None:
    """A token of the cluster for another audience, such as a store of secrets, does not open Costhook."""
    person.bind("view")
    other = person.team.kubectl("create", "token", person.name, "--audience=elsewhere").strip()

    assert person.ask(person.token).status_code == 200
    assert person.ask(other).status_code == 401


def test_groups_count(person: Person) -> None:
    """A binding of a group is as good as one of the account."""
    group = f"system:serviceaccounts:{person.team.namespace}"
    person.team.kubectl("create", "rolebinding", "everybody", "--clusterrole=view", f"--group={group}")

    assert person.sees(person.token) == {person.team.namespace}


def test_a_revoked_binding_is_felt_within_a_minute(person: Person) -> None:
    """What somebody may see no more is not shown any more a minute later, with the same token."""
    binding = person.bind("view")
    token = person.token
    assert person.sees(token) == {person.team.namespace}

    person.team.kubectl("delete", "rolebinding", binding)

    until(lambda: person.sees(token) == set(), seconds=MINUTE)
