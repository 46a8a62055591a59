"""What is wrong with a block of fields: its defaults filled in, its shape compared, then its rules tried.

The words say what to do, and repeat a value only where it cannot be a secret that was put in a wrong place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.errors import NeedsPerson
from reconciler.kinds.rules import Fault, Path, Schema, violations
from reconciler.kinds.structural import structural, unfit, with_defaults

M = TypeVar("M", bound=BaseModel)
TextOf = Callable[[Path], str | None]
"""The characters with which a manifest wrote the value at a path, where they are known."""


class InvalidSpec(NeedsPerson):
    """A spec that an API server would refuse; `faults` name every field that is wrong, by path within the spec."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{dotted(('spec', *fault.path))}: {fault.message}" for fault in faults))
        self.faults = faults


def unknown_text(_path: Path) -> str | None:
    """For values that were never written as text."""
    return None


def faults(model: type[BaseModel], value: Any, old: Any = None, text_of: TextOf = unknown_text) -> list[Fault]:
    """Everything that is wrong with `value`, by path within it; rules are tried once its shape is right.

    `old` is the value that is to be replaced, for the rules on changes.
    """
    if not isinstance(value, Mapping):
        return [Fault((), "write fields here: name: value")]
    schema = structural(model)
    full = with_defaults(schema, value)
    try:
        _load(model, full)
    except ValidationError as error:
        return [_fault(schema, details, text_of) for details in _telling(error.errors(include_url=False))]
    return list(unfit(schema, full)) or list(violations(schema, full, with_defaults(schema, old)))


def load(model: type[M], value: Mapping[str, Any], old: Any = None, under: Path = ()) -> M:
    """The model of `value`. `under` is where in the spec it lies. Raises InvalidSpec."""
    found = faults(model, value, old)
    if found:
        raise InvalidSpec([Fault((*under, *fault.path), fault.message) for fault in found])
    return _load(model, with_defaults(structural(model), value))


def dotted(path: Path) -> str:
    """A path as kubectl writes it: `spec.entries[0].amount`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def meant(name: str, known: list[str]) -> str:
    """`; did you mean ...?`, where one of `known` is near."""
    by_lower = {item.lower(): item for item in known}
    near = get_close_matches(name.lower(), list(by_lower), n=1)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""


def _load(model: type[M], value: Mapping[str, Any]) -> M:
    """JSON in strict mode is what an API server reads: no number for a text, no text for a number."""
    return model.model_validate_json(json.dumps(value), strict=True, by_alias=True, by_name=False)


def _telling(errors: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Pydantic counts only the good items of a list, and would call one of bad items too short as well."""
    for details in errors:
        path = details["loc"]
        below = any(len(other["loc"]) > len(path) and other["loc"][: len(path)] == path for other in errors)
        if not (below and details["type"] == "too_short"):
            yield details


_SHAPES: Final = {
    "bool_type": "write true or false, without quotes",
    "dict_type": "write fields here: name: value",
    "float_type": "write a number, without quotes",
    "greater_than_equal": "write {ge} or more",
    "int_type": "write a whole number, without quotes",
    "less_than_equal": "write {le} or less",
    "list_type": "write a list here, each item after a dash",
    "missing": "missing; it is required",
    "model_type": "write fields here: name: value",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "string_too_long": "too long; write at most {max_length} characters",
    "string_too_short": "too short; write {min_length} or more characters",
    "too_long": "too many; write at most {max_length}",
    "too_short": "too few; write at least {min_length}",
    "tuple_type": "write a list here, each item after a dash",
}
"""What to do, by pydantic's type of error. None of them repeats the value, which may be a secret in a wrong place."""


def _fault(schema: Schema, details: ErrorDetails, text_of: TextOf) -> Fault:
    path, kind = tuple(details["loc"]), details["type"]
    if kind == "extra_forbidden":
        known = list(_at(schema, path[:-1]).get("properties", {}))
        return Fault(path, f"unknown field{meant(str(path[-1]), known)}")
    if kind == "string_type":
        return Fault(path, _not_text(details["input"], text_of(path)))
    if kind == "literal_error":
        return Fault(path, _not_one_of(str(details["input"]), _at(schema, path).get("enum", [])))
    if details["input"] is None:
        return Fault(path, "empty; give it a value or leave the line out")
    if kind in _SHAPES:
        return Fault(path, _SHAPES[kind].format_map(details.get("ctx", {})))
    return Fault(path, details["msg"].removeprefix("Value error, "))


def _not_text(value: Any, text: str | None) -> str:
    if value is None:
        return "empty; give it a value or leave the line out"
    if isinstance(value, list | dict):
        return "write a single text here"
    kind = "true or false" if isinstance(value, bool) else "a number"
    return f"read as {kind}; write it in quotes: {json.dumps(text or json.dumps(value))}"


def _not_one_of(value: str, allowed: list[str]) -> str:
    return f"{json.dumps(value[:80])} is not one of {', '.join(allowed)}{meant(value, allowed)}"


def _at(schema: Schema, path: Path) -> Schema:
    for step in path:
        schema = schema.get("items", {}) if isinstance(step, int) else schema.get("properties", {}).get(step, {})
    return schema
