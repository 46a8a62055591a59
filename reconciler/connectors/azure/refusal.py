"""What Azure's refusals mean, in words that say what to do.

Entra answers `{"error_description": "AADSTS700016: ..."}`, Resource Manager `{"error": {"code": ..., "message": ...}}`,
Blob storage `<Error><Code>...</Code><Message>...</Message></Error>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater

LONGEST_QUOTE: Final = 300
GUIDE: Final = "See docs/connectors/azure.md."
FORBIDDEN: Final = 403
_AADSTS: Final = re.compile(r"AADSTS(\d+)")
_TAGS: Final = re.compile(r"<Code>(\w+)</Code>\s*<Message>([^<]*)")
_DETAIL: Final = re.compile(r"<AuthenticationErrorDetail>([^<]*)")
_DIMENSION: Final = re.compile(r"Invalid dataset (?:grouping|filter)[^']*'(\w*)'")

SUBJECT: Final = (
    "Entra does not accept the service account's token: the app registration or managed identity needs a federated "
    "credential whose issuer, subject (system:serviceaccount:NAMESPACE:NAME) and audience are those of the token."
)
ENTRA: Final[Mapping[str, tuple[str, str]]] = {
    "700016": ("There is no such app in the tenant: correct azure.clientID or azure.tenantID.", "Unauthorized"),
    "7000229": ("The app has no service principal in the tenant: make it by `az ad sp create`.", "Unauthorized"),
    "7000112": ("The app is disabled in Entra.", "Unauthorized"),
    "90002": ("There is no such tenant: correct azure.tenantID.", "InvalidSettings"),
    "900023": ("azure.tenantID is no tenant: write its ID or one of its domains.", "InvalidSettings"),
    "7000215": (
        "The client secret is not the app's: the Secret needs its value, which is shown once, and not its ID.",
        "Unauthorized",
    ),
    "7000222": ("The client secret has expired: make a new one and put it into the Secret.", "Unauthorized"),
    "53003": ("A conditional access policy of the tenant keeps the app out.", "Forbidden"),
    **dict.fromkeys(("70021", "700211", "700212", "700213", "700223", "700027"), (SUBJECT, "Unauthorized")),
}
STALE: Final = "700024"

ROLE: Final = (
    "The identity may not read these costs: give it the role Cost Management Reader on azure.scope; on a billing "
    "account EnrollmentReader or Billing account reader."
)
POLICY: Final = (
    "The agreement hides its costs: allow viewing charges in its policies (account owners and department admins of an "
    "Enterprise Agreement; Azure charges of a Customer Agreement; the partner's, of a partner's customer)."
)
DIMENSION: Final = (
    "The agreement does not offer the dimension {}: choose another azure.query.splitBy, or read exports (azure.source)."
)
OFFER: Final = "Cost Management does not have the costs of this subscription's offer."
TENANT: Final = "The scope belongs to another tenant: correct azure.tenantID."
TOKEN: Final = "Azure does not accept the identity's token."
NO_SCOPE: Final = (
    "There is no such scope, or the identity may not see it: correct azure.scope, or give the identity the role Cost "
    "Management Reader on it."
)

READER: Final = (
    "The identity may not read the container: give it the role Storage Blob Data Reader on it; a role takes some "
    "minutes. A SAS needs the permissions read and list (sp=rl) on the container."
)
NO_CONTAINER: Final = "There is no such container: correct azure.export.account or azure.export.container."
SAS: Final = "Azure does not accept the SAS token: it was not copied whole, or its key was renewed; make a new one."
ENDED: Final = "The SAS token has ended: make a new one and put it into the Secret."
UNKNOWN: Final = frozenset(("AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"))
NO_SAS: Final = "The storage account takes no SAS: use a client secret, or the platform's identity."
FIREWALL: Final = "The storage account's firewall keeps Costhook out: allow its address in the account's networking."
OFF: Final = "The storage account is disabled."
BLOB: Final[Mapping[str, tuple[str, str]]] = {
    "ContainerNotFound": (NO_CONTAINER, "NotFound"),
    "ResourceNotFound": (NO_CONTAINER, "NotFound"),
    "AuthorizationPermissionMismatch": (READER, "Forbidden"),
    "AuthorizationResourceTypeMismatch": (READER, "Forbidden"),
    "AuthorizationServiceMismatch": (READER, "Forbidden"),
    "InsufficientAccountPermissions": (READER, "Forbidden"),
    "AuthorizationFailure": (FIREWALL, "Forbidden"),
    "AuthorizationSourceIPMismatch": (FIREWALL, "Forbidden"),
    "KeyBasedAuthenticationNotPermitted": (NO_SAS, "Forbidden"),
    "AccountIsDisabled": (OFF, "Forbidden"),
}


def of_entra(refused: Refused) -> ReconcilerError:
    """The error to raise where Entra gives no token."""
    told = refused.body.get("error_description") if isinstance(refused.body, Mapping) else None
    said = _line(told if isinstance(told, str) else refused.text)
    found = _AADSTS.search(said)
    number = found[1] if found else ""
    if number == STALE:
        why = "Entra finds the federated token out of its time: set this machine's clock by NTP; it is tried again."
        return RetryLater(f"{why} Entra said: {said}")
    advice, reason = ENTRA.get(number, (f"Entra refused the identity ({refused.status}).", refused.reason))
    return NeedsPerson(f"{advice} {GUIDE} Entra said: {said}", reason=reason)


def of_manager(refused: Refused) -> ReconcilerError:
    """The error to raise where Resource Manager, or Cost Management behind it, refuses."""
    code, said = _told(refused)
    advice, reason = _advice(code, said, refused)
    return NeedsPerson(f"{advice} {GUIDE} Azure said: {code} {said}".rstrip(), reason=reason)


def of_blob(refused: Refused, *, of_sas: bool, ended: bool) -> ReconcilerError:
    """The error to raise where Blob storage refuses, a SAS token or an identity, and a SAS token that has `ended`."""
    found, detail = _TAGS.search(refused.text), _DETAIL.search(refused.text)
    code = found[1] if found else ""
    said = _line(unescape(detail[1] if detail else found[2] if found else refused.text))
    other = (READER, "Forbidden") if refused.status == FORBIDDEN else ("Azure refused the request.", refused.reason)
    advice, reason = BLOB.get(code, other)
    if ended:
        advice, reason = ENDED, "Unauthorized"
    elif code in UNKNOWN:
        advice, reason = SAS if of_sas else TOKEN, "Unauthorized"
    return NeedsPerson(f"{advice} {GUIDE} Azure said: {code} {said}".rstrip(), reason=reason)


def _advice(code: str, said: str, refused: Refused) -> tuple[str, str]:
    dimension = _DIMENSION.search(said)
    if dimension is not None:
        return DIMENSION.format(dimension[1]), "BadRequest"
    if "offer type" in said:
        return OFFER, "BadRequest"
    if code == "InvalidAuthenticationTokenTenant":
        return TENANT, "InvalidSettings"
    if code.endswith("NotFound"):
        return NO_SCOPE, "NotFound"
    if code.endswith("CostDisabled"):
        return POLICY, "Forbidden"
    known = {401: (TOKEN, "Unauthorized"), 403: (ROLE, "Forbidden"), 404: (NO_SCOPE, "NotFound")}
    return known.get(refused.status, (f"Azure refused the question ({refused.status}).", refused.reason))


def _told(refused: Refused) -> tuple[str, str]:
    """Code and message of Resource Manager's error, as far as it has any."""
    error = refused.body.get("error") if isinstance(refused.body, Mapping) else None
    if not isinstance(error, Mapping):
        return "", _line(refused.text)
    return str(error.get("code") or ""), _line(str(error.get("message") or ""))


def _line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_QUOTE]
