"""What Google's refusals mean, in words that say what to do.

BigQuery says `{"error": {"code", "message", "errors": [{"reason", "message"}]}}`, with 403 for nearly everything:
rights, rates and billing; the token services say `{"error": "name", "error_description": "..."}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater

LONGEST_QUOTE: Final = 300
GUIDE: Final = "See docs/connectors/gcp.md."

BUSY: Final = frozenset(
    "rateLimitExceeded jobRateLimitExceeded userRateLimitExceeded quotaExceeded jobQuotaExceeded".split()
)
PASSING: Final = frozenset("backendError internalError jobBackendError jobInternalError tableUnavailable".split())

NO_ROOM: Final = (
    "The queries of this sync have read {read:.1f} GiB, which is what gcp.gibPerSync allows. What was read is stored, "
    "and the next sync goes on there. Raise gcp.gibPerSync, or lower spec.history, if that is too slow. " + GUIDE
)
TOO_MUCH: Final = (
    "A query would read more than it may, so BigQuery did not run it and bills nothing. Raise gcp.gibPerQuery if its "
    "price is right (6.25 USD for 1024 GiB), or lower spec.history; if gcp.table is a view, name the table behind it, "
    "of which only the days that are needed are read."
)
NOT_BILLED: Final = (
    "The project in which queries run has no billing account: enable billing for it, or name another in gcp.project."
)
NO_JOBS: Final = "The identity may not run queries: give it roles/bigquery.jobUser on the project that they run in."
NO_DATA: Final = (
    "The identity may not read the table: give it roles/bigquery.dataViewer on the table's dataset; of a view, on the "
    "datasets behind it as well, or authorise the view there."
)
NO_API: Final = "The BigQuery API is not enabled: run gcloud services enable bigquery.googleapis.com in that project."
PERIMETER: Final = (
    "VPC Service Controls keep the identity out: allow it into the perimeter of the project by an ingress rule."
)
FORBIDDEN: Final = "The identity may not do this: give it the two roles of the guide."
NO_TABLE: Final = (
    "There is no such table at that place: correct gcp.table, or gcp.location if it names another one than the "
    "dataset's. Google makes the table some hours after the export was switched on."
)
NO_PROJECT: Final = "There is no such project: correct gcp.table and gcp.project."
GONE: Final = "The query's result has gone before it was read whole; it is asked for again."
NO_SUCH: Final = "BigQuery does not understand the query over this table: is gcp.table the export that gcp.export says?"
TOKEN: Final = "Google does not accept the identity's token: it has ended, or the identity was deleted or switched off."
CLOCK: Final = "Google finds the time on the request wrong: set this machine's clock by NTP."
KEY: Final = (
    "Google does not accept the service account's key: it was deleted or switched off, or the account was. Make a new "
    "one and put it into the Secret as serviceAccountKey."
)
FEDERATION: Final = (
    "Google does not take the cluster's token in exchange. If it has ended, the platform no longer renews the "
    "projected token: restart the pod. If not, the provider of the workload identity pool must know the cluster's "
    "issuer and keys, its audience must be the token's, and its attribute condition must let this service account in."
)
ROLE: Final = (
    "The identity may not take on the service account: give it roles/iam.workloadIdentityUser on it, or of gcp."
    "serviceAccount roles/iam.serviceAccountTokenCreator; and enable the API iamcredentials.googleapis.com."
)

STALE: Final = re.compile(r"short-lived token|reasonable timeframe|check your iat|clock", re.IGNORECASE)


def reason_of(refused: Refused) -> str:
    """BigQuery's name of the error; the empty text where it names none."""
    error = _error(refused)
    every = error.get("errors")
    first = every[0] if isinstance(every, list) and every else None
    named = first.get("reason") if isinstance(first, Mapping) else None
    return named if isinstance(named, str) else ""


def explained(refused: Refused) -> ReconcilerError:
    """The error to raise in the place of BigQuery's `refused`."""
    name, said = reason_of(refused), _said(refused)
    if name in BUSY:
        return RetryLater(f"BigQuery was asked too often: {said or name}", reason="RateLimited", after=refused.after)
    if name in PASSING:
        return RetryLater(f"BigQuery cannot answer now: {said or name}")
    if refused.status == 404 and "not found: job" in said.lower():
        return RetryLater(f"{GONE} BigQuery said: {said}")
    advice, reason = _advice(name, said.lower(), refused)
    return NeedsPerson(f"{advice} {GUIDE} Google said: {said or name}".rstrip(), reason=reason)


def unrecognised(refused: Refused, what: str, advice: str) -> ReconcilerError:
    """The error to raise in the place of a token service's `refused`: it does not take `what` for a token."""
    said = _said(refused)
    if STALE.search(said):
        return RetryLater(f"{CLOCK} Google said: {said}")
    reason = "Forbidden" if refused.status == 403 else "Unauthorized"
    return NeedsPerson(f"{advice} {GUIDE} Google said to the {what}: {said}".rstrip(), reason=reason)


def _advice(name: str, said: str, refused: Refused) -> tuple[str, str]:
    if name == "bytesBilledLimitExceeded" or "limit for bytes billed" in said:
        return TOO_MUCH, "ScanLimit"
    if refused.status == 401:
        return TOKEN, "Unauthorized"
    if refused.status == 403:
        return _denied(name, said), "Forbidden"
    if refused.status == 404:
        return (NO_PROJECT if "not found: project" in said else NO_TABLE), "NotFound"
    if name == "invalidQuery":
        return NO_SUCH, "InvalidSettings"
    return f"BigQuery refused the request ({refused.status}).", refused.reason


def _denied(name: str, said: str) -> str:
    for sign, advice in (
        ("vpcservicecontrols", PERIMETER),
        ("vpc service controls", PERIMETER),
        ("bigquery.jobs.create", NO_JOBS),
        ("has not been used in project", NO_API),
        ("billing has not been enabled", NOT_BILLED),
        ("bigquery.tables", NO_DATA),
        ("bigquery.datasets", NO_DATA),
        ("access denied: table", NO_DATA),
        ("access denied: dataset", NO_DATA),
    ):
        if sign in said:
            return advice
    return {"billingNotEnabled": NOT_BILLED, "accessNotConfigured": NO_API}.get(name, FORBIDDEN)


def _error(refused: Refused) -> Mapping[str, Any]:
    error = refused.body.get("error") if isinstance(refused.body, Mapping) else None
    return error if isinstance(error, Mapping) else {}


def _said(refused: Refused) -> str:
    told = _error(refused).get("message")
    if not isinstance(told, str) and isinstance(refused.body, Mapping):
        told = refused.body.get("error_description") or refused.body.get("error")
    return " ".join((told if isinstance(told, str) else refused.text).split())[:LONGEST_QUOTE]
