"""What a Provider's spec may say, and how a wrong one is answered."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.connectors.base import Settings
from reconciler.kinds.catalogue import kinds
from reconciler.kinds.durations import parse
from reconciler.kinds.provider import ProviderSpec, provider_spec
from reconciler.kinds.reading import read, settings_faults, settings_of, spec_faults
from reconciler.kinds.shape import InvalidSpec, dotted
from reconciler.kinds.structural import Unsayable
from tests.unit.kinds.vendors import OFFERED, Keyed, KeyedSettings, Listed, ListedSettings

PROVIDER = kinds(OFFERED)["Provider"]
KEY = {"secretRef": {"name": "vendor-key"}}


def told(spec: Any, old: Any = None) -> dict[str, str]:
    """The first message by path."""
    faults = spec_faults(PROVIDER, spec, old)
    return {dotted(fault.path): fault.message for fault in reversed(faults)}


def spec(**fields: Any) -> ProviderSpec:
    found = read(PROVIDER, {"type": "keyed", **KEY, **fields})
    assert isinstance(found, ProviderSpec)
    return found


def test_defaults_are_those_of_the_guide() -> None:
    """A Provider that says nothing syncs every six hours, reads 90 days, and keeps its history when it goes."""
    found = spec()

    assert (found.interval, found.history, found.restate) == (timedelta(hours=6), timedelta(days=90), None)
    assert (found.suspend, found.deletion_policy, found.call_budget) == (False, "Retain", None)


def test_every_field_is_read() -> None:
    """Each field of the manifest arrives in the model."""
    found = spec(
        interval="30m",
        history="1d12h",
        restate="7h",
        suspend=True,
        deletionPolicy="Delete",
        callBudget={"perDay": 500},
        secretRef={"name": "a.b-c", "key": "token_1"},
    )

    assert (found.interval, found.history, found.restate) == (parse("30m"), parse("1d12h"), parse("7h"))
    assert (found.suspend, found.deletion_policy) == (True, "Delete")
    assert found.call_budget is not None
    assert found.call_budget.per_day == 500
    assert found.secret_ref is not None
    assert (found.secret_ref.name, found.secret_ref.key) == ("a.b-c", "token_1")


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"interval": "5x"}, "interval", '"5x" is not a duration; write it like 30m, 6h or 7d'),
        ({"interval": 5}, "interval", 'read as a number; write it in quotes: "5"'),
        ({"interval": "299.9s"}, "interval", "too short; write 5m or more"),
        ({"history": "3661d"}, "history", "out of range; write 1d to 3660d (ten years)"),
        ({"history": "23h"}, "history", "out of range; write 1d to 3660d (ten years)"),
        ({"restate": "91d"}, "restate", "longer than spec.history; days before the history are never read"),
        ({"restat": "7d"}, "restat", "unknown field; did you mean restate?"),
        ({"zebra": 1}, "zebra", "unknown field"),
        ({"secret_ref": KEY["secretRef"]}, "secret_ref", "unknown field; did you mean secretRef?"),
        ({"suspend": "no"}, "suspend", "write true or false, without quotes"),
        ({"suspend": None}, "suspend", None),
        ({"restate": None}, "restate", None),
        ({"zebra": None}, "zebra", "unknown field"),
        ({"type": None}, "type", "missing; it is required"),
        ({"callBudget": {"perDay": "5"}}, "callBudget.perDay", "write a whole number, without quotes"),
        ({"callBudget": {"perDay": 5.0}}, "callBudget.perDay", None),
        ({"callBudget": {"perDay": 5.5}}, "callBudget.perDay", "write a whole number, without quotes"),
        ({"callBudget": {"perDay": 0}}, "callBudget.perDay", "write 1 or more"),
        ({"callBudget": {"perDay": 10**9}}, "callBudget.perDay", "write 1000000 or less"),
        ({"callBudget": {}}, "callBudget.perDay", "missing; it is required"),
        ({"callBudget": 5}, "callBudget", "write fields here: name: value"),
        ({"deletionPolicy": "retain"}, "deletionPolicy", '"retain" is not one of Retain, Delete; did you mean Retain?'),
        ({"secretRef": {"name": ["a"]}}, "secretRef.name", "write a single text here"),
        ({"secretRef": {"name": None}}, "secretRef.name", "missing; it is required"),
        ({"type": True}, "type", 'read as true or false; write it in quotes: "true"'),
        ({"type": "Open AI"}, "type", '"Open AI" is not a type of connector; `costhook connectors` lists them'),
    ],
)
def test_each_mistake_is_answered_with_what_to_do(fields: dict[str, Any], path: str, message: str | None) -> None:
    """The message stands at the field, and says how to write it."""
    assert told({"type": "keyed", **KEY, **fields}).get(path) == message


@pytest.mark.parametrize("wrong", [None, [], "openai", 5])
def test_a_spec_that_is_no_block_is_refused(wrong: Any) -> None:
    """A spec of any other shape is answered, too."""
    assert told(wrong) == {"": "write fields here: name: value"}


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody has to fix one field to learn of the next."""
    wrong = told({"interval": "5x", "deletionPolicy": "x", "callBudget": {}})

    assert set(wrong) == {"type", "interval", "deletionPolicy", "callBudget.perDay"}


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        (
            {"type": "keyed"},
            "secretRef",
            "type keyed needs a credential; name the v1 Secret that holds it in its key apiKey",
        ),
        (
            {"type": "keyed", **KEY, "listed": {"files": ["a"]}},
            "listed",
            "settings of type listed; leave them out, or set spec.type to listed",
        ),
        ({"type": "listed"}, "listed", "type listed needs it, with files"),
        ({"type": "listed", "listed": {"files": []}}, "listed.files", "too few; write at least 1"),
        (
            {"type": "listed", "listed": {"files": ["a"], "file": 1}},
            "listed.file",
            "unknown field; did you mean files?",
        ),
        ({"type": "listed", "listed": {"files": ["x" * 2049]}}, "listed.files[0]", "longer than 2048 characters"),
        (
            {"type": "listed", "listed": {"files": [None]}},
            "listed.files[0]",
            "empty; give it a value or leave the line out",
        ),
        ({"type": "listed", "listed": {"files": [1]}}, "listed.files[0]", 'read as a number; write it in quotes: "1"'),
        (
            {"type": "keyed", **KEY, "settings": {}},
            "settings",
            "only for connectors that are not built in; put these into the block named after spec.type",
        ),
        (
            {"type": "other", "keyed": {}},
            "keyed",
            "settings of type keyed; leave them out, or set spec.type to keyed",
        ),
    ],
)
def test_exactly_the_block_of_the_type_is_allowed(fields: dict[str, Any], path: str, message: str) -> None:
    """A Provider has the settings of its own type and no other, and a credential where the type needs one."""
    assert told(fields) == {path: message}


