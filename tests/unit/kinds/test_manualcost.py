"""What a ManualCost's spec may say, and how a wrong one is answered."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.kinds.catalogue import kinds
from reconciler.kinds.manualcost import ManualCostSpec
from reconciler.kinds.reading import read, spec_faults
from reconciler.kinds.shape import dotted

MANUAL = kinds({})["ManualCost"]
ENTRY = {"name": "figma", "serviceName": "Figma", "amount": "45.00", "start": "2026-01-01"}


def told(spec: Any) -> dict[str, str]:
    """The first message by path."""
    return {dotted(fault.path): fault.message for fault in reversed(spec_faults(MANUAL, spec, None))}


def costs(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"currency": "USD", "entries": list(entries)}


def test_every_field_is_read() -> None:
    """Each field of an entry arrives in the model, amounts to the last digit."""
    entry = {
        **ENTRY,
        "amount": "-0.123456789012",
        "end": "2026-03-01",
        "recurrence": "Monthly",
        "spread": "Daily",
        "serviceCategory": "AI and Machine Learning",
        "chargeCategory": "Credit",
        "subAccount": "design",
        "tags": {"team": "platform", "empty": ""},
        "note": "3 seats",
    }
    spec = read(MANUAL, costs(entry))
    assert isinstance(spec, ManualCostSpec)
    (found,) = spec.entries

    assert (spec.currency, found.name, found.service_name) == ("USD", "figma", "Figma")
    assert found.amount == Decimal("-0.123456789012")
    assert (found.start, found.end) == (date(2026, 1, 1), date(2026, 3, 1))
    assert (found.recurrence, found.spread) == ("Monthly", "Daily")
    assert (found.service_category, found.charge_category) == ("AI and Machine Learning", "Credit")
    assert (found.sub_account, found.tags, found.note) == ("design", {"team": "platform", "empty": ""}, "3 seats")


def test_an_entry_is_one_purchase_unless_it_says_otherwise() -> None:
    """The defaults: due once, whole, a purchase, without an end."""
    spec = read(MANUAL, costs(ENTRY))
    assert isinstance(spec, ManualCostSpec)
    (found,) = spec.entries

    assert (found.recurrence, found.spread, found.charge_category, found.end) == ("None", "Whole", "Purchase", None)
    assert spec.deletion_policy == "Retain"


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"amount": 45.0}, "amount", 'read as a number; write it in quotes: "45.0"'),
        (
            {"amount": "45,00"},
            "amount",
            '"45,00" is not a decimal amount; write digits with a point and in quotes, like "45.00"',
        ),
        ({"start": "2026-02-30"}, "start", '"2026-02-30" is not a date; write it like 2026-01-31'),
        ({"start": "1999-12-31"}, "start", "out of range; give a date from 2000-01-01 to 2099-12-31"),
        ({"end": "2026-01-01"}, "end", "the first day not included, so it lies after start"),
        (
            {"spread": "Daily"},
            "spread",
            "Daily spreads a one-off amount over the days from start to end; give end, or use spread: Whole",
        ),
        ({"recurrence": "monthly"}, "recurrence", None),
        ({"name": "Figma"}, "name", '"Figma" is not a name; use lower-case letters, digits, - and ., like figma-seats'),
        ({"serviceName": ""}, "serviceName", "too short; write 1 or more characters"),
        ({"tags": {"a": True}}, "tags.a", 'read as true or false; write it in quotes: "true"'),
        ({"tags": {"": "x"}}, "tags", "a tag's name has 1 to 128 characters"),
        ({"tags": {"k" * 129: "x"}}, "tags", "a tag's name has 1 to 128 characters"),
        ({"note": "x" * 1025}, "note", "too long; write at most 1024 characters"),
    ],
)
def test_each_mistake_is_answered_with_what_to_do(fields: dict[str, Any], path: str, message: str | None) -> None:
    """The message stands at the field of its entry, and says how to write it."""
    wrong = told(costs({**ENTRY, "name": "first"}, {**ENTRY, **fields}))

    assert list(wrong) == [f"entries[1].{path}"]
    assert message is None or wrong[f"entries[1].{path}"] == message


def test_a_near_miss_is_recognised() -> None:
    """A word in the wrong case is told the right one."""
    assert told(costs({**ENTRY, "recurrence": "monthly"}))["entries[0].recurrence"].endswith("; did you mean Monthly?")


def test_entries_are_told_apart_by_name() -> None:
    """Two entries of one name are refused, as a list that is merged by name is by an API server."""
    assert told(costs(ENTRY, ENTRY)) == {"entries": "two entries are named figma; rename one"}


def test_a_resource_without_entries_says_nothing() -> None:
    """An empty list of entries is refused."""
    assert told(costs()) == {"entries": "too few; write at least 1"}
    assert told({"currency": "USD"}) == {"entries": "missing; it is required"}


def test_a_list_of_bad_entries_is_not_called_empty() -> None:
    """What is wrong with the entries is told, and nothing that follows from it."""
    assert told({"currency": "USD", "entries": [None]}) == {
        "entries[0]": "empty; give it a value or leave the line out"
    }
    assert list(told(costs({"name": "x"}))) == ["entries[0].start", "entries[0].amount", "entries[0].serviceName"]


@given(
    start=st.dates(date(2000, 1, 1), date(2099, 12, 30)),
    days=st.none() | st.integers(-400, 400),
    recurrence=st.sampled_from(["None", "Daily", "Weekly", "Monthly", "Quarterly", "Yearly"]),
    spread=st.sampled_from(["Whole", "Daily"]),
)
def test_rules_decide_as_the_sentences_in_the_guide(
    start: date, days: int | None, recurrence: str, spread: str
) -> None:
    """An entry passes exactly when it ends after it starts, within the century, and can be spread."""
    entry = {**ENTRY, "start": start.isoformat(), "recurrence": recurrence, "spread": spread}
    end = None if days is None else start + timedelta(days=days)
    if end is not None:
        entry["end"] = end.isoformat()

    assert (not told(costs(entry))) == (
        (end is None or (start < end and date(2000, 1, 1) <= end <= date(2099, 12, 31)))
        and (spread != "Daily" or recurrence != "None" or end is not None)
    )
