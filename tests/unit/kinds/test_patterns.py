"""Patterns mean to an API server what they mean to the models."""

from __future__ import annotations

import pytest

from reconciler.kinds.patterns import SPACES, for_re2


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"^https?://\S+$", rf"^https?://[^{SPACES}]+$"),
        (r"^\s*$", rf"^[{SPACES}]*$"),
        (r"^[^\s:]+$", rf"^[^{SPACES}:]+$"),
        (r"^[]\s]$", rf"^[]{SPACES}]$"),
        (r"^a\\S\.[0-9]{2,}$", r"^a\\S\.[0-9]{2,}$"),
        (r"^AC[0-9a-fA-F]{32}$", r"^AC[0-9a-fA-F]{32}$"),
    ],
)
def test_white_space_is_written_out(pattern: str, said: str) -> None:
    """White space is Unicode's on both sides; everything else stays as it is."""
    assert for_re2(pattern) == said


@pytest.mark.parametrize("pattern", [r"^\d+$", r"^[\w-]+$", r"\bword\b", r"^[\S]$"])
def test_other_classes_are_refused(pattern: str) -> None:
    """A class that would let pass more here than there is refused by name."""
    with pytest.raises(ValueError, match="is not the same to an API server"):
        for_re2(pattern)
