"""What goes wrong, as clients see it: a message fit for people, a code for programs, never an inner word.

Everything that is not an error on purpose is a fault of ours: it is logged with an id, and the id is all that the
client is told.
"""

from __future__ import annotations

from enum import Enum
from secrets import token_hex
from typing import Any, Final

import structlog
from graphql import GraphQLError, GraphQLFormattedError

from ledger.errors import InvalidQuestion, LedgerError, NeedsPerson, RetryLater, TooSlow

log = structlog.get_logger("api")

MASKED: Final = "Something went wrong here; it is logged under this id."


class Code(Enum):
    """Values of `extensions.code`."""

    BAD_REQUEST = "BAD_REQUEST"
    """The document or its variables are not valid."""
    BAD_INPUT = "BAD_INPUT"
    """An argument has a value that cannot be used; `extensions.field` names it."""
    BAD_CURSOR = "BAD_CURSOR"
    """`after` is not a cursor of this connection."""
    TOO_COMPLEX = "TOO_COMPLEX"
    """A limit was passed; `extensions.limit` names it."""
    TOO_SLOW = "TOO_SLOW"
    """The answer would have taken too long."""
    UNAUTHENTICATED = "UNAUTHENTICATED"
    """Nobody, or somebody unknown, asks."""
    FORBIDDEN = "FORBIDDEN"
    """The caller is known and may not do this anywhere."""
    UNAVAILABLE = "UNAVAILABLE"
    """The database cannot be reached; the same request may work soon."""
    INTERNAL = "INTERNAL"
    """A fault of ours; `extensions.id` is in the log."""


class PublicError(GraphQLError):
    """An error whose words are for the client."""

    def __init__(self, code: Code, message: str, **more: Any) -> None:
        super().__init__(message, extensions={"code": code.value, **more})


def present(error: GraphQLError) -> GraphQLFormattedError:
    """The error as the client sees it; what must not be seen is logged instead."""
    original = _cause(error)
    if original is None:
        shown: GraphQLError = error
        extensions = {"code": Code.BAD_REQUEST.value, **(error.extensions or {})}
    else:
        shown = _public(original) or _masked(original, error)
        extensions = dict(shown.extensions or {})
    formatted: GraphQLFormattedError = {"message": shown.message, "extensions": extensions}
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    if error.path:
        formatted["path"] = error.path
    return formatted


def _cause(error: GraphQLError) -> Exception | None:
    """What a resolver raised; None when GraphQL itself objects, also where it wraps its own objections."""
    original = error.original_error
    while isinstance(original, GraphQLError) and original.original_error is not None:
        original = original.original_error
    if original is None or (isinstance(original, GraphQLError) and not isinstance(original, PublicError)):
        return None
    return original


def _public(original: Exception) -> PublicError | None:
    match original:
        case PublicError():
            return original
        case InvalidQuestion():
            more = {} if original.field is None else {"field": original.field}
            return PublicError(Code.BAD_INPUT, _sentence(original), **more)
        case TooSlow() | TimeoutError():
            return PublicError(Code.TOO_SLOW, "This took too long; ask for a shorter period or for less detail.")
        case RecursionError():
            return PublicError(Code.TOO_COMPLEX, "This is nested too deeply.", limit="depth")
        case RetryLater() | NeedsPerson():
            log.warning("request failed", error=str(original))
            return PublicError(Code.UNAVAILABLE, "The database cannot be reached; try again soon.")
    return None


def _masked(original: Exception, error: GraphQLError) -> PublicError:
    fault = token_hex(8)
    log.error("fault", id=fault, path=error.path, exc_info=original)
    return PublicError(Code.INTERNAL, MASKED, id=fault)


def _sentence(error: LedgerError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
