"""Texts of a set form (durations, amounts, dates, names), read the same way here and by an API server.

The form of a text goes into the CRD as a CEL rule and not as a `pattern`, because the API server then answers
with our sentence instead of a regular expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ledger.money import amount
from reconciler.kinds import durations
from reconciler.kinds.rules import Rule


@dataclass(frozen=True, slots=True)
class Form:
    """Annotates a text: all of it matches `pattern`, and it has at most `longest` characters.

    `says` completes the sentence "... is not ..."; `read` makes the value of a text that matches. `shown` is
    false where people paste secrets by mistake, so that no message repeats them.
    """

    pattern: str
    says: str
    longest: int
    read: Callable[[str], Any] | None = None
    shown: bool = True

    def rule(self) -> Rule:
        return Rule(f"self.matches('^({self.pattern})$')", f"not {self.says}")

    def parse(self, text: str) -> Any:
        """The value of `text`; raises PydanticCustomError in words that say how to write it."""
        if len(text) > self.longest or not re.fullmatch(self.pattern, text):
            shown = f"{json.dumps(text[:80], ensure_ascii=False)} is not" if self.shown else "not"
            raise PydanticCustomError("form", "{text}", {"text": f"{shown} {self.says}"})
        return self.read(text) if self.read is not None else text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.parse, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "maxLength": self.longest, "x-kubernetes-validations": [self.rule().schema()]}


@dataclass(frozen=True, slots=True)
class _Day:
    """Annotates a calendar day, which OpenAPI's own `format: date` describes."""

    says = "a date; write it like 2026-01-31"
    rule = Rule(
        "self >= timestamp('2000-01-01T00:00:00Z') && self < timestamp('2100-01-01T00:00:00Z')",
        "out of range; give a date from 2000-01-01 to 2099-12-31",
    )

    def parse(self, text: str) -> date:
        try:
            if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
                raise ValueError
            day = date.fromisoformat(text)
        except ValueError:
            shown = json.dumps(text[:80], ensure_ascii=False)
            raise PydanticCustomError("form", "{text}", {"text": f"{shown} is not {self.says}"}) from None
        return day

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.parse, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "date", "x-kubernetes-validations": [self.rule.schema()]}


Day = Annotated[date, _Day()]
"""A UTC calendar day of this century."""

Amount = Annotated[
    Decimal,
    Form(
        "-?[0-9]{1,15}([.][0-9]{1,12})?",
        'a decimal amount; write digits with a point and in quotes, like "45.00"',
        29,
        read=amount,
    ),
]
"""An exact amount as text, because JSON numbers are floats to most programs that touch a manifest."""

Duration = Annotated[timedelta, Form(durations.PATTERN, durations.SAYS, 32, read=durations.parse)]

Currency = Annotated[str, Form("[A-Z]{3}", "a currency; write its three capital letters, like USD", 3)]

SUBDOMAIN: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
"""What Kubernetes calls a DNS subdomain name (RFC 1123): the names of most objects."""

SecretName = Annotated[
    str,
    Form(
        SUBDOMAIN,
        "the name of a Secret; give its metadata.name (lower-case letters, digits, - and .), never the key itself",
        253,
        shown=False,
    ),
]

SecretKey = Annotated[
    str,
    Form("[-._a-zA-Z0-9]+", "a key in a Secret; use letters, digits, -, _ and . only", 253, shown=False),
]
