"""What Vercel's refusals mean, in words that say what to do.

The envelope is `{"error": {"code", "message", ...}}`. Its members `invalidToken` and `missingToken`, and the codes
named here, were seen by those who called the API; the documentation does not list them all. A status without them
is explained by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson

LONGEST_QUOTE: Final = 300
NOT_FOUND: Final = "costs_not_found"

TOKEN: Final = (
    "Costs are read with an access token, made at https://vercel.com/account/settings/tokens and scoped to the team, "
    "of a member whose role is Owner, Member, Developer, Security, Billing or Enterprise Viewer. "
    "See docs/connectors/vercel.md."
)
NO_COSTS: Final = (
    "Vercel knows no costs here, which does not mean that nothing was used: a Hobby account has none in this API, and "
    "a team that is new has none until its first day, in Los Angeles, is over. Check vercel.team and the plan; for a "
    "plan without costs in the API, enter them as a ManualCost. See docs/connectors/vercel.md."
)
UNKNOWN: Final = "Vercel does not accept the token: it is mistyped, expired or revoked."
NO_ACCESS: Final = (
    "Vercel knows the token but does not let it read the costs: it is scoped to another team, or its owner's role in "
    "the team cannot see billing, or vercel.team is missing or wrong."
)
NO_PLAN: Final = (
    "Vercel does not offer this to the team's plan: costs are there for Pro and Enterprise teams. See "
    "docs/connectors/vercel.md."
)
NO_SUCH: Final = (
    "There is no such team, or no costs at this address: check vercel.team and vercel.baseURL. See "
    "docs/connectors/vercel.md."
)
WRONG_KINDS: Final = {
    "vck_": "The value is an API key of the AI Gateway (vck_...), which reads no bills.",
    "vci_": "The value is an integration's token (vci_...), not a person's access token.",
    "vca_": "The value is an app's access token (vca_...), which expires within hours.",
    "vcr_": "The value is an app's refresh token (vcr_...), which no request accepts.",
}


class NoCosts(NeedsPerson):
    """Vercel has no figures for what was asked: that is unknown, not zero."""

    reason = "NotFound"


def explained(refused: Refused, token: str) -> NeedsPerson:
    """The error to raise in the place of `refused`; of `token` only its beginning is looked at."""
    error = _error(refused.body)
    code = error.get("code")
    if refused.status == 404 and code == NOT_FOUND:
        return NoCosts(NO_COSTS)
    said = str(error.get("message") or refused.text)[:LONGEST_QUOTE]
    kind = next((words for prefix, words in WRONG_KINDS.items() if token.startswith(prefix)), "")
    if refused.status == 401 or error.get("invalidToken") or error.get("missingToken"):
        return NeedsPerson(" ".join(filter(None, (UNKNOWN, kind, TOKEN))), reason="Unauthorized")
    if refused.status == 402 or code == "plan_upgrade_required":
        return NeedsPerson(f"{NO_PLAN} Vercel said: {said}", reason="Forbidden")
    if refused.status == 403:
        return NeedsPerson(f"{kind or NO_ACCESS} {TOKEN} Vercel said: {said}", reason="Forbidden")
    if refused.status == 404:
        return NeedsPerson(f"{NO_SUCH} Vercel said: {said}", reason="NotFound")
    return NeedsPerson(f"Vercel refused the request ({refused.status}): {said}", reason=refused.reason)


def _error(body: Any) -> Mapping[str, Any]:
    error = body.get("error") if isinstance(body, Mapping) else None
    return error if isinstance(error, Mapping) else {}
