"""What PlanetScale's refusals mean, in words that say what to do.

An error reads `{"code": "...", "message": "..."}`. A token without access is answered by 403 or by 404.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson

LONGEST_QUOTE: Final = 300

GUIDE: Final = "See docs/connectors/planetscale.md."
TOKEN: Final = (
    "Invoices are read with a service token (pscale_tkn_...) and its id, with the access read_invoices, made under "
    f"Settings > Service tokens of the organization. {GUIDE}"
)
UNKNOWN: Final = "PlanetScale does not accept the token: the token or its id is mistyped, or the token was deleted."
NO_ACCESS: Final = "PlanetScale knows the token but does not let it read invoices: it lacks the access read_invoices."
NO_SUCH: Final = (
    "PlanetScale shows no invoices at this address: planetscale.organization or planetscale.baseURL is wrong, or the "
    "token lacks the access read_invoices, which PlanetScale answers alike."
)
WRONG_KINDS: Final = {
    "pscale_pw_": "The value is a database's password (pscale_pw_...), not a service token.",
    "pscale_oauth_": "The value is an OAuth token (pscale_oauth_...), not a service token.",
    "pscale_app_": "The value is an OAuth application's secret (pscale_app_...), not a service token.",
}


def explained(refused: Refused, token: str) -> NeedsPerson:
    """The error to raise in the place of `refused`, `{"code", "message"}`; of `token` only its beginning is read."""
    said = str(_message(refused.body) or refused.text)[:LONGEST_QUOTE]
    kind = next((words for prefix, words in WRONG_KINDS.items() if token.startswith(prefix)), None)
    if refused.status == 401:
        return NeedsPerson(" ".join(filter(None, (UNKNOWN, kind, TOKEN))), reason="Unauthorized")
    if refused.status == 403:
        return NeedsPerson(f"{kind or NO_ACCESS} {TOKEN} PlanetScale said: {said}", reason="Forbidden")
    if refused.status == 404:
        return NeedsPerson(f"{NO_SUCH} {TOKEN} PlanetScale said: {said}", reason="NotFound")
    return NeedsPerson(f"PlanetScale refused the request ({refused.status}): {said} {GUIDE}", reason=refused.reason)


def _message(body: Any) -> object:
    return body.get("message") if isinstance(body, Mapping) else None
