"""Specs of any kind, good and bad, made from its manifests in examples and guides and from its schema alone."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from reconciler.kinds.patterns import SPACES
from reconciler.kinds.rules import Schema
from reconciler.manifests import parse

ROOT: Final = Path(__file__).parents[2]
GROUP: Final = "costhook.io"
FENCE: Final = re.compile(r"^( *)```yaml\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
MATCHES: Final = re.compile(r"^self\.matches\('\^\((.*)\)\$'\)$", re.DOTALL)
NAUGHTY: Final = ("", " ", "1d ", "USD\n", "x" * 3000, "ä" * 20, "-1", "0", "null", "2026-02-30", "99999d", "0.5s")

Spec = dict[str, Any]


class Place(NamedTuple):
    """Where something may stand in a spec: the object or list around it, its name or index, and its schema."""

    around: Any
    step: str | int
    schema: Schema


def written(kind: str) -> list[Spec]:
    """The specs of a kind that the examples and the guides show."""
    return [each["spec"] for each in _documents() if each.get("kind") == kind and "spec" in each]


def _documents() -> Iterator[Mapping[str, Any]]:
    texts = [path.read_text() for path in sorted((ROOT / "examples").rglob("*.yaml"))]
    for page in sorted((ROOT / "docs").rglob("*.md")):
        texts += [match[2] for match in FENCE.finditer(page.read_text())]
    for text in texts:
        for document in parse(text):
            if isinstance(document.value, dict) and str(document.value.get("apiVersion")).startswith(f"{GROUP}/"):
                yield document.value


@st.composite
def near(draw: st.DrawFn, schema: Schema, seeds: list[Spec], most: int = 3) -> Spec:
    """A spec that differs in at most `most` places from one of `seeds`; often still a good one."""
    spec = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, most))):
        anywhere = list(places(schema, spec))
        filled = [place for place in anywhere if isinstance(place.step, int) or place.step in place.around]
        half: bool = draw(st.booleans())
        chosen = filled if filled and half else anywhere
        _change(draw, spec, chosen[draw(st.integers(0, len(chosen) - 1))])
    sent: Spec = _as_kubectl_sends(spec)
    return sent


def _as_kubectl_sends(value: Any) -> Any:
    """`value` with 1.0 as 1, which is how kubectl writes JSON; CEL takes no 1.0 for a whole number."""
    if isinstance(value, dict):
        return {name: _as_kubectl_sends(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_kubectl_sends(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def places(schema: Schema, value: Any) -> Iterator[Place]:
    """Every place in `value` at which something stands, or may."""
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            yield Place(value, name, inner)
            yield from places(inner, value.get(name))
        beside = schema.get("additionalProperties")
        if isinstance(beside, Mapping):
            for name in (*sorted(value), "another"):
                yield Place(value, name, beside)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield Place(value, index, schema.get("items", {}))
            yield from places(schema.get("items", {}), item)


def _change(draw: st.DrawFn, spec: Spec, place: Place) -> None:
    around: Any = place.around
    step, schema = place.step, place.schema
    match draw(st.sampled_from(["fit", "fit", "fit", "remove", "spoil", "double", "unknown"])):
        case "fit":
            around[step] = copy.deepcopy(draw(fitting(schema)))
        case "spoil":
            around[step] = copy.deepcopy(draw(_ANYTHING))
        case "remove" if isinstance(around, dict):
            around.pop(step, None)
        case "double" if isinstance(around, list):
            around.append(copy.deepcopy(around[int(step)]))
        case "unknown":
            spec[draw(st.sampled_from(["suspnd", "Type", "apiKey"]))] = copy.deepcopy(draw(_ANYTHING))


def fitting(schema: Schema) -> st.SearchStrategy[Any]:
    """Values for a schema: mostly of its type and form, at and just beyond its bounds."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | st.sampled_from(["", str(schema["enum"][0]).upper()])
    by_type: dict[str, Callable[[Schema], st.SearchStrategy[Any]]] = {
        "string": _texts,
        "integer": _integers,
        "number": lambda _: st.floats(-10, 10) | st.integers(-10, 10),
        "boolean": lambda _: st.booleans(),
        "array": _lists,
        "object": _objects,
    }
    made = by_type.get(schema.get("type", ""))
    return _ANYTHING if made is None else made(schema)


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    if schema.get("format") == "date":
        return st.dates(date(1990, 1, 1), date(2110, 1, 1)).map(date.isoformat) | st.sampled_from(NAUGHTY)
    rules = [rule["rule"] for rule in schema.get("x-kubernetes-validations", ())]
    forms = [found[1] for rule in rules if (found := MATCHES.match(rule))]
    forms += [schema["pattern"].replace(SPACES, r"\s\x85\u3000")] if "pattern" in schema else []
    longest = schema.get("maxLength", 100)
    sized = st.sampled_from(["x" * longest, "x" * (longest + 1)])
    plain = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
    shaped = [st.from_regex(form, fullmatch=True) for form in forms]
    return st.one_of(*shaped, *shaped, plain, sized, st.sampled_from(NAUGHTY))


def _integers(schema: Schema) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum", -3), schema.get("maximum", 1000)
    return st.sampled_from([low - 1, low, low + 1, high - 1, high, high + 1, float(low), low + 0.5]) | st.integers(
        low, high
    )


def _lists(schema: Schema) -> st.SearchStrategy[list[Any]]:
    most = min(schema.get("maxItems", 3), 3)
    few = st.lists(fitting(schema.get("items", {})), max_size=most)
    full = fitting(schema.get("items", {})).map(lambda item: [item] * (schema.get("maxItems", 3) + 1))
    return few | few | few | full


def _objects(schema: Schema) -> st.SearchStrategy[Spec]:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    beside = schema.get("additionalProperties")
    if isinstance(beside, Mapping):
        return st.dictionaries(st.text("ab-_ä", max_size=5), fitting(beside), max_size=4)
    if not properties:
        return st.dictionaries(st.sampled_from(["a", "b"]), _ANYTHING, max_size=2)
    needed = {name: fitting(inner) for name, inner in properties.items() if name in schema.get("required", ())}
    others = {name: fitting(inner) for name, inner in properties.items() if name not in needed}
    return st.fixed_dictionaries(needed, optional=others)


_ANYTHING: Final[st.SearchStrategy[Any]] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.sampled_from([0.5, 1.0, -1e9]),
    st.sampled_from(NAUGHTY),
    st.sampled_from([[], {}, [None], [[]], ["x"], {"a": None}, {"name": "x"}, [{"name": "x"}]]),
)
