"""What Anthropic's refusals mean, in words that say what to do.

The envelope is `{"type": "error", "error": {"type", "message", "details": {"error_code"}}, "request_id"}`; types
and codes are those of the official `anthropic` package 2.12. The request id is left out of what is said: it
would make every repetition of one fault look like a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater

TRANSIENT: Final = frozenset({"rate_limit_error", "overloaded_error", "api_error", "timeout_error", "conflict_error"})
"""Error types that pass by themselves, whatever status they come with."""

LONGEST_QUOTE: Final = 300

ADMIN_KEY: Final = (
    "Costs are read with an Admin key (sk-ant-admin...), which a member with the admin role makes in the Claude "
    "Console under Settings > Admin keys."
)
BY_PREFIX: Final = {
    "sk-ant-admin": "Anthropic does not know this Admin key: it is mistyped, disabled or deleted. Make a new one.",
    "sk-ant-api": (
        "The key is an API key for messages (sk-ant-api...), not an Admin key. An individual account has no Admin "
        "keys until an organization is set up under Settings > Organization."
    ),
    "sk-ant-oat": "The value is an OAuth token (sk-ant-oat...), which expires within hours, not an Admin key.",
}
BY_CODE: Final = {
    "organization_on_hold": (
        "Anthropic has put the organization on hold, and reads nothing out until one of its admins has settled that "
        "with Anthropic."
    ),
    "organization_type_not_supported": (
        "The key belongs to a Claude Enterprise organization (claude.ai), which has no cost report. Use an Admin key "
        "of the Claude Console's organization."
    ),
}
BY_STATUS: Final = {
    402: "Anthropic refuses because of the organization's billing: see Settings > Billing in the Claude Console.",
    403: "Anthropic knows the key but does not let it read the organization's costs: a key of one workspace may not.",
    404: (
        "There is no cost report at this address: check anthropic.baseURL. Claude Platform on AWS has none; its costs "
        "are on the AWS bill."
    ),
}


ELSEWHERE: Final = (
    "Anthropic refuses requests from this network: it serves neither every country nor every address. The key was not "
    "looked at."
)


class NotAllowed(NeedsPerson):
    """The key is good, but not for what was asked."""


class Said(NamedTuple):
    """What tells one error from another; empty texts where the answer is not Anthropic's envelope."""

    type: str
    code: str
    message: str


def explained(refused: Refused, key: str) -> ReconcilerError:
    """The error to raise in the place of `refused`; of `key` only its beginning is looked at."""
    said = _said(refused.body)
    quote = (said.message or refused.text)[:LONGEST_QUOTE]
    if said.type in TRANSIENT:
        return RetryLater(f"Anthropic could not answer for now. It said: {quote}")
    kind = NotAllowed if refused.status == 403 else NeedsPerson
    return kind(f"{_advice(refused.status, said, key)} Anthropic said: {quote}", reason=refused.reason)


def _advice(status: int, said: Said, key: str) -> str:
    if said.code in BY_CODE:
        return BY_CODE[said.code]
    if said.type == "forbidden":
        return ELSEWHERE
    if status == 401:
        kinds = (advice for prefix, advice in BY_PREFIX.items() if key.startswith(prefix))
        return f"{next(kinds, 'The value in the Secret is no key of Anthropic.')} {ADMIN_KEY}"
    advice = BY_STATUS.get(status, f"Anthropic refused the request with status {status}.")
    return f"{advice} {ADMIN_KEY}" if status == 403 else advice


def _said(body: Any) -> Said:
    error = _field(body, "error")
    code = _field(_field(error, "details"), "error_code") or _field(error, "error_code")
    texts = (_field(error, "type"), code, _field(error, "message"))
    return Said(*(text if isinstance(text, str) else "" for text in texts))


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
