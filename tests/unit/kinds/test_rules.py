"""Rules are evaluated where an API server evaluates them, and with its verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kinds.rules import Fault, Rule, violations

BELOW = Rule("self.low <= self.high", "write low below high", "low").schema()
KEPT = Rule("self == oldSelf", "cannot be changed").schema()
RANGE: dict[str, Any] = {
    "type": "object",
    "x-kubernetes-validations": [BELOW],
    "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
}
NAMED: dict[str, Any] = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "size": {"type": "integer", "x-kubernetes-validations": [KEPT]}},
    },
}


def test_a_rule_between_fields_points_at_the_field_it_names() -> None:
    """A broken rule is told at its field, with its message."""
    assert list(violations(RANGE, {"low": 2, "high": 1})) == [Fault(("low",), "write low below high")]


def test_rules_hold_in_every_item_of_a_list() -> None:
    """A rule on items is tried on each, and the index says which one breaks it."""
    schema = {"properties": {"ranges": {"items": RANGE}}}
    value = {"ranges": [{"low": 1, "high": 2}, {"low": 3, "high": 2}]}

    assert [fault.path for fault in violations(schema, value)] == [("ranges", 1, "low")]


def test_a_rule_on_changes_is_left_out_where_nothing_is_replaced() -> None:
    """A rule that names oldSelf says nothing about a resource that is new."""
    schema = {"properties": {"type": {"x-kubernetes-validations": [KEPT]}}}

    assert not list(violations(schema, {"type": "a"}))
    assert list(violations(schema, {"type": "a"}, {"type": "b"})) == [Fault(("type",), "cannot be changed")]
    assert not list(violations(schema, {"type": "a"}, {}))


def test_items_of_a_named_list_are_compared_with_the_items_of_their_name() -> None:
    """Reordering a list that is merged by name changes no item; changing an item does."""
    old = [{"name": "a", "size": 1}, {"name": "b", "size": 2}]

    assert not list(violations(NAMED, [old[1], old[0], {"name": "c", "size": 9}], old))
    assert [fault.path for fault in violations(NAMED, [{"name": "b", "size": 3}], old)] == [(0, "size")]


def test_items_of_other_lists_have_no_past() -> None:
    """An item of a list without names cannot be told from another, so rules on changes are left out there."""
    schema = {"items": {"x-kubernetes-validations": [KEPT]}}

    assert not list(violations(schema, [1, 2], [2, 1]))


@pytest.mark.parametrize(
    "rule", ["self.missing > 1", "self.low + 'text' == 'x'", "duration('5x') > duration('1s')", "1"]
)
def test_a_rule_that_cannot_be_evaluated_is_broken(rule: str) -> None:
    """As on an API server, an error while a rule is evaluated refuses the value, and so does any answer but true."""
    schema = {"x-kubernetes-validations": [Rule(rule, "no").schema()]}

    assert list(violations(schema, {"low": 1})) == [Fault((), "no")]


def test_dates_are_compared_as_moments() -> None:
    """A field of format date is a timestamp to a rule, at any depth."""
    rule = Rule("self.day < timestamp('2026-03-01T00:00:00Z') && self.days[0] < self.day", "too late").schema()
    day = {"type": "string", "format": "date"}
    schema = {"x-kubernetes-validations": [rule], "properties": {"day": day, "days": {"items": day}}}

    assert not list(violations(schema, {"day": "2026-02-28", "days": ["2026-02-27"]}))
    assert list(violations(schema, {"day": "2026-03-01", "days": ["2026-02-27"]}))
