"""How much one document may ask for, found out before anything of it is run.

Fragments are weighed once, however often they are spread, so weighing takes no longer than reading. Strawberry's own
depth and alias limiters are not used: spreads that double make them run for minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from strawberry.extensions import SchemaExtension

from api.graphql.errors import Code, PublicError

MAX_TOKENS: Final = 2_000
MAX_COMMENTS: Final = 100
MAX_SOURCE: Final = 64 * 1024
MAX_OPERATIONS: Final = 5
MAX_DEPTH: Final = 16
MAX_ALIASES: Final = 30
MAX_ROOTS: Final = 10
MAX_FIELDS: Final = 1_000
MAX_DIRECTIVES: Final = 30
MAX_DIGITS: Final = 40
MAX_COST: Final = 10_000
"""One per field, times the rows of the pages it lies in; reports and introspection cost extra."""

PAGES: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        (
            *("alertHistory", "alerts", "budgets", "channels", "charges", "costEntries", "notifications", "providers"),
            *("restatements", "silences", "syncRuns"),
        ),
        50,
    ),
    "levels": 4,
}
"""Fields that give pages, and the rows of one where `first` is not given; an alert has a few levels, as a rule."""
EXTRA: Final[Mapping[str, int]] = {
    "costs": 200,
    "history": 50,
    "standing": 20,
    "models": 200,
    "__schema": 1_000,
    "__type": 100,
    "totalCount": 50,
}


@dataclass(frozen=True, slots=True)
class Weight:
    """What a selection asks for."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    cost: int = 0

    def beside(self, other: Weight) -> Weight:
        return Weight(
            max(self.depth, other.depth),
            self.fields + other.fields,
            self.aliases + other.aliases,
            self.directives + other.directives,
            self.cost + other.cost,
        )


class Limits(SchemaExtension):
    """Refuses documents that ask for too much. A new one is made for every request."""

    def on_operation(self) -> Iterator[None]:
        limits: Any = self.execution_context.parse_options
        limits.update(max_lexical_tokens=MAX_TOKENS, max_comments=MAX_COMMENTS, max_source_length=MAX_SOURCE)
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        assert context.graphql_document is not None
        try:
            check(context.graphql_document, context.variables or {})
        except PublicError as error:
            # Errors that are there already keep the standard rules, which take longer, from being run.
            context.pre_execution_errors = [error]
        yield


def check(document: DocumentNode, variables: Mapping[str, Any]) -> Weight:
    """Weigh every operation; returns the heaviest weight. Raises PublicError when a limit is passed."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    _within("operations", len(operations), MAX_OPERATIONS)
    _check_numbers(document)
    scale = _Scale(document, variables)
    heaviest = Weight()
    for operation in operations:
        weight = scale.weigh(operation.selection_set)
        weight = replace(weight, directives=weight.directives + len(operation.directives or ()))
        _within("fields at the root", scale.roots(operation.selection_set), MAX_ROOTS)
        for name, limit in _LIMITS.items():
            _within(name, getattr(weight, name), limit)
        heaviest = max(heaviest, weight, key=lambda held: held.cost)
    return heaviest


_LIMITS: Final[Mapping[str, int]] = {
    "depth": MAX_DEPTH,
    "fields": MAX_FIELDS,
    "aliases": MAX_ALIASES,
    "directives": MAX_DIRECTIVES,
    "cost": MAX_COST,
}


class _Scale:
    """Weighs selections of one document."""

    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self._fragments = {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}
        self._weights: dict[str, Weight] = {}
        self._roots: dict[str, int] = {}

    def weigh(self, selection: SelectionSetNode | None) -> Weight:
        total = Weight()
        for node in selection.selections if selection else ():
            total = total.beside(self._weigh(node))
        return total

    def roots(self, selection: SelectionSetNode) -> int:
        """Fields at the root, those in fragments included."""
        return sum(map(self._count, selection.selections))

    def _weigh(self, node: Node) -> Weight:
        directives = len(getattr(node, "directives", None) or ())
        if isinstance(node, FieldNode):
            return self._field(node, directives)
        inner = self.weigh(node.selection_set) if isinstance(node, InlineFragmentNode) else self._spread(node)
        return replace(inner, directives=inner.directives + directives)

    def _field(self, node: FieldNode, directives: int) -> Weight:
        name = node.name.value
        inner = self.weigh(node.selection_set)
        return Weight(
            inner.depth + 1,
            inner.fields + 1,
            inner.aliases + (node.alias is not None),
            inner.directives + directives,
            1 + EXTRA.get(name, 0) + inner.cost * self._rows(node),
        )

    def _rows(self, node: FieldNode) -> int:
        if node.name.value not in PAGES:
            return 1
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value: Any = getattr(argument.value, "value", None)
                if isinstance(argument.value, VariableNode):
                    value = self._variables.get(argument.value.name.value)
                if isinstance(value, int | str) and str(value).isdecimal():
                    return max(1, int(value))
        return PAGES[node.name.value]

    def _spread(self, node: Node) -> Weight:
        assert isinstance(node, FragmentSpreadNode)
        name = node.name.value
        if name not in self._weights:
            # What spreads itself weighs nothing where it does; the standard rules will refuse it.
            self._weights[name] = Weight()
            fragment = self._fragments.get(name)
            self._weights[name] = self.weigh(fragment.selection_set) if fragment else Weight()
        return self._weights[name]

    def _count(self, node: Node) -> int:
        if isinstance(node, FieldNode):
            return 1
        if isinstance(node, InlineFragmentNode):
            return self.roots(node.selection_set)
        assert isinstance(node, FragmentSpreadNode)
        name = node.name.value
        if name not in self._roots:
            self._roots[name] = 0
            fragment = self._fragments.get(name)
            self._roots[name] = self.roots(fragment.selection_set) if fragment else 0
        return self._roots[name]


def _check_numbers(document: DocumentNode) -> None:
    """Refuse numbers that take Python long to read and that no argument can take."""
    waiting: list[Any] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, IntValueNode | FloatValueNode):
            _within("digits of a number", len(node.value), MAX_DIGITS)
        for name in node.keys:
            held = getattr(node, name)
            waiting.extend(held if isinstance(held, tuple | list) else [held] if isinstance(held, Node) else ())


def _within(name: str, found: int, limit: int) -> None:
    if found > limit:
        raise PublicError(Code.TOO_COMPLEX, f"Too many {name}: at most {limit} are answered.", limit=name)
