"""Logs: lines that machines and people can read, and no word of an unexpected error's text."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ledger.logs import configure

SECRET = "correct-horse"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    yield
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no terminal is, an event is one JSON object on one line, with its level and its time."""
    configure("info", "auto")
    structlog.get_logger().info("synced", provider="openai", rows=3)

    said = json.loads(capsys.readouterr().err)
    assert (said["event"], said["level"], said["provider"], said["rows"]) == ("synced", "info", "openai", 3)
    assert said["timestamp"].endswith("Z")


def test_text_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """As text, an event is a line with time, level, event and values."""
    configure("info", "text")
    structlog.get_logger().warning("key refused", provider="openai")

    assert capsys.readouterr().err[8:] == " warning key refused provider=openai\n"


def test_what_is_less_grave_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Events below the level are not logged, libraries' neither."""
    configure("error", "json")
    structlog.get_logger().warning("no")
    logging.getLogger("some.library").warning("no")

    assert capsys.readouterr().err == ""


def test_libraries_log_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """What a library logs comes out in the same form, with the library's name."""
    configure("warning", "json")
    logging.getLogger("some.library").error("it is %s", "broken")

    said = json.loads(capsys.readouterr().err)
    assert (said["event"], said["logger"], said["level"]) == ("it is broken", "some.library", "error")


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_unexpected_error_is_told_without_its_text(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """An exception is logged by its type and place; its text may hold a secret and is kept out."""
    configure("error", "json" if form == "json" else "text")
    try:
        raise ValueError(SECRET)
    except ValueError:
        structlog.get_logger().exception("it failed")

    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "test_logs.py:" in said
    assert SECRET not in said


def test_tracebacks_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """With tracebacks on, everything is told."""
    configure("error", "text", tracebacks=True)
    try:
        raise ValueError(SECRET)
    except ValueError:
        structlog.get_logger().exception("it failed")

    assert f"ValueError: {SECRET}" in capsys.readouterr().err
