"""Conditions as kstatus reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.status import MAX_MESSAGE, Remark, Verdict, compose, is_ready, new_remarks, ready

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
GOOD = Verdict("True", "Succeeded", "read")


def _types(status: dict[str, Any]) -> list[str]:
    return [condition["type"] for condition in status["conditions"]]


def test_reconciling_and_stalled_are_there_only_while_true() -> None:
    """Ready comes first; what is abnormal is absent when all is well."""
    failing = compose({}, Verdict("False", "VendorUnavailable", "503", progressing=True), 1, NOW, {})
    stalled = compose(failing, Verdict("False", "Unauthorized", "wrong key", stalled=True), 1, NOW, {})

    assert _types(failing) == ["Ready", "Reconciling"]
    assert _types(stalled) == ["Ready", "Stalled"]
    assert _types(compose(stalled, GOOD, 1, NOW, {})) == ["Ready"]


def test_transition_times_move_only_on_change() -> None:
    """Saying the same again changes nothing; a new message does."""
    first = compose({}, GOOD, 1, NOW, {})
    again = compose(first, GOOD, 1, LATER, {})
    other = compose(first, Verdict("True", "Succeeded", "read more"), 1, LATER, {})

    assert again == first
    assert other["conditions"][0]["lastTransitionTime"] == "2026-11-21T13:00:00Z"


def test_fields_replace_and_none_removes() -> None:
    """Fields not named stay."""
    before = compose({}, GOOD, 1, NOW, {"completeThrough": "2026-11-19", "account": {"id": "x"}})

    after = compose(before, GOOD, 2, NOW, {"completeThrough": "2026-11-20", "account": None})

    assert (after["completeThrough"], after["observedGeneration"]) == ("2026-11-20", 2)
    assert "account" not in after


def test_remarks_stand_beside_ready() -> None:
    """They come and go by themselves, stay where nobody looked, and are new once."""
    remark = Remark("DoubleCounted", "SameAccount", "twice")
    first = compose({}, GOOD, 1, NOW, {}, [remark])
    unseen = compose(first, Verdict("False", "InvalidSettings", "odd", stalled=True), 2, LATER, {})

    assert _types(first) == ["Ready", "DoubleCounted"]
    assert _types(unseen) == ["Ready", "Stalled", "DoubleCounted"]
    assert unseen["conditions"][2]["lastTransitionTime"] == "2026-11-21T12:00:00Z"
    assert _types(compose(unseen, GOOD, 3, LATER, {}, [])) == ["Ready"]
    assert [new_remarks({}, first), new_remarks(first, unseen)] == [[remark], []]


def test_messages_are_bounded() -> None:
    """Nobody can fill a status with a vendor's answer."""
    status = compose({}, Verdict("False", "Bug", "x" * 9999), 1, NOW, {})

    assert len(status["conditions"][0]["message"]) == MAX_MESSAGE
    assert ready({}) is None
    assert not is_ready(status)
