"""A message survives JSON whole, and its JSON is what the published schema says."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given

from reconciler.channels.message import Message, schema
from tests.unit.channels.messages import ANY, FIRING, NOW, message

PUBLISHED = Path(__file__).parents[3] / "docs/channels/message.schema.json"


@given(ANY)
def test_json_keeps_every_digit_and_every_field(any_message: Message) -> None:
    """Written as JSON text and read again, a message is the same message."""
    assert Message.from_json(json.loads(json.dumps(any_message.to_json()))) == any_message


@given(ANY)
def test_documents_are_what_the_published_schema_says(any_message: Message) -> None:
    """Whoever checks a webhook's body against the schema in the documentation never refuses one."""
    judge = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text()))

    judge.validate(any_message.document())


def test_the_schema_refuses_what_is_no_message() -> None:
    """The schema is no formality: an amount as a number and an unknown state break it."""
    judge = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text()))

    assert not judge.is_valid(FIRING.document() | {"amount": 4512.3})
    assert not judge.is_valid(FIRING.document() | {"amount": "4.5E+3"})
    assert not judge.is_valid(FIRING.document() | {"what": "burning"})
    assert not judge.is_valid({name: value for name, value in FIRING.document().items() if name != "limit"})


def test_the_published_schema_is_up_to_date() -> None:
    """docs/channels/message.schema.json is what the code says now."""
    assert json.loads(PUBLISHED.read_text()) == schema(), "run `make schema`"


def test_amounts_are_exact_and_plain() -> None:
    """No exponent and no rounding, in JSON."""
    document = message(amount=Decimal("1E+3"), limit=Decimal("0.10"), share=Decimal("1E-12")).document()

    assert (document["amount"], document["limit"], document["share"]) == ("1000", "0.1", "0.000000000001")


def test_times_are_told_in_utc() -> None:
    """A time that was stored with another offset is the same moment, in UTC."""
    there = NOW.astimezone(timezone(timedelta(hours=5)))
    stored = FIRING.to_json() | {"judgedAt": there.isoformat()}

    assert Message.from_json(stored).document()["judgedAt"] == "2026-03-20T12:00:00Z"


def test_fields_of_later_versions_are_passed_over() -> None:
    """An outbox written by a newer program can still be emptied by an older one."""
    assert Message.from_json(FIRING.to_json() | {"mood": "grim"}) == FIRING


def test_what_is_no_message_is_refused() -> None:
    """A row that holds something else is an error, and not a message of nothing."""
    with pytest.raises(ValueError, match="severity"):
        Message.from_json(FIRING.to_json() | {"severity": "mild"})
