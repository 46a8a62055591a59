"""A charge as bytes: its hash, and the line with which COPY writes it.

`row_id` is a hash of all that a charge says, so two rows with the same `row_id` say exactly the same. It is
taken of the charge as the connector gave it, amounts in the form of `ledger.money.amount` and None for what is
absent: a connector that writes the same figure differently from one sync to the next would seem to restate it.
The encoding is part of the stored data: changing it makes every stored row look restated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Final, NamedTuple

from msgspec import json as fast_json
from msgspec import msgpack

from ledger.charge import MAX_TEXT, Charge, check
from ledger.errors import InvalidCharge
from ledger.money import MAX_DIGITS, InvalidAmount, canonical, currency, plain
from ledger.schema import COSTS, DIMENSIONS, NAMES, QUANTITIES

HASH_BYTES: Final = 16

_PACK: Final = msgpack.Encoder(order="deterministic").encode
_UNPACK: Final = msgpack.Decoder(Charge).decode
_JSON: Final = fast_json.Encoder().encode
_PLAIN: Final = re.compile(r"-?[0-9]{1,60}(?:\.[0-9]{1,60})?\Z").match
_TEXTS: Final = itemgetter(*(Charge._fields.index(name) for name in (*DIMENSIONS[1:], *NAMES)))
_AMOUNTS: Final = itemgetter(*(Charge._fields.index(name) for name in (*COSTS, *QUANTITIES)))
_AMOUNT_TYPES: Final = frozenset((Decimal, type(None)))
_LETTER: Final = re.compile("[EINa]").search
_SEEN_CURRENCIES: Final[set[str]] = set()
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\ufffd"})
_SPECIAL: Final = re.compile("[\\\\\n\r\0]")


class Place(NamedTuple):
    """Where the charges of one period belong: the number of their piece in the window, and its ends for COPY."""

    piece: int
    start: str
    end: str


def pack(charge: Charge) -> bytes:
    """`charge` as bytes that `unpack` reads back. Raises InvalidCharge for what no charge can hold."""
    try:
        return _PACK(charge)
    except UnicodeEncodeError:
        return _PACK(_scrubbed(charge))
    except (TypeError, OverflowError) as error:
        raise InvalidCharge(f"{error} (in {_where(charge)})") from error


def pack_value(value: object) -> bytes:
    """One value of a charge as it stands in a packed charge, which has the bytes of its values one after another."""
    return _PACK(value)


def unpack(packed: bytes) -> Charge:
    """The charge that `pack` was given."""
    return _UNPACK(packed)


def row_id(packed: bytes) -> bytes:
    """The hash of a packed charge."""
    return blake2b(packed, digest_size=HASH_BYTES).digest()


def moment(at: datetime) -> str:
    """A UTC time as COPY writes it."""
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond:06d}+00"


def line(charge: Charge, row_hex: str, copy: int, start: str, end: str) -> str:
    """The charge as COPY's text format wants it, without the columns that are the same for a whole window.

    The order is that of `ledger.schema.CHARGE_COLUMNS` after its constants. `start` and `end` are the moments of
    its period. Raises InvalidCharge when it breaks a rule of charges.
    """
    try:
        return _line(charge, row_hex, copy, start, end)
    except (InvalidAmount, TypeError, AttributeError, ValueError) as error:
        raise InvalidCharge(f"{error} (in {_where(charge)})") from error


def cells(values: Iterable[str | Decimal | int | None]) -> str:
    """Values as one line of COPY's text format, cleaned as those of charges are."""
    return "\t".join([escaped(v) if isinstance(v, str) or v is None else plain(Decimal(v)) for v in values]) + "\n"


def storable(text: str) -> str:
    """`text` as it is stored: without what no database holds, as COPY is given it too."""
    return _encodable(text.replace("\0", "\ufffd"))


def _line(charge: Charge, row_hex: str, copy: int, start: str, end: str) -> str:
    check(charge)
    code = charge.billing_currency
    texts = _TEXTS(charge)
    said = "\t".join([text or "" for text in texts])
    if _SPECIAL.search(said) or said.count("\t") != len(texts) - 1 or len(said) > MAX_TEXT:
        said = "\t".join([escaped(text) for text in texts])
    figures = _figures(*_AMOUNTS(charge))
    documents = f"{document(charge.tags)}\t{document(charge.extra)}"
    code = code if code in _SEEN_CURRENCIES else _currency(code)
    return f"{start}\t{row_hex}\t{copy}\t{end}\t{code}\t{said}\t{figures}\t{documents}\n"


def _currency(code: str) -> str:
    clean = currency(code)
    _SEEN_CURRENCIES.add(clean)
    return clean


def _figures(billed: Any, effective: Any, *others: Any) -> str:
    """The amounts of a row: all at one look where they are Decimals without an end that has to go."""
    values = (billed, billed if effective is None else effective, *others)
    if _AMOUNT_TYPES.issuperset(map(type, values)):
        text = "\t".join(["" if value is None else str(value) for value in values]) + "\t"
        if "0\t" not in text and len(text) <= MAX_DIGITS and not _LETTER(text):
            return text[:-1]
    return "\t".join(map(_amount, values))


def _amount(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is not Decimal:
        raise InvalidAmount(f"an amount must be a Decimal, not {type(value).__name__}")
    text = str(value)
    if _PLAIN(text):
        return text.rstrip("0").rstrip(".") if text[-1] == "0" and "." in text else text
    return plain(canonical(value))


def escaped(text: str | None) -> str:
    """A text as COPY's text format wants it, nothing for None. Raises ValueError when it is too long."""
    if text is None:
        return ""
    if len(text) > MAX_TEXT:
        raise ValueError(f"a text of {len(text)} characters; at most {MAX_TEXT} are kept: {text[:40]!r}...")
    return text.translate(_ESCAPED)


def document(value: Mapping[str, Any] | None) -> str:
    """Tags or extra columns as COPY's text format wants JSON. Raises InvalidAmount, TypeError."""
    if not value:
        return ""
    return (_flat(value) or _nested(value)).replace("\\", "\\\\")


def _flat(value: Mapping[str, Any]) -> str | None:
    """A document whose values are all texts, as nearly all documents are; None for any other."""
    for inner in value.values():
        if type(inner) is not str:
            return None
    try:
        text = _JSON(value).decode()
    except (UnicodeEncodeError, TypeError):
        return None
    return None if "\\u0000" in text else text


def _nested(value: Mapping[str, Any]) -> str:
    _refuse_floats(value)
    text = _dumps(value)
    return _dumps(_without_nul(value)) if "\\u0000" in text else text


def _plain_amount(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(canonical(value))
    raise TypeError(f"a {type(value).__name__} is not JSON")


_dumps: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain_amount
).encode


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise InvalidAmount("tags and extra fields must not hold floats")
    if isinstance(value, Mapping):
        for inner in value.values():
            if not isinstance(inner, str):
                _refuse_floats(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_floats(inner)


def _scrubbed(charge: Charge) -> Charge:
    """`charge` without lone surrogates, which no database holds, so that no text of a vendor stops a sync."""
    return Charge(*(_changed(value, _encodable) for value in charge))


def _without_nul(value: Any) -> Any:
    return _changed(value, lambda text: text.replace("\0", "\ufffd"))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _changed(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_changed(key, change): _changed(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_changed(inner, change) for inner in value]
    return value


def _where(charge: Charge) -> str:
    return f"{charge.service_name} of {charge.charge_period_start:%Y-%m-%d}"
