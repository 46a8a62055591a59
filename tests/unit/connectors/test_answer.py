"""JSON keeps every digit, and says no to what is no number."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.connectors.answer import Garbled, is_json, parse
from reconciler.connectors.scripted import dump
from reconciler.errors import Bug


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_fractions_keep_their_digits(value: Decimal) -> None:
    """A number with a point or an exponent arrives as the very Decimal that was written."""
    parsed = parse(dump({"cost": value}).encode())["cost"]

    assert not isinstance(parsed, float)
    assert str(Decimal(parsed)) == str(value) or Decimal(parsed) == value


@given(st.integers(-(10**60) + 1, 10**60 - 1))
def test_whole_numbers_stay_whole(value: int) -> None:
    """A whole number of up to sixty digits arrives as int."""
    parsed = parse(b"[%d]" % value)[0]

    assert parsed == value
    assert type(parsed) is int


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        '{"a": -Infinity}',
        "1" + "0" * 60,
        "-1" + "0" * 60,
        "0." + "1" * 400,
        "1e99999999999999999999",
    ],
)
def test_numbers_that_no_bill_contains(text: str) -> None:
    """NaN, infinities and numbers out of all proportion are reported, and not tried again."""
    with pytest.raises(Bug) as caught:
        parse(text.encode())
    assert caught.value.reason == "UnexpectedAnswer"
    assert not isinstance(caught.value, Garbled)


@pytest.mark.parametrize("body", [b"", b'{"a": ', b"<html>", b'{"a": 1}x', b"\xff\xfe\xfd", b"[" * 100_000])
def test_what_is_not_json(body: bytes) -> None:
    """Broken JSON, foreign bytes and bottomless nesting are garbled answers, worth another try."""
    with pytest.raises(Garbled):
        parse(body)


@pytest.mark.parametrize(
    ("kind", "json"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("text/json", True),
        ("text/html", False),
        ("application/jsonp", False),
        ("", False),
    ],
)
def test_content_types(kind: str, json: bool) -> None:
    """JSON is known by its media type, whatever the parameters."""
    assert is_json({"content-type": kind}) is json


def test_no_content_type_is_not_json() -> None:
    """An answer without a type is not taken for JSON."""
    assert not is_json({})
