"""What Google's own library does: it signs with a service account's key, and knows what the platform gives.

google-auth is loaded when the first token is needed: it is an extra of the package and takes its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from reconciler.errors import NeedsPerson

NO_LIBRARY: Final = "Google's library is not installed: install costhook[gcp], with google-auth; the image has it."
LIFETIME: Final = timedelta(hours=1)
"""The longest that Google allows."""
BAD_KEY: Final = (
    "serviceAccountKey is not the JSON key of a service account; make one by gcloud iam service-accounts keys create, "
    "and put the whole file into the Secret. See docs/connectors/gcp.md."
)
BAD_FILE: Final = (
    "the file that GOOGLE_APPLICATION_CREDENTIALS names is no credential configuration of workload identity federation "
    "that reads the token of a file or an address; make one by gcloud iam workload-identity-pools create-cred-config."
)
NONE: Final = (
    "The platform gives Costhook no Google identity: set one up (Workload Identity Federation for GKE, or a credential "
    "configuration that GOOGLE_APPLICATION_CREDENTIALS names), or set gcp.identity to Secret and name the Secret that "
    "holds a service account's key. See docs/connectors/gcp.md."
)


def assertion(key: Mapping[str, Any], audience: str, scope: str, now: datetime) -> str:
    """A signed claim to be the service account of `key`, which Google's token service takes for a token.

    Raises NeedsPerson where the key is none, or google-auth is missing.
    """
    try:
        from google.auth import crypt, jwt
    except ImportError:
        raise NeedsPerson(NO_LIBRARY, reason="BrokenConnector") from None
    try:
        issuer = key["client_email"]
        signer = crypt.RSASigner.from_service_account_info(key)
        since = int(now.timestamp())
        claims = {"iss": issuer, "scope": scope, "aud": audience, "iat": since}
        return bytes(jwt.encode(signer, {**claims, "exp": since + int(LIFETIME.total_seconds())})).decode()
    except (ValueError, TypeError, KeyError):
        raise NeedsPerson(BAD_KEY, reason="InvalidSecret") from None


def subject_token(configuration: Mapping[str, Any]) -> str:
    """The token that the platform gives in a file or at an address, as a credential configuration says; blocks."""
    try:
        from google.auth import exceptions, identity_pool
        from google.auth.transport.requests import Request
    except ImportError:
        raise NeedsPerson(NO_LIBRARY, reason="BrokenConnector") from None
    try:
        return str(identity_pool.Credentials.from_info(configuration).retrieve_subject_token(Request()))
    except (exceptions.GoogleAuthError, OSError, ValueError, TypeError, KeyError) as error:
        raise NeedsPerson(f"{BAD_FILE} ({type(error).__name__})") from None


def token_of_machine(scope: str) -> str:
    """The token of the pod's or the machine's service account, from the metadata server; blocks.

    The address is link-local, which VendorClient never asks.
    """
    try:
        from google.auth import compute_engine, exceptions
        from google.auth.transport.requests import Request
    except ImportError:
        raise NeedsPerson(NO_LIBRARY, reason="BrokenConnector") from None
    found = compute_engine.Credentials(scopes=[scope])
    try:
        found.refresh(Request())
    except (exceptions.GoogleAuthError, OSError, ValueError) as error:
        raise NeedsPerson(f"{NONE} ({type(error).__name__})") from None
    return str(found.token)
