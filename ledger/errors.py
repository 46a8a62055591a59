"""What can go wrong in the ledger, by what the caller should do about it."""

from __future__ import annotations

from datetime import timedelta


class LedgerError(Exception):
    """Base of every error the ledger raises on purpose. Its text is fit to be shown to a person.

    `reason` is the stable word for conditions and sync runs; docs/reasons.md has a section for each.
    """

    reason = "LedgerFailed"


class RetryLater(LedgerError):
    """Nothing is wrong with the request; the same call may succeed after `after`."""

    def __init__(self, message: str, after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(message)
        self.after = after


class DatabaseUnavailable(RetryLater):
    """Postgres cannot be reached, or the connection broke; nothing of the transaction was kept."""

    reason = "DatabaseUnavailable"


class TooSlow(LedgerError):
    """A reading statement took longer than it may and was cut off; asking for less may help."""


class LeaseLost(RetryLater):
    """Another process holds, or took over, the provider's lease; nothing was written."""

    reason = "LeaseLost"


class InvalidCharge(LedgerError):
    """A charge breaks a rule of the ledger (a bug of the connector, or nonsense from the vendor)."""

    reason = "InvalidCharge"


class NeedsPerson(LedgerError):
    """Someone has to change something outside the program; the text says what."""


class SchemaBehind(NeedsPerson):
    """The database's schema is older or newer than the program; the text says which command mends it."""

    reason = "SchemaBehind"


class NotFound(LedgerError):
    """The named thing is not in the ledger."""

    reason = "NotFound"


class InvalidQuestion(LedgerError):
    """What is asked of the ledger makes no sense; the text says what to ask instead. `field` names the argument."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field
