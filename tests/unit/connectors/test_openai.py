"""OpenAI's answers read by themselves: line items, quantities, tokens for one line or none, refusals in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.connectors.http import Refused
from reconciler.connectors.openai import OpenAI, OpenAISettings
from reconciler.connectors.openai.bill import Line, charge, tokens, unmeasured
from reconciler.connectors.openai.lineitem import LineItem, read_line_item
from reconciler.connectors.openai.refusal import NotAllowed, explained
from reconciler.connectors.openai.report import Bucket, CostRow, UsageRow

DAY = datetime(2026, 3, 2, tzinfo=UTC)
MISSING_SCOPE = (
    "You have insufficient permissions for this operation. Missing scopes: api.usage.read. "
    "Check that you have the correct role in your organization."
)


def line(text: str | None, value: object = "1.5", **fields: Any) -> Line:
    row = CostRow.model_validate({"amount": {"value": value, "currency": "usd"}, "line_item": text, **fields})
    return Line(DAY, row, read_line_item(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpt-5.5-2026-04-23, input", LineItem("gpt-5.5-2026-04-23", "input")),
        ("gpt-5.5-2026-04-23, output", LineItem("gpt-5.5-2026-04-23", "output")),
        ("gpt-5.5-2026-04-23, cached input", LineItem("gpt-5.5-2026-04-23", "cached_input")),
        ("gpt-5.6-sol, cache writes", LineItem("gpt-5.6-sol", "cache_write")),
        ("gpt-5.6-sol, input, long context", LineItem("gpt-5.6-sol", "input", details=("long context",))),
        (
            "priority | gpt-5.6-sol, output, long context",
            LineItem("gpt-5.6-sol", "output", channel="priority", details=("long context",)),
        ),
        ("evals | gpt-4o-2024-08-06, input", LineItem("gpt-4o-2024-08-06", "input", channel="evals")),
        ("assistants api | file search", LineItem(channel="assistants api")),
        ("gpt-image-2.5-sunburst text, cached input", LineItem("gpt-image-2.5-sunburst", "cached_input", "text")),
        ("gpt-image-2.5-flare image, output", LineItem("gpt-image-2.5-flare", "output", "image")),
        ("gpt-audio-mini-2025-12-15 audio, input", LineItem("gpt-audio-mini-2025-12-15", "input", "audio")),
        ("whisper-1, audio", LineItem("whisper-1", None, "audio")),
        (
            "dall-e 3, standard, 1024x1792, 1792x1024",
            LineItem("dall-e 3", details=("standard", "1024x1792", "1792x1024")),
        ),
        ("ft-gpt-4o-2024-08-06, input", LineItem("ft-gpt-4o-2024-08-06", "input")),
        ("gpt-6-astra, input_tokens", LineItem("gpt-6-astra", "input")),
        ("gpt-6-astra, input_cached_tokens", LineItem("gpt-6-astra", "cached_input")),
        ("gpt-6-astra, input_cache_write_tokens", LineItem("gpt-6-astra", "cache_write")),
        ("input_tokens", LineItem(token_type="input")),
        ("text-embedding-3-small, input", LineItem("text-embedding-3-small", "input")),
        ("nobody-knows 7 yet, output", LineItem("nobody-knows 7 yet", "output")),
        ("web search tool calls", LineItem()),
        ("Vector storage", LineItem()),
        ("Q1 true-up, minimum commitment", LineItem()),
        (", input", LineItem(token_type="input")),
        ("", LineItem()),
        (None, LineItem()),
    ],
)
def test_line_items_say_what_their_shape_allows(text: str | None, expected: LineItem) -> None:
    """Every shape seen in real accounts is read; what has no known shape says nothing."""
    assert read_line_item(text) == expected


@given(st.none() | st.text() | st.text("|,_ abcinput"))
def test_no_line_item_is_an_error_and_none_is_lost(text: str | None) -> None:
    """Whatever the text, the row becomes a charge that carries it verbatim, with its whole amount."""
    found = charge(line(text), None, {})

    assert (found.sku_id, found.charge_description, found.billed_cost) == (text, text, Decimal("1.5"))


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("Promotional credit", "-5", "Credit"),
        ("credit_grant", "-5", "Credit"),
        ("Credits bought", "5", "Usage"),
        ("gpt-5.5, input", "-0.2", "Usage"),
        ("credit-checker-2, output", "-0.2", "Usage"),
        ("Scale Tier true-up", "-3", "Usage"),
        (None, "-3", "Usage"),
        ("Sales tax", "0.8", "Tax"),
        ("VAT 19 %", "-0.8", "Tax"),
        ("syntax checks", "0.8", "Usage"),
    ],
)
def test_categories_follow_what_the_text_tells(text: str | None, value: str, expected: str) -> None:
    """Tax and Credit are told by the text alone; a negative row whose text tells nothing stays Usage, with its sign."""
    found = charge(line(text, value), None, {})

    assert (found.charge_category, found.billed_cost) == (expected, Decimal(value))


@pytest.mark.parametrize(
    ("text", "quantity", "unit", "expected"),
    [
        ("gpt-5.5, input", 10_000, "tokens", (Decimal(10_000), "Tokens")),
        ("gpt-5.5, input", Decimal("12.345"), "1000_tokens", (Decimal(12_345), "Tokens")),
        ("gpt-5.5, input", "0.0001", "1000_tokens", (Decimal("0.1"), "Tokens")),
        ("gpt-5.5, input", 0, "tokens", (Decimal(0), "Tokens")),
        ("gpt-5.5, input", None, None, (None, "Tokens")),
        ("gpt-5.5, input", 7, None, (None, "Tokens")),
        ("whisper-1, audio", 90, "duration_seconds", (Decimal(90), "Seconds")),
        ("whisper-1, audio", 2, "duration_minutes", (Decimal(2), "Minutes")),
        ("code interpreter", 3, "duration_hours", (Decimal(3), "Hours")),
        ("Vector storage", Decimal("0.5"), "gibibyte_hours", (Decimal("0.5"), "GiB-Hours")),
        ("dall-e 3, standard", 4, "images", (Decimal(4), "Images")),
        ("tts-1, audio", 900, "characters", (Decimal(900), "Characters")),
        ("web search tool calls", 12, "calls", (Decimal(12), "calls")),
        ("web search tool calls", 12, None, (None, None)),
        ("web search tool calls", None, "calls", (None, "calls")),
    ],
)
def test_quantities_come_from_the_cost_row(text: str, quantity: object, unit: str | None, expected: object) -> None:
    """OpenAI's units become FOCUS units, thousands of tokens become tokens, and unknown units stay as they are."""
    found = charge(line(text, quantity=quantity, quantity_unit=unit), None, {})

    assert (found.consumed_quantity, found.consumed_unit) == expected


