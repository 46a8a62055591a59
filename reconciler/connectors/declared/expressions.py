"""JMESPath over a vendor's JSON without losing a digit: numbers stay Decimal and int, also through functions.

Beside the functions of JMESPath (jmespath.org) there are `row()`, what the lines of `rows` lie in, and `answer()`,
the whole answer: an expression on a line reaches what stands around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from functools import lru_cache
from typing import Annotated, Any, Final

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError
from jmespath.functions import TYPES_MAP, Functions, signature
from jmespath.visitor import Options, TreeInterpreter
from pydantic import AfterValidator, Field

from ledger.money import EXACT

Reads = Callable[[Any], Any]


class Failed(Exception):
    """An expression cannot be evaluated on what it was given; the text says why."""


class Exactly(Functions):
    """The functions of JMESPath, with Decimal as the number it is. `around` and `whole` are for row() and answer()."""

    def __init__(self) -> None:
        self.around: Any = None
        self.whole: Any = None

    @signature()
    def _func_row(self) -> Any:
        return self.around

    @signature()
    def _func_answer(self) -> Any:
        return self.whole

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> Decimal | int | None:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            return None
        try:
            return Decimal(value) if isinstance(value, str) else value
        except InvalidOperation:
            return None

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> str:
        return value if isinstance(value, str) else shown(value)

    @signature({"types": []})
    def _func_type(self, value: Any) -> str:
        return self._convert_to_jmespath_type(type(value).__name__)

    @signature({"types": ["array-number"]})
    def _func_sum(self, values: list[Any]) -> Decimal | int:
        with localcontext(EXACT):
            total: Decimal | int = sum(values)
            return total

    def _convert_to_jmespath_type(self, pyobject: str) -> str:
        return "number" if pyobject == "Decimal" else str(TYPES_MAP.get(pyobject, "unknown"))

    def _get_allowed_pytypes(self, types: Any) -> Any:
        allowed, inner = super()._get_allowed_pytypes(types)  # type: ignore[misc]  # the stubs leave it out
        return _with_decimal(allowed), [tuple(_with_decimal(list(each))) for each in inner]


class Evaluator:
    """Evaluates expressions within one answer."""

    def __init__(self) -> None:
        self._functions = Exactly()
        self._interpreter = TreeInterpreter(Options(custom_functions=self._functions))

    def enter(self, answer: Any, row: Any = None) -> None:
        """From now on `answer()` and `row()` are these."""
        self._functions.whole, self._functions.around = answer, row

    def reads(self, expression: str) -> Reads:
        """What gives an expression's value on a JSON value; it raises Failed."""
        return _short(parsed(expression)) or self._long(parsed(expression))

    def _long(self, tree: Any) -> Reads:
        def read(value: Any) -> Any:
            try:
                return self._interpreter.visit(tree, value)
            except (JMESPathError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise Failed(f"fails: {error}") from None
            except RecursionError:
                raise Failed("fails: it is nested too deeply") from None

        return read


@lru_cache(maxsize=4096)
def parsed(expression: str) -> Mapping[str, Any]:
    """The tree of an expression. Raises ValueError, in words, also for functions that there are not."""
    try:
        tree: Mapping[str, Any] = jmespath.compile(expression).parsed
    except (JMESPathError, RecursionError) as error:
        said = str(error).splitlines()
        raise ValueError(f"no JMESPath expression: {said[0] if said else 'nested too deeply'}") from None
    for name in _functions_in(tree):
        if name not in Exactly.FUNCTION_TABLE:
            raise ValueError(
                f"there is no function {name}() in JMESPath; there are {', '.join(Exactly.FUNCTION_TABLE)}"
            )
    return tree


def _valid(expression: str) -> str:
    parsed(expression)
    return expression


Expression = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_valid)]
"""A JMESPath expression."""


_SHOWN: Final = msgspec.json.Encoder(decimal_format="number")


def shown(value: Any) -> str:
    """`value` as JSON, its numbers to the last digit."""
    return _SHOWN.encode(value).decode()


def _functions_in(tree: Mapping[str, Any]) -> Iterator[str]:
    if tree.get("type") == "function_expression":
        yield tree["value"]
    for child in tree.get("children", ()):
        if isinstance(child, Mapping):
            yield from _functions_in(child)


def _short(tree: Mapping[str, Any]) -> Reads | None:
    """What reads the commonest expressions without an interpreter: `a`, `a.b` and literals; None for any other."""
    match tree["type"]:
        case "field":
            name = tree["value"]
            return lambda value: value.get(name) if isinstance(value, dict) else None
        case "literal":
            literal = tree["value"]
            return lambda _value: literal
        case "current":
            return lambda value: value
        case "subexpression":
            return _chain([_short(child) for child in tree["children"]])
        case _:
            return None


def _chain(steps: Sequence[Reads | None]) -> Reads | None:
    sound = [step for step in steps if step is not None]
    if len(sound) < len(steps):
        return None

    def read(value: Any) -> Any:
        for step in sound:
            value = step(value)
        return value

    return read


def _with_decimal(types: list[str]) -> list[str]:
    return [*types, "Decimal"] if "float" in types else types