@pytest.mark.parametrize(
    "good",
    [
        {"type": "keyed", **KEY},
        {"type": "keyed", **KEY, "keyed": {}},
        {"type": "listed", "listed": {"files": ["a"], "weights": {"a": 1}}},
        {"type": "some-other", "settings": {"any": [{"thing": None}], "n": 1.5}},
        {"type": "some-other"},
    ],
)
def test_good_specs_pass(good: dict[str, Any]) -> None:
    """What the rules ask for is enough."""
    assert told(good) == {}


def test_the_type_cannot_be_changed() -> None:
    """A Provider keeps its type; anything else about it may change."""
    old = {"type": "listed", "listed": {"files": ["a"]}}

    assert set(told({"type": "keyed", **KEY}, old)) == {"type"}
    assert told({"type": "listed", "listed": {"files": ["b"]}, "interval": "1d"}, old) == {}
    assert told({"type": "keyed", **KEY}, None) == {}


def test_settings_come_from_the_block_or_are_the_defaults() -> None:
    """A built-in connector gets its block; where there is none it gets its defaults."""
    given = settings_of(spec(keyed={"baseURL": "https://proxy.example"}), Keyed)

    assert given == KeyedSettings(base_url="https://proxy.example")
    assert settings_of(spec(), Keyed) == KeyedSettings()


def test_settings_of_other_packages_connectors_are_checked_by_their_own_model() -> None:
    """`spec.settings` is free to the CRD, and read by the model of the connector that the type names."""
    found = read(PROVIDER, {"type": "acme", "settings": {"files": ["a"]}})
    assert isinstance(found, ProviderSpec)

    assert settings_of(found, Listed) == ListedSettings(files=("a",))
    assert [(dotted(f.path), f.message) for f in settings_faults({"files": [1]}, Listed, lambda path: "0x1")] == [
        ("settings.files[0]", 'read as a number; write it in quotes: "0x1"')
    ]
    assert [dotted(f.path) for f in settings_faults(None, Listed)] == ["settings.files"]


