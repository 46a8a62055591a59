"""Secrets do not survive redaction in any form in which they travel."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.connectors.redaction import HIDDEN, Redactor

SECRET = "sk-ad min/01+ä=\"Q'z"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.upper(),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        urlencode({"key": SECRET}),
        b64encode(SECRET.encode()).decode(),
        urlsafe_b64encode(SECRET.encode()).decode(),
        json.dumps({"key": SECRET}),
        json.dumps({"key": SECRET}, ensure_ascii=False),
        repr(SECRET),
        repr([SECRET]),
    ],
)
def test_every_form_is_hidden(form: str) -> None:
    """A secret is hidden as it is, and base64, URL, JSON and repr encoded."""
    cleaned = Redactor([SECRET]).clean(f"before {form} after")

    assert HIDDEN in cleaned
    assert "min" not in cleaned.lower()
    assert form not in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")


@given(secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=12), user=st.text(max_size=9))
def test_basic_authentication_gives_nothing_away(secret: str, user: str) -> None:
    """Wherever in a base64 text the secret starts, only characters that it shares with its neighbours stay."""
    header = b64encode(f"{user}:{secret}".encode()).decode()

    cleaned = Redactor([secret]).clean(header)

    assert HIDDEN in cleaned
    assert len(cleaned) <= len(header) - len(secret) * 4 // 3 + 2 + len(HIDDEN)


def test_lines_of_a_key_are_hidden_one_by_one() -> None:
    """A PEM key is hidden even where only one of its lines is shown."""
    pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nshort\n-----END PRIVATE KEY-----\n"

    assert Redactor([pem]).clean("read MIIEvQIBADANBgkqhkiG9w0 there") == f"read {HIDDEN} there"


def test_values_too_short_to_be_secret_are_left_alone() -> None:
    """A Secret's value of three letters must not turn every message into stars."""
    assert Redactor(["eu", "", "abc"]).clean("europe abc") == "europe abc"


def test_a_secret_with_space_around_it_is_hidden_without() -> None:
    """A line break at the end of a pasted key does not keep the key itself from being hidden."""
    assert Redactor(["sk-123456\n"]).clean("key sk-123456 is bad") == f"key {HIDDEN} is bad"


def test_the_longest_secret_wins() -> None:
    """Of two secrets, one within the other, no rest of the longer one is left over."""
    assert Redactor(["abcd", "abcdefgh"]).clean("abcdefgh") == HIDDEN


def test_nothing_to_hide() -> None:
    """Without secrets, texts stay as they are, and a redactor shows nothing of what it knows."""
    assert Redactor().clean("text") == "text"
    assert SECRET not in repr(Redactor([SECRET]))
