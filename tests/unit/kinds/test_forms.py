"""Texts of a set form: what is read here, an API server's rule accepts, and nothing else."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from reconciler.kinds.forms import Amount, Currency, Day, Duration, Form, SecretKey, SecretName
from reconciler.kinds.manualcost import EntryName
from reconciler.kinds.provider import TypeName
from reconciler.kinds.rules import violations

FORMS = {
    name: next(extra for extra in get_args(annotated) if isinstance(extra, Form))
    for name, annotated in {
        "amount": Amount,
        "currency": Currency,
        "duration": Duration,
        "entry": EntryName,
        "key": SecretKey,
        "secret": SecretName,
        "type": TypeName,
    }.items()
}
near = st.one_of(
    st.text(max_size=12),
    st.text("0123456789.-dhms", max_size=12),
    st.text("abzAZ09-._/ \n", max_size=12),
    *[st.from_regex(re.compile(form.pattern), fullmatch=True) for form in FORMS.values()],
)


@pytest.mark.parametrize("name", FORMS)
@given(text=near)
@example(text="USD\n")
@example(text="-0.10")
def test_the_rule_and_the_reader_accept_the_same_texts(name: str, text: str) -> None:
    """Whatever is written, the CEL rule for API servers holds exactly when the text can be read here."""
    form = FORMS[name]
    schema = {"x-kubernetes-validations": [form.rule().schema()]}
    try:
        form.parse(text)
        read = True
    except PydanticCustomError:
        read = False

    assert read == (len(text) <= form.longest and not list(violations(schema, text)))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**15) + 1, max_value=10**15 - 1))
def test_amounts_keep_every_digit(value: Decimal) -> None:
    """An amount is the very number that was written, to the twelfth decimal."""
    assert TypeAdapter(Amount).validate_python(f"{value:f}") == value


@pytest.mark.parametrize("text", ["", "1e3", "1,50", "$5", ".5", "5.", "1_000", "NaN", "1" * 16, "0." + "1" * 13])
def test_what_is_no_plain_decimal_is_no_amount(text: str) -> None:
    """An amount in any other notation, or with more digits than the ledger promises, is refused with advice."""
    with pytest.raises(
        ValidationError, match=r"is not a decimal amount; write digits with a point and in quotes, like"
    ):
        TypeAdapter(Amount).validate_python(text)


@given(st.dates(date(1000, 1, 1)))
def test_dates_are_the_days_that_were_written(day: date) -> None:
    """A date in ISO form is read as that day."""
    assert TypeAdapter(Day).validate_python(day.isoformat()) == day


@pytest.mark.parametrize(
    "text", ["2026-02-30", "2026-2-3", "20260203", "2026-02-03T00:00:00Z", "", "tomorrow", "2026-W05"]
)
def test_what_is_no_day_of_the_calendar_is_no_date(text: str) -> None:
    """Other notations and days that do not exist are refused with an example."""
    with pytest.raises(ValidationError, match=r"is not a date; write it like 2026-01-31"):
        TypeAdapter(Day).validate_python(text)


def test_a_credential_in_the_place_of_a_name_is_not_repeated() -> None:
    """Somebody who writes the key itself where the Secret's name belongs does not find it in the message."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(SecretName).validate_python("sk-ADMIN-hunter2")

    assert "hunter2" not in refused.value.errors()[0]["msg"]


def test_a_long_text_is_cut_in_the_message() -> None:
    """A message never becomes as long as what somebody pasted."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Annotated[str, FORMS["currency"]]).validate_python("x" * 10_000)

    assert len(refused.value.errors()[0]["msg"]) < 200
