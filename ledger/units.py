"""Units of what was used, converted exactly: "GB-Hours", "MiB", "Minutes", and any countable thing such as "Tokens".

Units are written as FOCUS writes them: a plural noun, products with a dash, and a number before it for a batch of them
("1000 Emails"). A month has no length of its own; who prices by it says how many hours it has.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Final

from ledger.money import EXACT, MAX_DIGITS, canonical

ROUNDED_TO: Final = 20
"""Digits after the point that are kept of a quotient that never ends, such as 1/3."""

_BYTES: Final = {
    "B": 1,
    "Bytes": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGTP", start=1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", start=1)},
}
_SECONDS: Final = {"Seconds": 1, "Minutes": 60, "Hours": 3600, "Days": 86400}
_KNOWN: Final = {
    **{name: ("Bytes", Fraction(size)) for name, size in _BYTES.items()},
    **{name: ("Seconds", Fraction(length)) for name, length in _SECONDS.items()},
    "Milliseconds": ("Seconds", Fraction(1, 1000)),
}
_FINEST: Final = 10**MAX_DIGITS
_BATCH: Final = re.compile(r"([1-9][0-9]{0,17}) (\S.*)\Z")


class NoConversion(ValueError):
    """Two units measure different things; the text names both."""


def convert(quantity: Decimal | Fraction | int, unit: str, target: str, hours_per_month: int | None = None) -> Fraction:
    """`quantity` of `unit` in `target`, exactly. Raises NoConversion.

    A month is a unit of its own unless `hours_per_month` says how long the vendor's month is.
    """
    kinds, size = _measure(unit, hours_per_month)
    target_kinds, target_size = _measure(target, hours_per_month)
    if kinds != target_kinds:
        raise NoConversion(f"{unit} cannot be counted in {target}")
    return Fraction(quantity) * size / target_size


def decimal(value: Fraction) -> Decimal:
    """`value` as an amount: exact if its digits end, else rounded half to even, ROUNDED_TO digits after the point."""
    times, rest = divmod(_FINEST, value.denominator)
    if not rest:  # the digits end; whole numbers take far less than fractions
        return canonical(EXACT.scaleb(Decimal(value.numerator * times), -MAX_DIGITS))
    return canonical(EXACT.scaleb(Decimal(round(value * 10**ROUNDED_TO)), -ROUNDED_TO))


@cache
def _measure(unit: str, hours_per_month: int | None) -> tuple[tuple[str, ...], Fraction]:
    """What a unit measures, and the size of one of it in the units that all of its kind are counted in."""
    batch = _BATCH.match(unit)
    if batch:
        kinds, size = _measure(batch[2], hours_per_month)
        return kinds, size * int(batch[1])
    month = {"Months": ("Seconds", Fraction(3600 * hours_per_month))} if hours_per_month else {}
    parts = [(month | _KNOWN).get(word, (word, Fraction(1))) for word in unit.split("-")]
    product = Fraction(1)
    for _, size in parts:
        product *= size
    return tuple(sorted(kind for kind, _ in parts)), product
