"""What Cloudflare's refusals mean, in words that say what to do.

An error reads `{"success": false, "errors": [{"code": 10000, "message": "..."}], ...}`. The codes are from memory and
from people who called the API; nothing but the choice of words depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson

LONGEST_QUOTE: Final = 300

GUIDE: Final = "See docs/connectors/cloudflare.md."
TOKEN: Final = (
    "Costs are read with an API token that has the permission Account > Billing > Read for this account, made at "
    f"https://dash.cloudflare.com/profile/api-tokens. {GUIDE}"
)
UNKNOWN: Final = "Cloudflare does not accept the token: it is mistyped, expired, disabled or deleted."
NO_ACCESS: Final = (
    "Cloudflare knows the token but does not let it read the account's billing: it lacks the permission Account > "
    "Billing > Read, or is not for the account in cloudflare.accountID."
)
NO_SUCH: Final = "Cloudflare has no such account: check cloudflare.accountID and cloudflare.baseURL."
NO_USAGE: Final = (
    "Cloudflare does not tell this account's usage costs, so they are unknown, and fixed fees alone would pass for the "
    "whole: the API is in alpha, for self-serve accounts, and not enabled for all of them; Enterprise accounts have "
    "none. To read the subscriptions all the same, set cloudflare.usage to Manual and enter what usage costs as a "
    f"ManualCost. {GUIDE}"
)
NO_TOKEN: Final = frozenset({1000, 6003, 6111, 9109})
"""Codes that say that a value is no valid token, whatever the status."""
GLOBAL_KEY: Final = re.compile(r"[0-9a-f]{37}\Z")


class NoUsage(NeedsPerson):
    """Cloudflare does not tell what usage costs: that is unknown, not zero."""

    reason = "Forbidden"


def explained(refused: Refused, token: str, *, usage: bool) -> NeedsPerson:
    """The error to raise in the place of `refused`; of `token` only its form is looked at.

    `usage` says that what usage costs was asked for, with a token that is known to read the account's billing.
    """
    codes, said = _errors(refused.body)
    said = (said or refused.text)[:LONGEST_QUOTE]
    if refused.status == 401 or codes & NO_TOKEN:
        return NeedsPerson(" ".join(filter(None, (UNKNOWN, _kind(token), TOKEN))), reason="Unauthorized")
    if usage and refused.status in (403, 404):
        return NoUsage(f"{NO_USAGE} Cloudflare said: {said}", reason=refused.reason)
    if refused.status == 403:
        return NeedsPerson(f"{_kind(token) or NO_ACCESS} {TOKEN} Cloudflare said: {said}", reason="Forbidden")
    if refused.status == 404:
        return NeedsPerson(f"{NO_SUCH} {GUIDE} Cloudflare said: {said}", reason="NotFound")
    return NeedsPerson(f"Cloudflare refused the request ({refused.status}): {said} {GUIDE}", reason=refused.reason)


def _kind(token: str) -> str | None:
    if GLOBAL_KEY.match(token):
        return "The value looks like a Global API Key, which may do everything and is not used here."
    if token.startswith("v1.0-"):
        return "The value is an Origin CA key (v1.0-...), not an API token."
    return None


def _errors(body: Any) -> tuple[set[object], str]:
    errors = body.get("errors") if isinstance(body, Mapping) else None
    found = [each for each in errors if isinstance(each, Mapping)] if isinstance(errors, list) else []
    texts = (f"{each.get('message')} ({each.get('code')})" for each in found)
    return {each.get("code") for each in found if isinstance(each.get("code"), int)}, "; ".join(texts)
