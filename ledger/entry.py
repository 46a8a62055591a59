"""A figure that a person enters for a Provider without an API: what one service cost in one month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from ledger.errors import InvalidQuestion
from ledger.money import InvalidAmount, amount, currency, plain

MAX_NOTE: Final = 1000
MAX_SERVICE: Final = 256
FIRST_YEAR: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Names an entry: there is one figure for a month and a service. `service` of "" is the vendor's only one."""

    namespace: str
    provider: str
    month: date
    """The first day of the month."""
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was entered: an exact amount in major units, and a word on it."""

    amount: Decimal
    currency: str
    note: str | None = None

    def told(self) -> dict[str, str]:
        """As JSON, for the audit log."""
        said = {"amount": plain(self.amount), "currency": self.currency}
        return said if self.note is None else {**said, "note": self.note}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A figure under its key, and who entered and changed it when."""

    key: Key
    figure: Figure
    entered_at: datetime
    entered_by: str
    changed_at: datetime | None = None
    changed_by: str | None = None


def checked_key(key: Key, today: date) -> Key:
    """`key` if it names a month that has begun. Raises InvalidQuestion."""
    if key.month.day != 1 or key.month.year < FIRST_YEAR:
        raise InvalidQuestion(f"{key.month} is no month to enter a figure for; write one like 2026-10", "month")
    if key.month > today:
        raise InvalidQuestion(f"{key.month:%Y-%m} has not begun; figures are entered once there are any", "month")
    if len(key.service) > MAX_SERVICE:
        raise InvalidQuestion(f"a service's name has at most {MAX_SERVICE} characters", "service")
    return key


def figure(value: Decimal | str, code: str, note: str | None) -> Figure:
    """An exact figure of what somebody wrote. Raises InvalidQuestion."""
    try:
        exact = amount(value)
    except InvalidAmount as error:
        raise InvalidQuestion(f"the amount is {error}; write digits with a point, like 12.34", "amount") from None
    try:
        money = currency(code)
    except InvalidAmount:
        raise InvalidQuestion("the currency is not three letters; write one like USD", "currency") from None
    if note is not None and len(note) > MAX_NOTE:
        raise InvalidQuestion(f"a note has at most {MAX_NOTE} characters", "note")
    return Figure(amount=exact, currency=money, note=note or None)
