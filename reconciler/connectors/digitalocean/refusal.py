"""What DigitalOcean's refusals mean, in words that say what to do.

An error reads `{"id": "unauthorized", "message": "..."}`; what kind of token a value is, its beginning tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson

LONGEST_QUOTE: Final = 300

TOKEN: Final = (
    "Bills are read with a personal access token (dop_v1_...) with the scopes billing:read and account:read, made at "
    "https://cloud.digitalocean.com/account/api/tokens. See docs/connectors/digitalocean.md."
)
NO_TEAM: Final = (
    "Estimates need the team's URN, and the token may not read the account that tells it, or belongs to no team: add "
    "the scope account:read, or set digitalocean.teamURN (do:team:...)."
)
UNKNOWN: Final = "DigitalOcean does not accept the token: it is mistyped, expired or revoked."
NO_SCOPE: Final = (
    "DigitalOcean knows the token but does not let it read bills: it lacks the scope billing:read, or the role of its "
    "owner in the team cannot see billing."
)
NO_SUCH: Final = (
    "DigitalOcean has no bills at this address: check digitalocean.teamURN and digitalocean.baseURL. See "
    "docs/connectors/digitalocean.md."
)
WRONG_KINDS: Final = {
    "dor_v1_": "The value is a refresh token (dor_v1_...), which no request accepts.",
    "DO00": "The value is an access key of Spaces (DO00...), not a token of the API.",
    "DO80": "The value is an access key of Spaces (DO80...), not a token of the API.",
}


class NotAllowed(NeedsPerson):
    """The token is good, but not for what was asked."""


class NoSuch(NeedsPerson):
    """DigitalOcean knows nothing of what was asked for."""


def explained(refused: Refused, token: str) -> NeedsPerson:
    """The error to raise in the place of `refused`; of `token` only its beginning is looked at."""
    message = refused.body.get("message") if isinstance(refused.body, Mapping) else None
    said = str(message or refused.text)[:LONGEST_QUOTE]
    if refused.status == 401:
        kind = next((words for prefix, words in WRONG_KINDS.items() if token.startswith(prefix)), "")
        return NeedsPerson(" ".join(filter(None, (UNKNOWN, kind, TOKEN))), reason="Unauthorized")
    if refused.status == 403:
        return NotAllowed(f"{NO_SCOPE} {TOKEN} DigitalOcean said: {said}", reason="Forbidden")
    if refused.status == 404:
        return NoSuch(f"{NO_SUCH} DigitalOcean said: {said}", reason="NotFound")
    return NeedsPerson(f"DigitalOcean refused the request ({refused.status}): {said}", reason=refused.reason)
