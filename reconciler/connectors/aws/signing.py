"""Signatures of requests to AWS (Signature Version 4), made by AWS's own library and sent by nobody here.

botocore is loaded when the first request is signed: it is an extra of the package and takes its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.errors import NeedsPerson

NO_LIBRARY = "AWS's library is not installed: install costhook[aws], which brings botocore; the image has it."


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials for signing; those with a session token end by themselves."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def signed(
    keys: Keys, scope: tuple[str, str], method: str, url: str, headers: Mapping[str, str], body: bytes = b""
) -> dict[str, str]:
    """`headers` and those of the signature, which holds for a few minutes from now and for these very bytes.

    `scope` is the service and its region. Raises NeedsPerson where botocore is missing.
    """
    try:
        from botocore.auth import S3SigV4Auth, SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
    except ImportError:
        raise NeedsPerson(NO_LIBRARY, reason="BrokenConnector") from None
    service, region = scope
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    request = AWSRequest(method, url, dict(headers), body)
    (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, region).add_auth(request)
    return {name: value for name, value in request.headers.items() if name.lower() != "host"}
