"""What a manifest may say in `spec.focus`, and what it is told otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.connectors.focus import FocusSettings
from reconciler.kinds.shape import faults, load


@pytest.mark.parametrize(
    "settings",
    [
        {"files": ["exports/*.csv"]},
        {"files": ["a/**/b-[0-9].parquet", "https://example.com/x.csv?sig=a", "http://127.0.0.1:8000/x"]},
        {"files": ["a.csv"], "timeZone": "America/Los_Angeles", "format": "jsonl"},
    ],
)
def test_good_settings(settings: dict[str, Any]) -> None:
    """Patterns and addresses, a time zone and a format are all there is."""
    assert load(FocusSettings, settings).files == tuple(settings["files"])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"files": []}, "too few; write at least 1"),
        ({"files": ["/etc/passwd"]}, "must be a path below the manifest's folder, such as exports/"),
        ({"files": ["../a.csv"]}, "must be a path below"),
        ({"files": ["a/../../a.csv"]}, "must be a path below"),
        ({"files": [""]}, "must be a path below"),
        ({"files": ["a**/b.csv"]}, "must be a whole part of the path"),
        ({"files": ["s3://bucket/a.csv"]}, "s3:// cannot be read; copy the files"),
        ({"files": ["file:///etc/passwd"]}, "must be an https:// address or a path"),
        ({"files": ["https:///a.csv"]}, "must be an https:// address or a path"),
        ({"files": ["https://me:secret@example.com/a.csv"]}, "must not hold a user name or a password"),
        ({"files": ["a.csv"], "timeZone": "Mars/Olympus"}, "'Mars/Olympus' is no time zone"),
        ({"files": ["a.csv"], "timeZone": "../../etc/passwd"}, "is no time zone"),
        ({"files": ["a.csv"], "format": "xlsx"}, '"xlsx" is not one of csv, jsonl, parquet'),
        ({"files": ["a.csv"], "globs": []}, "unknown field"),
    ],
)
def test_bad_settings(settings: dict[str, Any], says: str) -> None:
    """What cannot work is refused before anything is read, in words that say what would."""
    assert any(says in fault.message for fault in faults(FocusSettings, settings))
