"""A manifest in a folder and an object in a cluster are good for the same reasons: models and API server agree."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from reconciler.kinds.catalogue import Kind, kinds
from reconciler.kinds.crds import VERSION, crd
from reconciler.kinds.reading import spec_faults
from reconciler.kinds.rules import Fault
from tests.e2e import specs
from tests.e2e.controlplane import ControlPlane
from tests.e2e.release import Release
from tests.e2e.specs import Spec

KINDS: Final = kinds()
TOLD_APART: Final = re.compile(r"!has\(self\.(\w+)\) \|\| self\.type == '\1'")
"""The rule by which a kind with types gives each a block of its own."""
ONLY_HERE: Final = (("Provider", "focus", "timeZone"), ("Provider", "http"), ("Channel", "quietHours", "timeZone"))
"""Fields of which only the models can tell: CEL knows no time zones, and reads no JMESPath and no templates."""


def types(kind: Kind) -> list[str | None]:
    """The types of a kind that have blocks of their own; None alone for a kind without types."""
    rules = [rule["rule"] for rule in kind.schema.get("x-kubernetes-validations", ())]
    return [found[1] for rule in rules if (found := TOLD_APART.fullmatch(rule))] or [None]


CASES: Final = [(kind.name, type_) for kind in KINDS.values() for type_ in types(kind)]
EXAMPLES: Final = max(25, 600 // len(CASES))


def seeds(kind: str, type_: str | None) -> list[Spec]:
    """The specs that are shown to readers, of one type."""
    return [spec for spec in specs.written(kind) if type_ is None or spec.get("type") == type_]


def _without_rules(schema: dict[str, Any], about: str) -> None:
    schema["x-kubernetes-validations"] = [
        rule for rule in schema["x-kubernetes-validations"] if about not in rule["rule"]
    ]


PLANTS: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "a bound": lambda spec: spec["properties"]["callBudget"]["properties"]["perDay"].update(minimum=400),
    "a form": lambda spec: spec["properties"]["secretRef"]["properties"]["name"].pop("x-kubernetes-validations"),
    "a rule between fields": lambda spec: _without_rules(spec, "300"),
    "a rule on changes": lambda spec: _without_rules(spec, "oldSelf"),
}
"""Ways in which the schema of a Provider's spec might differ from the models."""


@dataclass(frozen=True)
class Server:
    """One kind at the API server, which is asked by dry runs."""

    http: httpx.Client
    kind: Kind
    group: str

    def refuses(self, spec: Spec) -> str | None:
        """What it says against a new object with this spec; None when it takes it."""
        return self._said(self.http.post(self._path("", "&dryRun=All"), json=self._object("tried", spec)))

    def refuses_change(self, name: str, old: Spec, new: Spec) -> str | None:
        """What it says against replacing one spec by another."""
        made = self.http.post(self._path("", ""), json=self._object(name, old))
        assert made.status_code == 201, made.text
        version = made.json()["metadata"]["resourceVersion"]
        return self._said(self.http.put(self._path(f"/{name}", "&dryRun=All"), json=self._object(name, new, version)))

    def _path(self, name: str, query: str) -> str:
        return f"/apis/{self.group}/{VERSION}/namespaces/default/{self.kind.plural}{name}?fieldValidation=Strict{query}"

    def _object(self, name: str, spec: Spec, version: str | None = None) -> Any:
        metadata = {"name": name} | ({} if version is None else {"resourceVersion": version})
        head = {"apiVersion": f"{self.group}/{VERSION}", "kind": self.kind.name, "metadata": metadata}
        return head | {"spec": spec}

    def _said(self, answer: httpx.Response) -> str | None:
        assert answer.status_code in (200, 201, 400, 422), answer.text
        return None if answer.is_success else str(answer.json()["message"])


@pytest.fixture(scope="module")
def http(plane: ControlPlane) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {plane.token}"}
    with httpx.Client(base_url=plane.url, headers=headers, verify=plane.trust()) as client:
        yield client


Copies = Callable[[str], Server]


@pytest.fixture(scope="module")
def copies(plane: ControlPlane, http: httpx.Client) -> Iterator[Copies]:
    """Every kind by its name, in a group that nothing reconciles; and Providers by what was planted in their CRD."""
    definitions = {name: crd(kind) for name, kind in KINDS.items()} | {plant: _planted(plant) for plant in PLANTS}
    groups = {name: f"copy-{number}.example" for number, name in enumerate(definitions)}
    named = [_moved(definition, groups[name]) for name, definition in definitions.items()]
    plane.apply(*named)
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all")

    yield lambda name: Server(http, KINDS.get(name, KINDS["Provider"]), groups[name])

    plane.kubectl("delete", "crd", "--wait=false", *(each["metadata"]["name"] for each in named))


