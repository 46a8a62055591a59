"""Structural schemas (the dialect of OpenAPI that CRDs are written in) from pydantic models, and their defaults.

What a model leaves unbounded is bounded here, because the API server refuses rules over data of unknown size.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema

from reconciler.kinds.durations import plain
from reconciler.kinds.patterns import for_re2
from reconciler.kinds.rules import Fault, Path, Schema

MAX_LENGTH: Final = 2048
MAX_ITEMS: Final = 256
MAX_PROPERTIES: Final = 64

PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"

_KEPT: Final = frozenset(
    "type description default enum minimum maximum minLength maxLength pattern minItems maxItems maxProperties "
    "minProperties multipleOf required".split()
)
_DROPPED: Final = frozenset("title examples deprecated readOnly writeOnly $defs discriminator".split())
_FORMATS: Final = frozenset({"date", "date-time"})


class Unsayable(TypeError):
    """A model uses something that a CRD has no words for; the text says what and where."""


class _Generator(GenerateJsonSchema):
    """Writes default durations as manifests do and not as ISO 8601 does."""

    def encode_default(self, dft: Any) -> Any:
        return plain(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def emit_warning(self, kind: Any, detail: str) -> None:
        raise Unsayable(detail)

    def timedelta_schema(self, schema: CoreSchema) -> Any:
        raise Unsayable("a duration is written as text; annotate it with reconciler.kinds.forms.Duration")


@cache
def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of `model` as manifests write it. Raises Unsayable."""
    drawn = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    return _convert(drawn, drawn.get("$defs", {}), (model.__name__,))


def with_defaults(schema: Schema, value: Any) -> Any:
    """A copy of `value` as an API server stores it: without the nulls of fields that it knows, defaults filled in."""
    if isinstance(value, Mapping):
        properties: Mapping[str, Schema] = schema.get("properties", {})
        given = {name: inner for name, inner in value.items() if inner is not None or name not in properties}
        missing = {name: s["default"] for name, s in properties.items() if "default" in s and name not in given}
        inner = {name: with_defaults(properties.get(name, {}), item) for name, item in given.items()}
        return {**inner, **copy.deepcopy(missing)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [with_defaults(schema.get("items", {}), item) for item in value]
    if schema.get("type") == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)  # JSON has one kind of number
    return value


def unfit(schema: Schema, value: Any, path: Path = ()) -> Iterator[Fault]:
    """What a model lets pass and an API server does not: nulls, and more than the bounds filled in here."""
    if value is None:
        yield Fault(path, "empty; give it a value or leave the line out")
    elif isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        yield Fault(path, f"longer than {schema['maxLength']} characters")
    elif isinstance(value, Mapping):
        yield from _unfit_fields(schema, value, path)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) > schema.get("maxItems", len(value)):
            yield Fault(path, f"more than {schema['maxItems']} items")
        for index, item in enumerate(value):
            yield from unfit(schema.get("items", {}), item, (*path, index))


def _unfit_fields(schema: Schema, value: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    if len(value) > schema.get("maxProperties", len(value)):
        yield Fault(path, f"more than {schema['maxProperties']} fields")
    if schema.get(PRESERVE):
        return
    for name, item in value.items():
        inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
        yield from unfit(inner, item, (*path, name))


def _convert(drawn: Mapping[str, Any], defs: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    drawn = _resolved(drawn, defs, path)
    schema = {name: drawn[name] for name in drawn if name in _KEPT or name.startswith("x-kubernetes-")}
    for name in drawn.keys() - schema.keys() - _DROPPED:
        _convert_keyword(schema, name, drawn[name], defs, path)
    if "description" in schema:
        schema["description"] = _paragraphs(schema["description"])
    if "pattern" in schema:
        schema["pattern"] = _pattern(schema["pattern"], path)
    if "default" in schema:
        schema["default"] = _without_nulls(schema["default"])
    if schema.get("default", ...) in (None, [], {}):
        del schema["default"]
    return _bounded(schema)


def _resolved(drawn: Mapping[str, Any], defs: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    """`drawn` without references, and without the null that only says that a field may be left out."""
    if "$ref" in drawn:
        target = defs[drawn["$ref"].removeprefix("#/$defs/")]
        return _resolved({**target, **{name: drawn[name] for name in drawn if name != "$ref"}}, defs, path)
    if "anyOf" in drawn:
        kinds = [kind for kind in drawn["anyOf"] if kind != {"type": "null"}]
        if len(kinds) != 1:
            raise Unsayable(f"{'.'.join(path)} is one of several types; a CRD wants one")
        return _resolved({**kinds[0], **{name: drawn[name] for name in drawn if name != "anyOf"}}, defs, path)
    return drawn


def _convert_keyword(
    schema: dict[str, Any], name: str, said: Any, defs: Mapping[str, Any], path: tuple[str, ...]
) -> None:
    match name:
        case "properties":
            schema[name] = {field: _convert(inner, defs, (*path, field)) for field, inner in said.items()}
        case "items":
            schema[name] = _convert(said, defs, (*path, "items"))
        case "additionalProperties":
            _convert_map(schema, said, defs, path)
        case "const":
            schema["enum"] = [said]
        case "format":
            schema.update({name: said} if said in _FORMATS else {})
        case "exclusiveMinimum" | "exclusiveMaximum":
            schema.update({name: True, name.replace("exclusiveM", "m"): said})
        case "uniqueItems":
            schema["x-kubernetes-list-type"] = "set"
        case _:
            raise Unsayable(f"{'.'.join(path)} uses {name}, which a CRD has no words for")


def _convert_map(schema: dict[str, Any], said: Any, defs: Mapping[str, Any], path: tuple[str, ...]) -> None:
    if said is False:
        return
    if said is True or not _resolved(said, defs, path):
        schema[PRESERVE] = True
    else:
        schema["additionalProperties"] = _convert(said, defs, (*path, "*"))


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    match schema.get("type"):
        case "string" if "enum" not in schema and "format" not in schema:
            schema.setdefault("maxLength", MAX_LENGTH)
        case "array":
            schema.setdefault("maxItems", MAX_ITEMS)
        case "object" if "properties" not in schema:
            schema.setdefault("maxProperties", MAX_PROPERTIES)
        case None:
            schema[PRESERVE] = True
    return schema


def _without_nulls(default: Any) -> Any:
    """A default without the fields that it leaves out."""
    if isinstance(default, dict):
        return {name: _without_nulls(inner) for name, inner in default.items() if inner is not None}
    return default


def _pattern(pattern: str, path: tuple[str, ...]) -> str:
    try:
        return for_re2(pattern)
    except ValueError as error:
        raise Unsayable(f"{'.'.join(path)}: {error}") from None


def _paragraphs(text: str) -> str:
    blocks = inspect.cleandoc(text).split("\n\n")
    return "\n".join(" ".join(block.split()) for block in blocks)