def test_wrong_settings_need_a_person() -> None:
    """The error names the field within the spec."""
    found = read(PROVIDER, {"type": "acme"})
    assert isinstance(found, ProviderSpec)

    with pytest.raises(InvalidSpec, match=r"spec\.settings\.files: missing; it is required"):
        settings_of(found, Listed)


def test_an_invalid_spec_names_every_field() -> None:
    """The error that a reconcile function meets says what every message says."""
    with pytest.raises(InvalidSpec, match=r"spec\.interval: .* 6h or 7d; spec\.restat: unknown field") as refused:
        spec(interval="5x", restat="1d")

    assert [fault.path for fault in refused.value.faults] == [("interval",), ("restat",)]
    assert refused.value.reason == "InvalidSettings"


def test_models_are_made_once_for_a_set_of_connectors() -> None:
    """The same connectors give the same class, so that isinstance works across modules."""
    assert provider_spec(OFFERED) is provider_spec(dict(reversed(OFFERED.items())))


@pytest.mark.parametrize("type_", ["copy", "json", "schema", "validate"])
def test_a_block_may_be_called_like_something_a_model_has(type_: str) -> None:
    """A type whose name a pydantic model uses for itself gets its block all the same."""
    kind = kinds({type_: Keyed})["Provider"]
    found = read(kind, {"type": type_, **KEY, type_: {"baseURL": "x"}})

    assert isinstance(found, ProviderSpec)
    assert settings_of(found, Keyed) == KeyedSettings(base_url="x")


@pytest.mark.parametrize("type_", ["two-words", "interval", "in", "Upper"])
def test_a_block_cannot_be_called_what_rules_cannot_say(type_: str) -> None:
    """A built-in type is one word that neither CEL nor the spec uses already."""
    with pytest.raises(Unsayable, match="cannot name a block of spec"):
        provider_spec({type_: Keyed})


lengths = st.sampled_from(
    ["1s", "299s", "5m", "5m0.5s", "6h", "23h59m", "1d", "36h", "90d", "91d", "3660d", "3660d1ms", "x"]
)


@given(
    interval=lengths,
    history=lengths,
    restate=st.none() | lengths,
    type_=st.sampled_from(["keyed", "listed", "other"]),
    blocks=st.sets(st.sampled_from(["keyed", "listed", "settings"])),
    secret=st.booleans(),
)
def test_rules_decide_as_the_sentences_in_the_guide(
    interval: str, history: str, restate: str | None, type_: str, blocks: set[str], secret: bool
) -> None:
    """A spec passes exactly when each sentence about intervals, histories, blocks and credentials is true of it."""
    block = {"keyed": {}, "listed": {"files": ["a"]}, "settings": {}}
    given: dict[str, Any] = {"type": type_, "interval": interval, "history": history}
    given |= {name: block[name] for name in blocks} | ({"restate": restate} if restate else {})
    given |= KEY if secret else {}

    assert (not told(given)) == (
        "x" not in (interval, history, restate)
        and parse(interval) >= timedelta(minutes=5)
        and timedelta(days=1) <= _whole_seconds(history) <= timedelta(days=3660)
        and (restate is None or _whole_seconds(restate) <= _whole_seconds(history))
        and blocks <= {type_ if type_ != "other" else "settings"}
        and (type_ != "keyed" or secret)
        and (type_ != "listed" or "listed" in blocks)
    )


def _whole_seconds(text: str) -> timedelta:
    return parse(text) // timedelta(seconds=1) * timedelta(seconds=1)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["type", "secretRef", "name", "interval", "keyed", "settings", "callBudget", "perDay"]),
                inner,
            )
        ),
    )
)
def test_no_nonsense_is_met_with_anything_but_messages(nonsense: Any) -> None:
    """Whatever JSON a spec is, it is answered with messages or read, never with an exception."""
    assert told(nonsense) or isinstance(read(PROVIDER, json.loads(json.dumps(nonsense))), ProviderSpec)


def test_built_in_connectors_have_blocks() -> None:
    """The connectors that come with Costhook are in the model that everybody uses."""
    fields = {field.alias for field in provider_spec().model_fields.values()}

    assert {"openai", "anthropic", "focus"} <= fields
    assert issubclass(KeyedSettings, Settings)
