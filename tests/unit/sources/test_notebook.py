"""What is remembered of objects in a cluster: news is told from echoes, and who is asked about a Provider."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.sources.base import Key
from reconciler.sources.kubernetes.notebook import Notebook

KEY = Key("Provider", "team", "openai")


def _object(version: str, *, key: Key = KEY, deleting: bool = False, **spec: Any) -> dict[str, Any]:
    meta = {"uid": "u", "generation": 1, "resourceVersion": version, "namespace": key.namespace, "name": key.name}
    gone = {"deletionTimestamp": "2026-11-21T12:00:00Z"} if deleting else {}
    return {"metadata": {**meta, **gone}, "spec": {"type": "openai", **spec}}


def test_the_echo_of_an_own_write_is_no_news() -> None:
    """A version that one wrote oneself tells nothing, also when several were written since; another's status does."""
    notes = Notebook()
    assert notes.heard(KEY, _object("1"))
    note = notes.note(KEY, _object("1"))
    for version in "23":
        note.wrote(version)

    assert not any(notes.heard(KEY, {**_object(version), "status": {"spend": version}}) for version in "23")
    assert notes.heard(KEY, {**_object("4"), "status": {"spend": "another's"}})


@pytest.mark.parametrize(
    ("found", "vendor"),
    [
        (_object("1"), "openai"),
        (_object("1", suspend=True), None),
        (_object("1", deleting=True), None),
    ],
    ids=["may be due", "suspended", "going"],
)
def test_only_a_provider_that_may_be_due_waits_for_its_vendor(found: dict[str, Any], vendor: str | None) -> None:
    """One that is suspended or going is looked at whatever place its vendor has."""
    assert Notebook().note(KEY, found).vendor == vendor


def test_another_kind_waits_for_no_vendor() -> None:
    """A Channel has a type, too, which is no vendor."""
    key = Key("Channel", "team", "chat")

    assert Notebook().note(key, _object("1", key=key)).vendor is None
