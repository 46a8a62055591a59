"""A charge as the ledger stores it: which line of the bill it is, and a hash of all that it says.

Two hashes of 16 bytes: `identity` covers the dimensions alone, `row_id` the dimensions and the content. Rows
with the same `row_id` say exactly the same thing; rows that share only an `identity` are one line of the bill
before and after a restatement, or several like it. Names (of sub accounts, of resources) are content: renaming
a project changes a line, it does not make one. The encoding below is part of the stored data: changing
it makes every stored row look restated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple

from ledger.charge import MAX_TEXT, Charge
from ledger.errors import InvalidCharge
from ledger.money import InvalidAmount, canonical, currency, plain
from ledger.window import EPOCH

HASH_BYTES = 16
DIGEST_MODULUS = 1 << (8 * HASH_BYTES)
_SEPARATOR = "\x1f"


class Record(NamedTuple):
    """One encoded charge: its hashes and its values, the latter in the order of `ledger.schema.CHARGE_VALUES`."""

    start: datetime
    row_id: bytes
    identity: bytes
    values: tuple[Any, ...]


def encode(charge: Charge) -> Record:
    """`charge` with clean text, canonical amounts and its hashes. Raises InvalidCharge."""
    try:
        return _encode(charge)
    except UnicodeEncodeError:
        return _encode(_cleaned(charge))
    except (InvalidAmount, TypeError, AttributeError, ValueError) as error:
        where = f"{charge.service_name} of {charge.charge_period_start:%Y-%m-%d}"
        raise InvalidCharge(f"{error} (in {where})") from error


def _encode(charge: Charge) -> Record:
    fields: tuple[Any, ...] = charge
    start, end, code, billed, origin, service, sold_by, category, kind, frequency, *fields_left = fields
    description, service_category, account, sub_account, sub_account_name, region, resource, *fields_left = fields_left
    resource_name, sku, model, token_type, consumed, consumed_unit, priced, pricing_unit, *fields_left = fields_left
    effective, listed, contracted, tags, extra = fields_left
    code, billed = currency(code), _amount(billed)
    dimensions = (
        *(code, origin, service, sold_by, category, kind, frequency, description, service_category),
        *(account, sub_account, region, resource, sku, model, token_type, consumed_unit, pricing_unit),
    )
    names = (sub_account_name, resource_name)
    line = _SEPARATOR.join([value or "" for value in dimensions])
    named = _SEPARATOR.join([value or "" for value in names])
    if "\0" in line or "\0" in named:
        return _encode(_cleaned(charge))
    if len(line) + len(named) > MAX_TEXT:
        _check_lengths(dimensions + names)
    effective = billed if effective is None else _amount(effective)
    amounts = (billed, effective, *map(_amount, (listed, contracted, consumed, priced)))
    tags_text, extra_text = _json(tags), _json(extra)
    hasher = blake2b(f"{_micros(start)} {_micros(end)} {line}".encode(), digest_size=HASH_BYTES)
    identity = hasher.digest()
    content = [named, *("" if value is None else str(value) for value in amounts), tags_text or "", extra_text or ""]
    hasher.update(("\x1e" + _SEPARATOR.join(content)).encode())
    values = (end, *(value or None for value in dimensions + names), *amounts, tags_text, extra_text)
    return Record(start, hasher.digest(), identity, values)


def digest(row_id: bytes) -> int:
    """A row's part of a digest: digests of a set of rows are sums of these modulo DIGEST_MODULUS."""
    return int.from_bytes(row_id, "big")


def _check_lengths(texts: tuple[str | None, ...]) -> None:
    longest = max(texts, key=lambda text: len(text or "")) or ""
    if len(longest) > MAX_TEXT:
        raise InvalidCharge(f"a text of {len(longest)} characters; at most {MAX_TEXT} are kept: {longest[:40]!r}...")


def _amount(value: Decimal | None) -> Decimal | None:
    if value is None:
        return None
    if not isinstance(value, Decimal):
        raise InvalidAmount(f"an amount must be a Decimal, not {type(value).__name__}")
    return canonical(value)


def _micros(moment: datetime) -> int:
    delta = moment - EPOCH
    return (delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds


def _json(value: Mapping[str, Any] | None) -> str | None:
    if not value:
        return None
    _refuse_floats(value)
    text = _dumps(value)
    return _dumps(_scrub(value)) if "\\u0000" in text else text


def _dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain_amount)


def _plain_amount(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(canonical(value))
    raise TypeError(f"a {type(value).__name__} is not JSON")


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


def _cleaned(charge: Charge) -> Charge:
    """`charge` without what Postgres cannot hold, so that no byte of a vendor's text stops a sync."""
    return Charge(*(_scrub(value) for value in charge))


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_scrub(key): _scrub(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_scrub(inner) for inner in value]
    return value