USED: Mapping[str, Any] = {
    "input_tokens": 1000,
    "input_uncached_tokens": 700,
    "input_cached_tokens": 200,
    "input_cache_write_tokens": 100,
    "input_text_tokens": 600,
    "input_audio_tokens": 100,
    "input_cached_text_tokens": 150,
    "output_tokens": 50,
    "output_audio_tokens": 20,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpt-5.5, input", 700),
        ("gpt-5.5, cached input", 200),
        ("gpt-5.5, cache writes", 100),
        ("gpt-5.5, output", 50),
        ("gpt-5.5 text, input", 600),
        ("gpt-5.5 audio, input", 100),
        ("gpt-5.5 text, cached input", 150),
        ("gpt-5.5 audio, output", 20),
        ("gpt-5.5 image, input", None),
        ("whisper-1, audio", None),
    ],
)
def test_usage_counts_are_taken_by_token_type(text: str, expected: int | None) -> None:
    """Each token type has its own count in usage, and `input` is the uncached part of the input alone."""
    assert tokens(read_line_item(text), USED) == expected


def test_older_usage_says_uncached_input_by_subtraction() -> None:
    """Where usage has no count of uncached input, it is what remains of the input; without input it is unknown."""
    item = LineItem("gpt-5.5", "input")

    assert tokens(item, {"input_tokens": 1000, "input_cached_tokens": 200, "input_cache_write_tokens": 100}) == 700
    assert tokens(item, {"input_tokens": 1000}) == 1000
    assert tokens(item, {"input_cached_tokens": 200}) is None


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["gpt-5.5, input", "gpt-5.5, output", "gpt-5.5, cached input"], [0, 1, 2]),
        (["gpt-5.5, input", "priority | gpt-5.5, input", "gpt-5.5, output"], [2]),
        (["gpt-5.5, input", "gpt-5.5, input, long context"], []),
        (["gpt-5.5 text, input", "gpt-5.5 audio, input"], [0, 1]),
        (["gpt-5.5 text, input", "gpt-5.5, input"], []),
        (["gpt-5.5, input", "gpt-5.5, input"], []),
        (["web search tool calls", "whisper-1, audio", "input_tokens"], []),
    ],
)
def test_tokens_that_several_lines_may_bill_go_to_none(texts: list[str], expected: list[int]) -> None:
    """Usage completes a line only where no other line can bill the same tokens."""
    assert unmeasured([line(text) for text in texts]) == expected


