"""What OpenAI's refusals mean, in words that say what to do.

The envelope is `{"error": {"message", "type", "param", "code"}}`. A missing scope comes as 403 or as 401, so its
text tells it from a wrong key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson

ADMIN_KEY: Final = (
    "Costs are read with an admin key (sk-admin-...) that may read usage, which an owner of the organisation makes at "
    "https://platform.openai.com/settings/organization/admin-keys."
)
QUOTA: Final = (
    "OpenAI answers nothing while the organisation's quota is used up: pay or raise the limit at "
    "https://platform.openai.com/settings/organization/billing."
)
NO_SCOPE: Final = "The key lacks the permission to read usage (scope api.usage.read)."
WRONG_KINDS: Final = {
    "sk-proj-": "The key belongs to one project (sk-proj-...): it can use models but read no costs.",
    "sk-svcacct-": "The key belongs to a project's service account (sk-svcacct-...): it can read no costs.",
}


class NotAllowed(NeedsPerson):
    """The key is good, but not for what was asked."""


def explained(refused: Refused, key: str) -> NeedsPerson:
    """The error to raise in the place of `refused`; of `key` only its beginning is looked at.

    A missing scope comes as 403 or as 401: the text tells it from a wrong key, not the status.
    """
    error = refused.body.get("error") if isinstance(refused.body, Mapping) else None
    said = str((isinstance(error, Mapping) and error.get("message")) or refused.text)[:300]
    kind = next((words for prefix, words in WRONG_KINDS.items() if key.startswith(prefix)), "")
    lacking = re.search("missing scopes|insufficient permissions", said, re.IGNORECASE)
    if lacking or refused.status == 403:
        kind = kind or (NO_SCOPE if lacking else "The key may not read the organisation's costs.")
        return NotAllowed(f"{kind} {ADMIN_KEY} OpenAI said: {said}", reason="Forbidden")
    if refused.status == 401:
        words = ("OpenAI does not accept the key: it is mistyped, expired or deleted.", kind, ADMIN_KEY)
        return NeedsPerson(" ".join(filter(None, words)), reason="Unauthorized")
    if refused.status == 404:
        return NotAllowed(f"There is nothing at this address; check openai.baseURL. It said: {said}", reason="NotFound")
    if refused.status == 429:
        return NeedsPerson(f"{QUOTA} OpenAI said: {said}", reason="QuotaSpent")
    return NeedsPerson(f"OpenAI refused the request ({refused.status}): {said}", reason=refused.reason)
