"""What a word without quotes means in a manifest: what kubectl (go-yaml v2, YAML 1.1) makes of it.

`yes` is true, `010` is 8, `1_000` is 1000, and a date stays the text that was written.
"""

from __future__ import annotations

import re
from contextlib import suppress
from math import isfinite
from typing import Final

Meaning = str | int | float | bool | None

_NULL: Final = frozenset(["", "~", "null", "Null", "NULL"])
_TRUE: Final = frozenset("y Y yes Yes YES on On ON true True TRUE".split())
_FALSE: Final = frozenset("n N no No NO off Off OFF false False FALSE".split())
_NO_JSON: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_INTEGER: Final = re.compile(r"[-+]?(?:0[bB][01]+|0[oO][0-7]+|0[xX][0-9a-fA-F]+|[0-9]+)")
_OLD_OCTAL: Final = re.compile(r"\A([-+]?)0(?=[0-9])")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_EXPONENT_FROM: Final = 1e21
"""From here on JSON made by Go writes whole numbers with an exponent, and an integer field refuses them."""


class NoJSON(ValueError):
    """The word is a number that JSON cannot hold."""


def meaning(word: str) -> Meaning:
    """The value of a bare word. Raises NoJSON."""
    if word in _NULL:
        return None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if _NO_JSON.fullmatch(word):
        raise NoJSON(word)
    return _number(word.replace("_", ""), word) if word[0] in "+-.0123456789" else word


def _number(digits: str, word: str) -> str | int | float:
    if _INTEGER.fullmatch(digits):
        with suppress(ValueError):  # 08 looks octal and is none
            integer = int(_OLD_OCTAL.sub(r"\g<1>0o", digits), 0)
            if -(2**63) <= integer < 2**64:
                return integer
    if _FLOAT.fullmatch(digits) and isfinite(number := float(digits)):
        return int(number) if number.is_integer() and abs(number) < _EXPONENT_FROM else number
    return word
