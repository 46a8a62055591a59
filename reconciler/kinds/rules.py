"""Rules between fields, written once in CEL: the CRD carries them to the API server, and here they are evaluated.

Only functions that Kubernetes' CEL has may be used. FUNCTIONS are those that the local library lacks, and a
duration() without its rounding, which gives 521 seconds for 8.7m; a built-in function cannot be replaced under its
own name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import cel

from reconciler.kinds import durations

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]

VALIDATIONS: Final = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL expression that must be true of `self`; one that names `oldSelf` is a rule for changes alone.

    `message` says what to do. `field` is the field of `self` to point at; None points at `self`.
    """

    rule: str
    message: str
    field: str | None = None

    def schema(self) -> dict[str, str]:
        """The rule as an entry of `x-kubernetes-validations`."""
        entry = {"rule": self.rule, "message": self.message}
        return entry if self.field is None else {**entry, "fieldPath": f".{self.field}"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one field, in words that say what to do."""

    path: Path
    message: str


FUNCTIONS: Final[dict[str, Callable[..., object]]] = {
    "indexOf": lambda text, part: text.find(part),
    "duration_": durations.parse,
    "substring": lambda text, start, end=None: text[start:end],
}


_RESERVED: Final = frozenset(["true", "false", "null", "in", "as", "for", "if", "else", "let", "var", "void", "while"])
"""Names that CEL keeps for itself; Kubernetes lets rules write __true__ for a field named true."""


def violations(schema: Schema, value: Any, old: Any = None, path: Path = ()) -> Iterator[Fault]:
    """Every rule of a structural schema that `value`, which fits the schema otherwise, breaks.

    `old` is the value that is to be replaced; None when there is none, and rules for changes are left out.
    """
    rules = [entry for entry in schema.get(VALIDATIONS, ()) if old is not None or "oldSelf" not in entry["rule"]]
    context = _context(schema, value, old) if rules else None
    for entry in rules:
        if not _holds(entry["rule"], context):
            field = entry.get("fieldPath", "").removeprefix(".")
            yield Fault((*path, field) if field else path, entry["message"])
    for step, inner, below, before in _children(schema, value, old):
        yield from violations(inner, below, before, (*path, step))


def _children(schema: Schema, value: Any, old: Any) -> Iterator[tuple[str | int, Schema, Any, Any]]:
    if isinstance(value, Mapping):
        before = old if isinstance(old, Mapping) else {}
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield name, inner, value[name], before.get(name)
    elif isinstance(value, Sequence) and not isinstance(value, str) and "items" in schema:
        earlier = _by_key(schema, old)
        for index, item in enumerate(value):
            yield index, schema["items"], item, earlier.get(_key(schema, item))


def _by_key(schema: Schema, items: Any) -> dict[object, Any]:
    if schema.get("x-kubernetes-list-type") != "map" or items is None:
        return {}
    return {_key(schema, item): item for item in items}


def _key(schema: Schema, item: Any) -> object:
    names = schema.get("x-kubernetes-list-map-keys", ())
    return tuple(item.get(name) for name in names) if isinstance(item, Mapping) else None


def evaluate(rule: str, **variables: Any) -> Any:
    """What a CEL expression comes to. Raises LookupError, RuntimeError, TypeError or ValueError."""
    return _program(rule).execute(cel.Context(variables=variables, functions=FUNCTIONS))


def _context(schema: Schema, value: Any, old: Any) -> cel.Context:
    """What all rules of one value are tried with; to make it costs more than to try a rule."""
    before = {} if old is None else {"oldSelf": _typed(schema, old)}
    return cel.Context(variables={"self": _typed(schema, value), **before}, functions=FUNCTIONS)


def _holds(rule: str, context: cel.Context | None) -> bool:
    try:
        return _program(rule).execute(context) is True
    except (LookupError, RuntimeError, TypeError, ValueError):
        return False  # as the API server has it: a rule that cannot be evaluated is broken


@cache
def _program(rule: str) -> cel.Program:
    return cel.compile(re.sub(r"\bduration\(", "duration_(", rule))


def _typed(schema: Schema, value: Any) -> Any:
    """`value` with its dates as timestamps, which is what they are to the API server's CEL."""
    if schema.get("format") == "date":
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        return {_escaped(name): _typed(properties.get(name, {}), inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_typed(schema.get("items", {}), item) for item in value]
    return value


def _escaped(name: Any) -> Any:
    return f"__{name}__" if name in _RESERVED else name
