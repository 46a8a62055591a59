"""What can go wrong while reconciling, by what the caller should do about it.

Every error carries a `reason`, which becomes the reason of the resource's condition (docs/reasons.md has a
section for each), and a text that a person can act on. Neither ever holds a secret.
"""

from __future__ import annotations

from datetime import timedelta


class ReconcilerError(Exception):
    """Base of every error the reconciler raises on purpose."""

    reason = "Failed"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class RetryLater(ReconcilerError):
    """It may work by itself later: not before `after`, where the vendor said so."""

    reason = "VendorUnavailable"

    def __init__(self, message: str, *, reason: str | None = None, after: timedelta | None = None) -> None:
        super().__init__(message, reason=reason)
        self.after = after


class NeedsPerson(ReconcilerError):
    """It will fail again until somebody changes the key, the settings or the manifest; the text says which."""

    reason = "InvalidSettings"


class BadData(NeedsPerson):
    """One window's data cannot be read as it is; the text says where. Other windows may be good."""

    reason = "BadRow"


class Bug(ReconcilerError):
    """The vendor or the program did what neither documents; the text says what was seen."""

    reason = "UnexpectedAnswer"