def test_a_measured_line_is_not_completed_and_makes_its_neighbours_unclear() -> None:
    """A line with a quantity of its own keeps it, and its tokens are not given to another line again."""
    measured = line("gpt-5.5, input", quantity=5, quantity_unit="tokens")

    assert unmeasured([measured]) == []
    assert unmeasured([measured, line("priority | gpt-5.5, input")]) == []


PARTS = ("input_text", "input_audio", "input_cached_text", "input_cached_audio", "output_text", "output_audio")
CLAIMS = st.sampled_from(
    [
        f"{channel}gpt-5.5{modality}, {kind}{suffix}"
        for channel in ("", "priority | ")
        for modality in ("", " text", " audio")
        for kind in ("input", "cached input", "cache writes", "output")
        for suffix in ("", ", long context")
    ]
)


@given(st.lists(CLAIMS, max_size=8), st.lists(st.integers(0, 1000), min_size=7, max_size=7))
def test_no_token_is_counted_twice(texts: list[str], sizes: list[int]) -> None:
    """Whatever lines a day has, they are never given more tokens of a kind than usage counts of it."""
    *sizes, writes = sizes
    counts = {f"{name}_tokens": size for name, size in zip(PARTS, sizes, strict=True)}
    counts |= {"input_cached_tokens": sum(sizes[2:4]), "input_cache_write_tokens": writes}
    counts |= {"input_tokens": sum(sizes[:4]) + writes, "output_tokens": sum(sizes[4:])}
    lines = [line(text) for text in texts]

    given_to = [(lines[place].item, tokens(lines[place].item, counts) or 0) for place in unmeasured(lines)]

    assert sum(count for item, count in given_to if item.token_type == "output") <= counts["output_tokens"]
    assert sum(count for item, count in given_to if item.token_type != "output") <= counts["input_tokens"]


def test_what_the_text_says_besides_is_kept() -> None:
    """Service tier, channel, modality and details have columns of their own, and so has the source of a quantity."""
    tiered = charge(line("priority | gpt-5.6-sol, output, long context"), 9, {})
    other = charge(line("evals | gpt-audio-2 audio, input", project_id="proj_1"), None, {"proj_1": "Search"})

    assert tiered.extra == {"x_service_tier": "priority", "x_details": "long context", "x_quantity_source": "usage"}
    assert (tiered.consumed_quantity, tiered.consumed_unit) == (Decimal(9), "Tokens")
    assert other.extra == {"x_channel": "evals", "x_modality": "audio"}
    assert (other.sub_account_id, other.sub_account_name) == ("proj_1", "Search")


@pytest.mark.parametrize("value", [True, None, "", "abc", "NaN", "-Infinity", [], {"value": 1}, "1e99"])
def test_what_is_no_amount_is_refused(value: object) -> None:
    """A value that is missing or no finite number makes the answer invalid: it never counts as 0."""
    with pytest.raises(ValidationError):
        line("gpt-5.5, input", value)


