"""Schemas for CRDs out of models: everything bounded, nothing that a structural schema cannot say."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, JsonValue

from reconciler.kinds.forms import Duration
from reconciler.kinds.rules import Fault
from reconciler.kinds.structural import Unsayable, structural, unfit, with_defaults


class Inner(BaseModel):
    """Some inner block.

    With a second
    paragraph.
    """

    size: int = Field(gt=0, le=10)
    note: str = "none"


class Outer(BaseModel):
    name: Annotated[str, Field(title="Name", examples=["x"])]
    kind: Literal["only"] = "only"
    inner: Inner | None = Field(default=None, description="Its own words.")
    names: frozenset[str] = frozenset()
    counts: dict[str, int] = {}
    free: dict[str, JsonValue] | None = None
    anything: JsonValue = None
    wait: Duration = timedelta(hours=36)


def test_models_become_structural_schemas() -> None:
    """References are resolved, nulls and titles gone, bounds filled in, durations written as in manifests."""
    drawn = structural(Outer)
    properties = drawn["properties"]

    assert drawn["required"] == ["name"]
    assert properties["name"] == {"type": "string", "maxLength": 2048}
    assert properties["kind"] == {"type": "string", "enum": ["only"], "default": "only"}
    assert properties["inner"] == {
        "type": "object",
        "description": "Its own words.",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 10},
            "note": {"type": "string", "default": "none", "maxLength": 2048},
        },
    }
    assert properties["names"]["x-kubernetes-list-type"] == "set"
    assert properties["names"]["maxItems"] == 256
    assert properties["counts"] == {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 64}
    assert properties["free"]["x-kubernetes-preserve-unknown-fields"] is True
    assert properties["anything"] == {"x-kubernetes-preserve-unknown-fields": True}
    assert properties["wait"]["default"] == "1d12h"


def test_descriptions_keep_their_paragraphs_and_lose_their_line_breaks() -> None:
    """kubectl explain wraps by itself, so a docstring's own line breaks go."""
    assert structural(Inner)["description"] == "Some inner block.\nWith a second paragraph."


class Part(BaseModel):
    size: int | None = None
    note: str = "none"


class Whole(BaseModel):
    part: Part = Part()


def test_a_default_block_leaves_out_what_is_absent() -> None:
    """A default says nothing of fields that it does not set; an API server would refuse null there."""
    assert structural(Whole)["properties"]["part"]["default"] == {"note": "none"}


class Either(BaseModel):
    value: int | str


class Pair(BaseModel):
    value: tuple[int, str]


class Wait(BaseModel):
    wait: timedelta


class Nested(BaseModel):
    pairs: list[Pair]


class Odd(BaseModel):
    value: str = Field(default=object())  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Odd, "not JSON serializable"),
        (Either, "Either.value is one of several types; a CRD wants one"),
        (Pair, "Pair.value uses prefixItems"),
        (Nested, "Nested.pairs.items.value uses prefixItems"),
        (Wait, "a duration is written as text; annotate it with"),
    ],
)
def test_what_a_crd_has_no_words_for_is_refused_by_name(model: type[BaseModel], said: str) -> None:
    """A connector whose settings cannot be put into a CRD is told which field and why."""
    with pytest.raises(Unsayable, match=said):
        structural(model)


def test_defaults_are_filled_in_as_an_api_server_does() -> None:
    """Missing fields and nulls take the default or stay absent, deep inside too; what is unknown is left alone."""
    schema = structural(Outer)

    assert with_defaults(schema, {"name": "x", "kind": None}) == {"name": "x", "kind": "only", "wait": "1d12h"}
    assert with_defaults(schema, {"name": None, "x": None}) == {"kind": "only", "wait": "1d12h", "x": None}
    assert with_defaults(schema, {"inner": {"size": 1}})["inner"] == {"size": 1, "note": "none"}
    assert with_defaults({"items": schema}, [{}])[0]["kind"] == "only"


def test_defaults_never_change_what_was_given() -> None:
    """The value that is filled in is a copy."""
    given: dict[str, Any] = {"inner": {"size": 1}}
    with_defaults(structural(Outer), given)

    assert given == {"inner": {"size": 1}}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"name": "x" * 2049}, Fault(("name",), "longer than 2048 characters")),
        ({"names": ["x"] * 257}, Fault(("names",), "more than 256 items")),
        ({"names": ["x", "y" * 2049]}, Fault(("names", 1), "longer than 2048 characters")),
        ({"counts": dict.fromkeys(map(str, range(65)), 1)}, Fault(("counts",), "more than 64 fields")),
        ({"counts": {"a": None}}, Fault(("counts", "a"), "empty; give it a value or leave the line out")),
        ({"names": [None]}, Fault(("names", 0), "empty; give it a value or leave the line out")),
    ],
)
def test_bounds_that_models_leave_open_hold_here_as_on_an_api_server(value: Any, fault: Fault) -> None:
    """What an API server refuses for its size, or for being null, is refused in a folder too."""
    assert list(unfit(structural(Outer), value)) == [fault]


def test_free_fields_may_hold_anything() -> None:
    """What is kept as it is may be null or long."""
    assert not list(unfit(structural(Outer), {"free": {"a": None, "b": ["x" * 5000]}}))
