"""What AWS's refusals mean, in words that say what to do.

An error reads `{"__type": "...#Name", "message": "..."}` or `<Error><Code>Name</Code><Message>...</Message></Error>`,
with status 400 or 403 for nearly everything, throttling among it.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater

LONGEST_QUOTE: Final = 300
GUIDE: Final = "See docs/connectors/aws.md."
_NAME: Final = re.compile(r'"__type"\s*:\s*"(?:[^"]*#)?(\w+)|<Code>(\w+)')
_MESSAGE: Final = re.compile(r'"[Mm]essage"\s*:\s*"((?:[^"\\]|\\.)*)|<Message>([^<]*)')

EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
"""The credentials were good and are so no longer: worth one more try with new ones."""
BUSY: Final = frozenset(
    "LimitExceededException ThrottlingException Throttling ThrottledException TooManyRequestsException "
    "RequestLimitExceeded RequestThrottled SlowDown".split()
)
PASSING: Final = {
    "DataUnavailableException": "Cost Explorer has no data yet: AWS takes 24 hours after it was enabled.",
    "InvalidNextTokenException": "Cost Explorer's figures changed while they were read; they are read again.",
    "RequestChangedException": "Cost Explorer's figures changed while they were read; they are read again.",
    "RequestTimeTooSkewed": "AWS finds this machine's clock wrong; set it by NTP.",
    "IDPCommunicationError": "AWS cannot reach the cluster's OIDC provider; it is tried again.",
}
TOO_EARLY: Final = re.compile("too old|start date.*(beyond|before|older)", re.IGNORECASE)
STALE: Final = re.compile("signature expired|not yet current", re.IGNORECASE)

UNKNOWN: Final = frozenset(
    "UnrecognizedClientException InvalidClientTokenId InvalidAccessKeyId SignatureDoesNotMatch "
    "InvalidSignatureException IncompleteSignature InvalidToken AuthFailure MissingAuthenticationToken".split()
)
KEY: Final = (
    "AWS does not accept the access key: accessKeyID or secretAccessKey is mistyped, or the key was deleted or "
    "switched off; a temporary key needs its sessionToken as well."
)
ENDED: Final = "The temporary access key in the Secret has ended; use a role (aws.roleARN), which is renewed by itself."
NOT_ENABLED: Final = (
    "Cost Explorer is not enabled: open it once in the Billing console of the management account; its data follows "
    "within 24 hours."
)
MEMBER: Final = (
    "The management account keeps Cost Explorer from its member accounts: allow linked account access in its Cost "
    "Management preferences, or read the management account itself by aws.roleARN."
)
FORBIDDEN: Final = "The identity may not do this: give it the policy of the guide."
ROLE: Final = (
    "AWS does not let the identity take on the role: its trust policy must name the identity, the external id "
    "(aws.externalID) and, where it asks for one, the session name; and the identity needs sts:AssumeRole on it."
)
TOKEN: Final = (
    "AWS does not accept the platform's web identity: the role of the service account must trust the cluster's OIDC "
    "provider for this very service account."
)
NO_BUCKET: Final = "There is no such bucket: correct aws.export.bucket."
OTHER_REGION: Final = "The bucket is in another region: correct aws.export.region."
TOO_OLD: Final = "Cost Explorer does not reach back that far: lower spec.history."


ELSEWHERE: Final = {
    "InvalidIdentityToken": (TOKEN, "Unauthorized"),
    "NoSuchBucket": (NO_BUCKET, "NotFound"),
    "AuthorizationHeaderMalformed": (OTHER_REGION, "InvalidSettings"),
    "IllegalLocationConstraintException": (OTHER_REGION, "InvalidSettings"),
}


def name_of(refused: Refused) -> str:
    """AWS's name of the error; the empty text where it names none."""
    found = _NAME.search(refused.text)
    return (found[1] or found[2]) if found else ""


def explained(refused: Refused) -> ReconcilerError:
    """The error to raise in the place of `refused`."""
    name, said = name_of(refused), _message(refused)
    if name in BUSY:
        return RetryLater(f"AWS was asked too often: {said or name}", reason="RateLimited")
    if name in PASSING:
        return RetryLater(f"{PASSING[name]} AWS said: {said}")
    if STALE.search(said):
        return RetryLater(f"{PASSING['RequestTimeTooSkewed']} AWS said: {said}")
    advice, reason = _advice(name, said, refused)
    return NeedsPerson(f"{advice} {GUIDE} AWS said: {name} {said}".rstrip(), reason=reason)


def _advice(name: str, said: str, refused: Refused) -> tuple[str, str]:
    if name in UNKNOWN:
        return KEY, "Unauthorized"
    if name in EXPIRED:
        return ENDED, "Unauthorized"
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    if name == "BillExpirationException" or (name == "ValidationException" and TOO_EARLY.search(said)):
        return TOO_OLD, "BadRequest"
    if name.startswith("AccessDenied") or refused.status == 403:
        return _denied(said), "Forbidden"
    return f"AWS refused the request ({refused.status}).", refused.reason


def _denied(said: str) -> str:
    lower = said.lower()
    if "not enabled for cost explorer" in lower:
        return NOT_ENABLED
    if "linked account" in lower:
        return MEMBER
    if "assumerolewithwebidentity" in lower:
        return TOKEN
    return ROLE if "sts:assumerole" in lower else FORBIDDEN


def _message(refused: Refused) -> str:
    found = _MESSAGE.search(refused.text)
    said = unescape(found[1] or found[2] or "") if found else refused.text
    return " ".join(said.split())[:LONGEST_QUOTE]