@pytest.mark.parametrize("start", [True, "1772409600", 1772409601, -86400, 1 << 60, None])
def test_a_bucket_starts_at_a_utc_midnight(start: object) -> None:
    """A bucket that starts at another moment belongs to no day, and is refused."""
    with pytest.raises(ValidationError):
        Bucket[CostRow].model_validate({"start_time": start, "results": []})


def test_usage_counts_are_whole_numbers() -> None:
    """Only whole numbers are counts; flags, names and gaps beside them are not."""
    row = UsageRow.model_validate({"model": "m", "output_tokens": 3, "batch": True, "user_id": None, "tier": "x"})

    assert row.counts == {"output_tokens": 3}


def refused(status: int, message: str = "", code: str | None = None) -> Refused:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return Refused("refused", status=status, body=body, text=message)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("sk-proj-abcdefgh", "belongs to one project"),
        ("sk-svcacct-abcdefgh", "service account"),
        ("sk-admin-abcdefgh", "api.usage.read"),
        ("sk-abcdefgh", "api.usage.read"),
    ],
)
def test_a_missing_scope_is_told_by_its_text(status: int, key: str, words: str) -> None:
    """Whether it comes as 401 or 403, a missing scope names the kind of key it is, and the kind that is needed."""
    error = explained(refused(status, MISSING_SCOPE), key)

    assert isinstance(error, NotAllowed)
    assert error.reason == "Forbidden"
    assert all(part in str(error) for part in (words, "admin key (sk-admin-...)", "/admin-keys"))


def test_an_unknown_key_is_not_taken_for_a_missing_scope() -> None:
    """An unknown key says so, without the part of it that OpenAI repeats, and where a good one is made."""
    error = explained(refused(401, "Incorrect API key provided: sk-admin-****1234.", "invalid_api_key"), "sk-admin-x")

    assert not isinstance(error, NotAllowed)
    assert error.reason == "Unauthorized"
    assert all(part in str(error) for part in ("mistyped, expired or deleted", "/admin-keys"))
    assert "1234" not in str(error)


@pytest.mark.parametrize(
    ("status", "message", "reason", "words"),
    [
        (403, "Country not supported", "Forbidden", "Country not supported"),
        (404, "Invalid URL", "NotFound", "openai.baseURL"),
        (429, "You exceeded your current quota", "QuotaSpent", "/billing"),
        (400, "Invalid group_by", "BadRequest", "Invalid group_by"),
    ],
)
def test_other_refusals_say_what_openai_said(status: int, message: str, reason: str, words: str) -> None:
    """Every other refusal keeps OpenAI's words and says where to look."""
    error = explained(refused(status, message), "sk-admin-x")

    assert error.reason == reason
    assert words in str(error)


def test_a_refusal_without_an_envelope_is_quoted() -> None:
    """A proxy's refusal, which is no JSON of OpenAI's, is shown as it is."""
    error = explained(Refused("refused", status=403, body=None, text="<h1>Blocked by proxy</h1>"), "sk-admin-x")

    assert "Blocked by proxy" in str(error)


@pytest.mark.parametrize(
    "block",
    [{"baseURL": "ftp://x"}, {"projectIDs": [""]}, {"daysPerCall": 0}, {"daysPerCall": 32}, {"organization": "org"}],
)
def test_settings_have_bounds(block: Mapping[str, Any]) -> None:
    """Settings beyond their bounds and unknown ones are refused."""
    with pytest.raises(ValidationError):
        OpenAISettings.model_validate(block)


def test_the_guide_tells_every_setting() -> None:
    """The guide's manifest is valid, and its table has every setting with its default."""
    guide = (Path(__file__).parents[3] / OpenAI.traits.guide).read_text()
    manifests = yaml.safe_load_all(guide.partition("```yaml\n")[2].partition("```")[0])
    (provider,) = [manifest for manifest in manifests if manifest["kind"] == "Provider"]

    OpenAISettings.model_validate(provider["spec"]["openai"])
    for field in OpenAISettings.model_fields.values():
        default = f"`{field.default}`" if isinstance(field.default, str) else str(field.default or "none")
        assert f"| `openai.{field.alias}` | {default} |" in guide
