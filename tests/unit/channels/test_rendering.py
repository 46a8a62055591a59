"""Messages in words: true figures, one-line subjects, bounded lengths, nothing that markup could get out of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.channels import rendering
from reconciler.channels.message import Message
from tests.unit.channels.messages import FIRING, SEVERAL, message, resolved


def test_one_message_says_everything() -> None:
    """Subject, description, figures, period, completeness, drivers and link are all in the text."""
    assert rendering.subject([FIRING]) == "Firing: ai has spent 90.2% of its budget"
    assert rendering.text([FIRING]) == (
        "Between 2026-03-01 and 2026-03-19, 4,512.30 USD of 5,000.00 USD were spent.\n"
        "\n"
        "Amount: 4,512.30 USD (90.2% of the limit)\n"
        "Limit: 5,000.00 USD\n"
        "Period: 2026-03-01 to 2026-03-31 (UTC)\n"
        "Complete through: 2026-03-19\n"
        "Scope: provider openai\n"
        "Severity: warning\n"
        "Alert: team-a/ai-budget, Spend 90%\n"
        "Budget: ai\n"
        "\n"
        "Most of it:\n"
        "- gpt-5: 3,000.00 USD\n"
        "- o4_mini: 1,512.30 USD\n"
        "\n"
        "https://costhook.example.com/graphql?alert=ai-budget"
    )


def test_several_messages_are_one_digest() -> None:
    """A digest counts what happened and has a line for each message."""
    several = [FIRING, message(alert="db", severity="critical"), resolved()]

    assert rendering.subject(several) == "3 alerts: 2 firing, 1 resolved"
    assert rendering.text(several).splitlines() == [
        "Firing (warning), team-a/ai-budget: ai has spent 90.2% of its budget",
        "Firing (critical), team-a/db: ai has spent 90.2% of its budget",
        "Resolved (warning), team-a/ai-budget: ai has spent 90.2% of its budget",
    ]
    assert rendering.mark(several) == "🔴"


def test_markdown_shows_names_as_they_are() -> None:
    """Underscores and stars of names are escaped, and stay readable in HTML."""
    sly = message(summary="x", description="*<b>&_", drivers=(), link=None)

    assert rendering.markdown([sly]).startswith(r"\*\<b\>&\_")
    assert rendering.html([sly]).startswith("<p>*&lt;b&gt;&amp;_</p>")
    assert r"- o4\_mini: 1,512.30 USD" in rendering.markdown([FIRING])


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1234567.005", "USD", "1,234,567.00 USD"),
        ("1234567.015", "USD", "1,234,567.02 USD"),
        ("-1", "USD", "-1.00 USD"),
        ("0", "USD", "0.00 USD"),
        ("0.0000004", "USD", "0.0000004 USD"),
        ("1234.5", "JPY", "1,234 JPY"),
        ("1.2345", "KWD", "1.234 KWD"),
        ("17", None, "17"),
        ("123456789012345678901234567890.129", "USD", "123,456,789,012,345,678,901,234,567,890.13 USD"),
    ],
)
def test_amounts_read_well_and_are_never_shown_as_nothing(amount: str, currency: str | None, shown: str) -> None:
    """Amounts are rounded to the currency's coin; one too small for that keeps its digits."""
    assert rendering.money(Decimal(amount), currency) == shown


@given(SEVERAL)
def test_a_subject_is_one_short_line(messages: Sequence[Message]) -> None:
    """Whatever a summary holds, no line break gets into a mail's header, and no subject is endless."""
    found = rendering.subject(messages)

    assert not re.search(r"[\x00-\x1f\x7f\u2028\u2029]", found)
    assert rendering.units(found) <= rendering.SUBJECT


@given(SEVERAL)
def test_html_holds_no_markup_of_others(messages: Sequence[Message]) -> None:
    """Only the tags of the template are in the HTML."""
    tags = set(re.findall(r"<\s*/?\s*([^\s>]*)", rendering.html(messages)))

    assert tags <= {"p", "table", "tr", "td", "ul", "li", "a"}


@given(st.text(max_size=400), st.integers(1, 300))
def test_cutting_counts_as_receivers_do(whole: str, most: int) -> None:
    """A cut text fits, begins as the whole one does, and one that fits stays as it is."""
    found = rendering.cut(whole, most)

    assert rendering.units(found) <= most
    assert found == whole if rendering.units(whole) <= most else found.endswith("…")


@given(st.lists(st.text(max_size=500), max_size=60), st.integers(40, 4000))
def test_lists_fit_and_say_what_is_left_out(lines: list[str], most: int) -> None:
    """A long list is cut between lines, and says how many it leaves out."""
    found = rendering.fitted(lines, most)

    assert rendering.units(found) <= most
    if not lines or found == "\n".join(lines):
        return
    left = re.search(r"… and (\d+) more$", found)
    assert left is not None or len(found.split("\n")) >= len(lines)
