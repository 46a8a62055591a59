"""Durations are read exactly, and the CEL that an API server evaluates counts the same."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.kinds.durations import PATTERN, parse, plain, seconds_in_cel
from reconciler.kinds.rules import evaluate

LONGEST = timedelta(days=9999)
texts = st.from_regex(re.compile(PATTERN), fullmatch=True)


@given(texts)
@example("8.7m")
def test_cel_counts_the_same_seconds(text: str) -> None:
    """The CEL expression gives the whole seconds of every duration that is well formed."""
    assert evaluate(seconds_in_cel("text"), text=text) == parse(text) // timedelta(seconds=1)


@given(texts)
def test_no_duration_overflows_the_nanoseconds_of_go(text: str) -> None:
    """Every well-formed duration fits into the 64 bits in which an API server counts nanoseconds."""
    assert parse(text) / timedelta(microseconds=1) * 1000 < 2**63


@given(st.timedeltas(timedelta(0), LONGEST))
def test_what_is_written_is_read_again(length: timedelta) -> None:
    """Writing a length and reading it again gives the same length, to the microsecond."""
    assert parse(plain(length)) == length


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90d", timedelta(days=90)),
        ("1d12h", timedelta(hours=36)),
        ("1h30m", timedelta(minutes=90)),
        ("30m1h", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("0.001s", timedelta(milliseconds=1)),
        ("300ms", timedelta(milliseconds=300)),
        ("0s", timedelta(0)),
        ("0d", timedelta(0)),
    ],
)
def test_units_mean_what_they_mean_in_go_and_a_day_is_24_hours(text: str, length: timedelta) -> None:
    """Each unit has its length, in any order, with fractions; days are whole and come first."""
    assert parse(text) == length


@pytest.mark.parametrize(
    ("length", "text"),
    [(timedelta(hours=6), "6h"), (timedelta(days=90), "90d"), (timedelta(hours=36), "1d12h"), (timedelta(0), "0s")],
)
def test_lengths_are_written_as_people_write_them(length: timedelta, text: str) -> None:
    """A length is written in the fewest units."""
    assert plain(length) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5x",
        "-5m",
        "+5m",
        "1.5d",
        "1h1d",
        "5 m",
        "5m\n",
        "\N{ARABIC-INDIC DIGIT FIVE}m",
        "1w",
        "12345d",
        "PT5M",
    ],
)
def test_anything_else_is_refused_in_words_that_say_how_to_write_it(text: str) -> None:
    """A text that is no duration is refused, and the message shows how to write one."""
    with pytest.raises(ValueError, match="is not a duration; write it like 30m, 6h or 7d"):
        parse(text)
