"""What GitHub's refusals mean, in words that say what to do.

The envelope is `{"message", "documentation_url", "status"}`. A 403 may be a rate limit, which its text tells; a 404
also stands for missing rights. Which tokens the billing endpoints take is told differently on GitHub's own pages, so
advice names the kind that all of them agree on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater

CLASSIC: Final = (
    "Billing is read with a personal access token (classic, ghp_...), made at https://github.com/settings/tokens by "
    "an owner or billing manager of the account; see docs/connectors/github.md."
)
ROLES: Final = {
    "organization": "an owner or billing manager of the organisation",
    "enterprise": "an owner or billing manager of the enterprise, with scope manage_billing:enterprise",
    "user": "the user's own",
}
KINDS: Final = {
    "github_pat_": (
        "It is a fine-grained token (github_pat_...): for an organisation it needs the organisation permission "
        "Administration (read), for a user the permission Plan (read), and enterprises may refuse it."
    ),
    "ghs_": "It is an installation token of an app (ghs_...), which expires within the hour.",
    "ghu_": "It is a user token of an app (ghu_...), which the billing endpoints may refuse.",
    "gho_": "It is a token that a program obtained by OAuth (gho_...), which the billing endpoints may refuse.",
}


class NotAllowed(NeedsPerson):
    """The token is good, but not for what was asked; or what was asked for is not there."""


def explained(refused: Refused, key: str, kind: str, account: str) -> ReconcilerError:
    """The error to raise in the place of `refused`; of `key` only its beginning is looked at."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    said = str(body.get("message") or refused.text)[:300]
    if refused.status == 403 and (refused.after is not None or re.search("rate limit", said, re.IGNORECASE)):
        return RetryLater(
            f"GitHub asks to be asked less often. It said: {said}", reason="RateLimited", after=refused.after
        )
    known = f"{kind} {account!r}"
    which = next((words for prefix, words in KINDS.items() if key.startswith(prefix)), "")
    advice = {
        401: f"GitHub does not know the token: it is mistyped, expired or revoked. {CLASSIC}",
        403: f"The token may not read the billing of the {known}: it must be that of {ROLES[kind]}. {which} {CLASSIC}",
        404: (
            f"GitHub shows no billing of the {known}: the name is wrong (github.account, github.accountKind), the "
            f"token is not that of {ROLES[kind]}, or the account is not on GitHub's enhanced billing platform, without "
            f"which there is no API. {which}"
        ),
        410: "GitHub has closed this address; check github.baseURL.",
    }.get(refused.status, f"GitHub refused the request ({refused.status}).")
    if refused.status == 403 and "SAML" in said:
        advice = "The organisation wants the token authorised for single sign-on: Configure SSO, beside the token."
    error = NotAllowed if refused.status in (403, 404) else NeedsPerson
    return error(" ".join(f"{advice} GitHub said: {said}".split()), reason=refused.reason)
