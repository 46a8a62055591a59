"""Exact amounts: reading them, writing them plainly, and splitting them without losing a digit.

Every amount is a finite Decimal. The ledger holds amounts of up to `MAX_DIGITS` digits either side of the
point, far beyond any bill; more is a vendor's nonsense and refused rather than rounded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext

MAX_DIGITS = 60
"""Digits allowed before the point, and again after it."""

ZERO = Decimal(0)

EXACT = Context(prec=4 * MAX_DIGITS)
"""Arithmetic context wide enough that sums and canonical forms of ledger amounts never round."""

_USUAL = Context(prec=MAX_DIGITS // 2, traps=[Inexact])
_LEAST = 1 - MAX_DIGITS // 2
"""An amount of so few digits, and no smaller, has no digit too many: looking at each of them takes much longer."""

_CURRENCY = re.compile(r"[A-Z]{3}\Z")

_MINOR_DIGITS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}


class InvalidAmount(ValueError):
    """The text or number is no exact, finite amount the ledger can hold."""


def amount(value: Decimal | int | str) -> Decimal:
    """`value` as an exact, canonical Decimal: no trailing zeros, any zero as plain 0.

    Floats are refused by type: a float has already lost the vendor's digits. Raises InvalidAmount.
    """
    try:
        parsed = value if isinstance(value, Decimal) else Decimal(value)
    except (InvalidOperation, ValueError, TypeError):
        raise InvalidAmount(f"not a decimal number: {_short(value)}") from None
    return canonical(parsed)


def canonical(value: Decimal) -> Decimal:
    """The one representation of equal amounts; raises InvalidAmount on NaN, infinity and absurd sizes."""
    if not value:
        return ZERO
    if not value.is_finite():
        raise InvalidAmount(f"not a finite number: {_short(value)}")
    try:
        short = _USUAL.normalize(value)
        if _LEAST <= short.adjusted() < MAX_DIGITS:
            return short
    except Inexact:
        pass
    _, digits, exponent = value.as_tuple()
    too_long = len(digits) > EXACT.prec or not -MAX_DIGITS <= value.adjusted() < MAX_DIGITS
    if too_long or (isinstance(exponent, int) and exponent < -MAX_DIGITS and _scale(value) > MAX_DIGITS):
        raise InvalidAmount(f"more than {MAX_DIGITS} digits before or after the point: {_short(value)}")
    return EXACT.normalize(value)


def plain(value: Decimal) -> str:
    """`value` in plain notation: no exponent, no trailing zeros, `0` for any zero."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "0", "") else text


def currency(code: str) -> str:
    """`code` as an upper-case ISO 4217 style code; raises InvalidAmount."""
    if _CURRENCY.match(code):
        return code
    upper = code.strip().upper()
    if not _CURRENCY.match(upper):
        raise InvalidAmount(f"not a three-letter currency code: {_short(code)}")
    return upper


def minor_digits(code: str) -> int:
    """Decimals of a currency's minor unit by ISO 4217: 2 for USD, 0 for JPY, 3 for KWD."""
    return _MINOR_DIGITS.get(code, 2)


def split(total: Decimal, weights: Sequence[int], digits: int) -> list[Decimal]:
    """Parts of `total` in proportion to `weights`, each a multiple of 10**-digits, adding up to `total` exactly.

    What does not divide evenly goes to the parts with the largest remainders, earliest first. A total finer
    than `digits` is split at its own finest digit instead, so that nothing is rounded away.
    """
    whole = sum(weights)
    if whole <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("weights must be non-negative and not all zero")
    unit = Decimal(1).scaleb(-max(digits, _scale(total)))
    with localcontext(EXACT):
        units = int((total / unit).to_integral_exact())
        shares = [divmod(units * weight, whole) for weight in weights]
        missing = units - sum(part for part, _ in shares)
        order = sorted(range(len(weights)), key=lambda i: (-shares[i][1], i))
        extra = set(order[:missing])
        return [(part + (i in extra)) * unit for i, (part, _) in enumerate(shares)]


def _scale(value: Decimal) -> int:
    exponent = EXACT.normalize(value).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
