"""The kind Allocation: what a spec may say, and what it means to the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.allocation import ChargeMatch, KeyMatch, Rule, Taken, rules_of
from reconciler.kinds.allocation import AllocationSpec
from reconciler.kinds.catalogue import kinds
from reconciler.kinds.reading import read, spec_faults
from reconciler.kinds.shape import dotted
from tests.unit.kinds.vendors import OFFERED

KIND = kinds(OFFERED)["Allocation"]
GOOD: list[dict[str, Any]] = [
    {
        "match": {
            "providers": ["openai"],
            "labels": [{"key": "env", "values": ["prod"]}],
            "services": ["api"],
            "subAccounts": ["p1"],
            "regions": ["eu"],
            "resources": ["r1"],
            "tags": [{"key": "team", "prefix": "a"}, {"key": "cost center"}],
        },
        "value": "search",
    },
    {"valueFrom": {"tag": "team"}},
    {"valueFrom": {"label": "team"}},
    {"valueFrom": {"dimension": "SubAccountId"}},
    {"split": "Fixed", "shares": [{"value": "a", "weight": 2}, {"value": "b", "weight": 1}]},
    {"split": "Proportional"},
]


def told(*rules: Any, dimension: str = "team", old: Any = None) -> dict[str, str]:
    """What is wrong with a spec of these rules, by path."""
    spec = {"dimension": dimension, "rules": list(rules)}
    return {dotted(fault.path): fault.message for fault in spec_faults(KIND, spec, old)}


def test_every_field_is_read() -> None:
    """What a manifest says reaches the ledger, nothing added and nothing lost."""
    spec = {"dimension": "team", "rules": GOOD}

    assert isinstance(read(KIND, spec), AllocationSpec)
    assert rules_of(spec) == [
        Rule(
            ChargeMatch(
                {
                    "provider": ("openai",),
                    "service_name": ("api",),
                    "sub_account_id": ("p1",),
                    "region_id": ("eu",),
                    "resource_id": ("r1",),
                },
                (KeyMatch("env", ("prod",)),),
                (KeyMatch("team", None, "a"), KeyMatch("cost center")),
            ),
            value="search",
        ),
        Rule(ChargeMatch(), taken=Taken(tag="team")),
        Rule(ChargeMatch(), taken=Taken(label="team")),
        Rule(ChargeMatch(), taken=Taken(column="sub_account_id")),
        Rule(ChargeMatch(), split="Fixed", shares=(("a", 2), ("b", 1))),
        Rule(ChargeMatch(), split="Proportional"),
    ]


def test_only_tags_and_resources_need_the_charges() -> None:
    """The daily sums know all that other rules ask for."""
    assert [rule.of_charges for rule in rules_of({"rules": GOOD})] == [True, True, False, False, False, False]
    assert Rule.of({"match": {"resources": ["r"]}, "value": "x"}).of_charges
    assert Rule.of({"valueFrom": {"dimension": "ResourceId"}}).of_charges
    assert [rule.of_labels for rule in rules_of({"rules": GOOD})] == [True, False, True, False, False, False]


@pytest.mark.parametrize(
    ("rule", "path", "words"),
    [
        ({}, "rules[0]", "exactly one of value, valueFrom and split"),
        ({"value": "a", "split": "Proportional"}, "rules[0]", "exactly one of value, valueFrom and split"),
        ({"valueFrom": {}}, "rules[0].valueFrom", "exactly one of tag, label and dimension"),
        ({"valueFrom": {"tag": "a", "label": "b"}}, "rules[0].valueFrom", "exactly one of tag, label and dimension"),
        ({"split": "Fixed"}, "rules[0].shares", "a Fixed split needs shares"),
        ({"value": "a", "shares": [{"value": "a", "weight": 1}]}, "rules[0].shares", "nothing else has them"),
        ({"split": "Fixed", "shares": [{"value": "a", "weight": 0}]}, "rules[0].shares[0].weight", "1 or more"),
        ({"value": ""}, "rules[0].value", ""),
        ({"match": {"labels": {"team": "x"}}, "value": "a"}, "rules[0].match.labels", ""),
        ({"match": {"service": ["x"]}, "value": "a"}, "rules[0].match.service", "services"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(rule: Any, path: str, words: str) -> None:
    """A rule that means nothing definite is refused, in words that say what to write."""
    wrong = told(rule)

    assert list(wrong) == [path]
    assert words in wrong[path]


def test_a_fixed_split_names_each_value_once() -> None:
    """Two shares of one value would be one share in disguise."""
    share = {"value": "a", "weight": 1}

    wrong = told({"split": "Fixed", "shares": [share, {**share, "weight": 2}]})
    assert "the same value" in wrong["rules[0].shares"]


def test_the_dimension_stays() -> None:
    """Questions name it, so it cannot turn into another."""
    old = {"dimension": "product", "rules": GOOD}

    assert "cannot be changed" in told(*GOOD, old=old)["dimension"]
    assert told(*GOOD, dimension="Team!").keys() == {"dimension"}
    assert told().keys() == {"rules"}
    assert not told(*GOOD, old={"dimension": "team", "rules": GOOD[:1]})
