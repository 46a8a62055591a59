"""Logging: structured, to standard error, as text at a terminal and as JSON lines elsewhere.

An exception that nobody expected is logged by its type and where it was raised; its text, which may hold
anything, and the traceback only when someone asked for them.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Literal

import structlog


def configure(level: str, form: Literal["auto", "text", "json"], *, tracebacks: bool = False) -> None:
    """Log events of `level` and graver, of this program and of the libraries it uses."""
    number = logging.getLevelNamesMapping()[level.upper()]
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    render: structlog.typing.Processor = structlog.processors.JSONRenderer() if as_json else _Text()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if tracebacks else _shorten,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[_Library()], force=True)


class _Text:
    """A line for people: time, level, event, and the rest as name=value."""

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        time, level, said = event.pop("timestamp", ""), event.pop("level", ""), event.pop("event", "")
        trace = event.pop("exception", "")
        rest = " ".join(f"{name}={value}" for name, value in event.items())
        return " ".join(part for part in (time[11:19], level, said, rest) if part) + (f"\n{trace}" if trace else "")


class _Library(logging.Handler):
    """Passes on what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def _shorten(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    raised = event.pop("exc_info", None)
    if raised:
        error = raised if isinstance(raised, BaseException) else _current(raised)
        if error is not None:
            event["raised"] = type(error).__name__
            event["at"] = _place(error.__traceback__)
    return event


def _current(raised: object) -> BaseException | None:
    return raised[1] if isinstance(raised, tuple) else sys.exception()


def _place(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
