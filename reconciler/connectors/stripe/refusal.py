"""What Stripe's refusals mean, in words that say what to do.

The envelope is `{"error": {"type", "code", "message", ...}}`. Stripe's own words repeat parts of the key, so that of a
missing permission only its name is quoted; that name's form is from memory, and nothing depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson

LONGEST_QUOTE: Final = 300

KEY: Final = (
    "Fees are read with a restricted key of live mode (rk_live_...) that may read balance transaction sources, made at "
    "https://dashboard.stripe.com/apikeys. See docs/connectors/stripe.md."
)
TEST_MODE: Final = "its balance is play money, and so are its fees."
WRONG_KINDS: Final = {
    "pk_": "The value is a publishable key (pk_...), which reads nothing.",
    "rk_test_": f"The key is one of test mode or of a sandbox (rk_test_...): {TEST_MODE}",
    "sk_test_": f"The key is one of test mode or of a sandbox (sk_test_...): {TEST_MODE}",
    "whsec_": "The value is a webhook's signing secret (whsec_...), not an API key.",
    "acct_": "The value is an account's id (acct_...), not an API key.",
}
PERMISSION: Final = re.compile(r"\brak_[a-z_]+")
ACCOUNT: Final = "Stripe knows the key but does not let it read this account: check stripe.account. "
ADDRESS: Final = (
    "There are no balance transactions at this address: check stripe.baseURL. See docs/connectors/stripe.md."
)


def wrong_kind(key: str) -> NeedsPerson | None:
    """The error that a key of another kind deserves before Stripe is asked; only its beginning is looked at."""
    words = next((words for prefix, words in WRONG_KINDS.items() if key.startswith(prefix)), None)
    return NeedsPerson(f"{words} {KEY}", reason="InvalidSecret") if words else None


def explained(refused: Refused, account: str | None) -> NeedsPerson:
    """The error to raise in the place of `refused`; `account` is the connected account that was asked for."""
    error = _error(refused.body)
    said = str(error.get("message") or refused.text)[:LONGEST_QUOTE]
    if refused.status == 401:
        why = "expired" if error.get("code") == "api_key_expired" else "mistyped, deleted or of another account"
        return NeedsPerson(f"Stripe does not accept the key: it is {why}. {KEY}", reason="Unauthorized")
    if refused.status == 403:
        names = PERMISSION.findall(said)
        asked = f"(Stripe names {', '.join(names)}) " if names else ""
        which = ACCOUNT if account and not names else "The key lacks the permission to read balance transactions. "
        return NeedsPerson(f"{which}{asked}{KEY}", reason="Forbidden")
    if refused.status == 404:
        return NeedsPerson(f"{ADDRESS} Stripe said: {said}", reason="NotFound")
    return NeedsPerson(f"Stripe refused the request ({refused.status}): {said}", reason=refused.reason)


def _error(body: Any) -> Mapping[str, Any]:
    error = body.get("error") if isinstance(body, Mapping) else None
    return error if isinstance(error, Mapping) else {}
