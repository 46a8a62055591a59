"""What Railway's refusals mean, in words that say what to do.

A refused token is answered by HTTP 200 with `{"errors": [{"message": "Not Authorized", "extensions": {"code":
"INTERNAL_SERVER_ERROR"}}], "data": null}`: the code is that of a passing fault, so that the message alone tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reconciler.connectors.http import Refused
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater

LONGEST_QUOTE: Final = 300
GUIDE: Final = "See docs/connectors/railway.md."
TOKEN: Final = (
    "Usage is read with a workspace token, made by an admin of the workspace at https://railway.com/account/tokens "
    f"with the workspace chosen; tokens of a project or of a deployment do not do. {GUIDE}"
)
UNKNOWN: Final = (
    "Railway does not let the token read the workspace's usage: the token is mistyped, deleted or of another kind (a "
    "project's token), or it is not for the workspace in railway.workspaceID. Railway answers all of these alike."
)
NO_SUCH: Final = "Railway has no such workspace: check railway.workspaceID and railway.baseURL."
NO_ACCESS: Final = re.compile(r"not authori[sz]ed|unauthori[sz]ed|not authenticated|forbidden", re.IGNORECASE)
NOT_FOUND: Final = re.compile(r"not found", re.IGNORECASE)


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`: an answer of HTTP itself."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    said = (_said(body.get("errors")) or refused.text)[:LONGEST_QUOTE]
    if refused.status in (401, 403):
        return NeedsPerson(f"{UNKNOWN} {TOKEN} Railway said: {said}", reason=refused.reason)
    if refused.status == 404:
        return NeedsPerson(f"{NO_SUCH} {GUIDE} Railway said: {said}", reason="NotFound")
    return NeedsPerson(f"Railway refused the question ({refused.status}): {said} {GUIDE}", reason=refused.reason)


def failed(errors: Sequence[Mapping[str, Any]]) -> ReconcilerError:
    """What the errors of an answer amount to."""
    said = _said(errors)[:LONGEST_QUOTE]
    if NO_ACCESS.search(said):
        return NeedsPerson(f"{UNKNOWN} {TOKEN} Railway said: {said}", reason="Unauthorized")
    if NOT_FOUND.search(said):
        return NeedsPerson(f"{NO_SUCH} {GUIDE} Railway said: {said}", reason="NotFound")
    return RetryLater(f"Railway could not answer: {said}")


def _said(errors: Any) -> str:
    found = errors if isinstance(errors, Sequence) and not isinstance(errors, str) else []
    return "; ".join(str(each.get("message")) for each in found if isinstance(each, Mapping))