def _planted(plant: str) -> dict[str, Any]:
    definition = copy.deepcopy(crd(KINDS["Provider"]))
    PLANTS[plant](definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    return definition


def _moved(definition: Mapping[str, Any], group: str) -> dict[str, Any]:
    """The definition in another group, under no short name that another has."""
    names = {
        name: said for name, said in definition["spec"]["names"].items() if name not in ("shortNames", "categories")
    }
    metadata = {"name": f"{names['plural']}.{group}"}
    return {**definition, "metadata": metadata, "spec": {**definition["spec"], "group": group, "names": names}}


def compare(server: Server, spec: Spec) -> None:
    """Fail unless both say the same of a new object."""
    _same(server, spec_faults(server.kind, spec, None), server.refuses(spec), spec)


def compare_change(server: Server, name: str, old: Spec, new: Spec) -> None:
    """Fail unless both say the same of a change."""
    _same(server, spec_faults(server.kind, new, old), server.refuses_change(name, old, new), [old, new])


def _same(server: Server, ours: list[Fault], theirs: str | None, what: Any) -> None:
    if theirs is None and all(_is_only_here((server.kind.name, *fault.path)) for fault in ours):
        return
    assert bool(ours) == (theirs is not None), f"{what}: the models say {ours}, the API server {theirs}"


def _is_only_here(path: tuple[str | int, ...]) -> bool:
    return any(path[: len(place)] == place for place in ONLY_HERE)


QUICKLY: Final = (Phase.generate,)
"""For a difference that only has to be found, not shown at its smallest."""


def search(server: Server, shown: list[Spec], examples: int, phases: Sequence[Phase] = tuple(Phase)) -> None:
    """Compare on this many specs near those that are shown."""

    @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck), phases=phases)
    @given(specs.near(server.kind.schema, shown))
    def agreeing(spec: Spec) -> None:
        compare(server, spec)

    agreeing()


def search_changes(server: Server, shown: list[Spec], examples: int, phases: Sequence[Phase] = tuple(Phase)) -> None:
    """Compare on this many changes from one good spec to another, good or bad."""
    numbers = count()

    @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck), phases=phases)
    @given(specs.near(server.kind.schema, shown, 1), st.data())
    def agreeing(old: Spec, data: st.DataObject) -> None:
        assume(not spec_faults(server.kind, old, None))
        new = data.draw(specs.near(server.kind.schema, [old, *shown], 2))
        compare_change(server, f"changed-{next(numbers)}", old, new)

    agreeing()


@pytest.mark.parametrize(("kind", "type_"), CASES)
def test_models_and_api_server_agree(http: httpx.Client, release: Release, kind: str, type_: str | None) -> None:
    """Of hundreds of specs, good and bad, the API server refuses those that the models refuse, and no others."""
    server = Server(http, KINDS[kind], "costhook.io")
    shown = seeds(kind, type_)
    assert shown, f"no example and no guide shows a {kind} of type {type_}"

    for spec in shown:
        assert server.refuses(spec) is None
    search(server, shown, EXAMPLES)


@pytest.mark.parametrize("value", [[], ["2026-01-31"], {}, 5, "2026-02-30"], ids=json.dumps)
def test_what_is_no_date_is_refused_by_both(http: httpx.Client, release: Release, value: Any) -> None:
    """By its schema alone an API server would take a list where a date is due."""
    item = {"sku": "disk", "unit": "GB-Months", "amount": "0.25", "currency": "USD"}
    spec = {"type": "render", "secretRef": {"name": "key"}, "render": {"prices": {"asOf": value, "items": [item]}}}
    server = Server(http, KINDS["Provider"], "costhook.io")

    assert spec_faults(server.kind, spec, None)
    assert server.refuses(spec)


@pytest.mark.parametrize("kind", KINDS)
def test_models_and_api_server_agree_on_changes(copies: Copies, kind: str) -> None:
    """Of changes, too, both refuse the same ones: what must not change, and what must be good after it."""
    shown = specs.written(kind)
    assert shown, f"no example and no guide shows a {kind}"

    search_changes(copies(kind), shown, EXAMPLES)


@pytest.mark.parametrize("plant", ["a bound", "a rule between fields", "a form"])
def test_a_planted_difference_is_found(copies: Copies, plant: str) -> None:
    """When the CRD says something else than the models in one place, the search comes upon it."""
    with pytest.raises(AssertionError, match="the models say"):
        search(copies(plant), seeds("Provider", "openai"), 2000, QUICKLY)


def test_a_planted_difference_on_changes_is_found(copies: Copies) -> None:
    """When the CRD lets something change that the models do not, the search comes upon it."""
    with pytest.raises(AssertionError, match="the models say"):
        search_changes(copies("a rule on changes"), specs.written("Provider"), 500, QUICKLY)
