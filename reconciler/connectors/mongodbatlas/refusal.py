"""What Atlas's refusals mean, in words that say what to do.

An error reads `{"error": 403, "errorCode": "...", "detail": "...", "reason": "Forbidden"}`; of codes, only a few are
known, from memory and from people who called the API, and nothing but the choice of words depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson

LONGEST_QUOTE: Final = 300

GUIDE: Final = "See docs/connectors/mongodbatlas.md."
KEY: Final = (
    "Invoices are read with a service account (mdb_sa_id_... and mdb_sa_sk_...) or an API key of the organization with "
    f"the role Organization Billing Viewer, made under Access Manager of the organization. {GUIDE}"
)
UNKNOWN: Final = (
    "Atlas does not accept the key: keyID or apiKey is mistyped, expired or deleted, or the two do not belong together."
)
NO_ACCESS: Final = (
    "Atlas knows the key but does not let it read invoices: it lacks the role Organization Billing Viewer in the "
    "organization in mongodbatlas.organizationID."
)
NOT_LISTED: Final = (
    "Atlas knows the key but not the address that Costhook calls from: add it to the key's access list, under Access "
    "Manager of the organization."
)
NO_SUCH: Final = "Atlas has no such organization: check mongodbatlas.organizationID and mongodbatlas.baseURL."
SWAPPED: Final = "The Secret has the service account's id as apiKey, or its secret as keyID: the two are swapped."
ID: Final = "mdb_sa_id_"
SECRET: Final = "mdb_sa_sk_"
MIXED: Final = (
    "The Secret has one half of a service account and one of an API key: put the id and the secret of the same one in."
)


def mismatched(identity: str, secret: str) -> NeedsPerson | None:
    """The error that an id and a secret deserve which cannot belong together; only their beginnings are looked at."""
    if identity.startswith(SECRET) or secret.startswith(ID):
        return NeedsPerson(f"{SWAPPED} {KEY}", reason="InvalidSecret")
    if identity.startswith(ID) != secret.startswith(SECRET):
        return NeedsPerson(f"{MIXED} {KEY}", reason="InvalidSecret")
    return None


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    code = str(body.get("errorCode") or body.get("error") or "")
    said = str(body.get("detail") or body.get("error_description") or refused.text)[:LONGEST_QUOTE]
    if refused.status == 401 or code == "invalid_client":
        return NeedsPerson(f"{UNKNOWN} {KEY} Atlas said: {said}", reason="Unauthorized")
    if refused.status == 403:
        why = NOT_LISTED if "ACCESS_LIST" in code or "WHITELIST" in code else NO_ACCESS
        return NeedsPerson(f"{why} {KEY} Atlas said: {said}", reason="Forbidden")
    if refused.status == 404:
        return NeedsPerson(f"{NO_SUCH} {GUIDE} Atlas said: {said}", reason="NotFound")
    return NeedsPerson(f"Atlas refused the request ({refused.status}): {said} {GUIDE}", reason=refused.reason)
