"""What an answer that is no success means for the caller, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, Protocol

from reconciler.connectors.answer import is_json, parse
from reconciler.connectors.redaction import Redactor
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater

EXCERPT: Final = 500
REASONS: Final = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}
SPENT: Final = "insufficient_quota"
"""What OpenAI, and those who speak its protocol, call a 429 that no waiting mends: somebody has to pay."""
ADVICE: Final = {
    401: "the vendor does not accept the credential; check the key in the Secret",
    403: "the credential is not allowed to read this; check what the key may do",
    404: "there is no such thing at the vendor; check the settings",
}


class Failed(Protocol):
    """An answer that is no success, as far as its head goes."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


class Refused(NeedsPerson):
    """The vendor refused the request (any 4xx but 408, and 429 only if it says SPENT), and would refuse it again.

    `body` is the parsed JSON of the answer, None if it had none; `text` its first 500 characters. Both are
    redacted. Connectors that know their vendor's refusals catch this and raise NeedsPerson with better words.
    `after` is how long the vendor asks to be left alone, where it refuses for that with another status than 429.
    """

    def __init__(
        self, message: str, *, status: int, body: Any = None, text: str = "", after: timedelta | None = None
    ) -> None:
        super().__init__(message, reason=REASONS.get(status, "Refused"))
        self.status = status
        self.body = body
        self.text = text
        self.after = after


def judge(target: str, response: Failed, body: bytes, asked: timedelta | None, redactor: Redactor) -> ReconcilerError:
    """The error that a failed answer from `target` ("GET https://host/path") amounts to.

    `asked` is how long the vendor asks to be left alone.
    """
    status = response.status_code
    text = redactor.clean(body.decode(errors="replace"))
    parsed = _json(text) if is_json(response.headers) else None
    seen = f"{target} answered {status} {_phrase(status)}".rstrip()
    said = _words(parsed)
    message = redactor.clean(f"{seen}: {said}" if said else seen)
    if status == 429 and not _spent(parsed):
        return RetryLater(message, reason="RateLimited", after=asked)
    if status == 408 or status >= 500:
        return RetryLater(message, after=asked)
    if status < 400:
        return Bug(message)
    advice = ADVICE.get(status)
    return Refused(
        f"{advice} ({message})" if advice else message,
        status=status,
        body=parsed,
        text=text[:EXCERPT],
        after=asked,
    )


def _json(text: str) -> Any:
    try:
        return parse(text.encode())
    except Bug:
        return None


def _spent(body: Any) -> bool:
    error = body.get("error") if isinstance(body, Mapping) else None
    return isinstance(error, Mapping) and SPENT in (error.get("code"), error.get("type"))


def _words(body: Any) -> str:
    """What the vendor says in the usual places: `error.message`, `error`, `message`, `detail`, `title`."""
    while isinstance(body, Mapping | list):
        if isinstance(body, list):
            body = body[0] if body else None
        else:
            named = ("error", "errors", "message", "detail", "title", "error_description")
            body = next((body[name] for name in named if body.get(name)), None)
    return _line(body) if isinstance(body, str) else ""


def _line(text: str) -> str:
    """One line, in which no character steers the terminal that shows it."""
    line = " ".join(text.split())[:EXCERPT]
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
