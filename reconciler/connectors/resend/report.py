"""What Resend's metrics and account usage look like: shapes, checked.

Source: github.com/resend/resend-openapi for metrics. The reference calls account usage a beta whose shape might change:
nothing of it is required.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from ledger.money import ZERO
from ledger.window import DAY
from reconciler.connectors.reading import Answer, Number


def _or_none(value: object) -> object:
    return value or None


def _day(value: object) -> object:
    """The day of a period, which is told as a date, or as the moment at which it begins."""
    return value[:10] if isinstance(value, str) else value


def _number_or_none(value: object) -> object:
    """A count; None for what is none, since the shape of usage may change."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _or_zero(value: object) -> object:
    return 0 if value is None else value


Text = Annotated[str | None, BeforeValidator(_or_none)]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Told = Annotated[Number | None, BeforeValidator(_number_or_none)]
Count = Annotated[Number, BeforeValidator(_or_zero)]


class Row(Answer):
    """How many emails a domain sent and received on a day."""

    period: Annotated[date, BeforeValidator(_day)]
    domain_id: Text = None
    domain_name: Text = None
    sent: Count = ZERO
    received: Count = ZERO

    @property
    def counts(self) -> Mapping[str, Decimal]:
        """Emails by what became of them; none of them where there were none."""
        return {name: count for name, count in (("sent", self.sent), ("received", self.received)) if count}

    @property
    def total(self) -> Decimal:
        return self.sent + self.received


class Metrics(Answer):
    """Emails by day and domain from `start_date` on, which is later than asked for where older ones are not kept."""

    start_date: Moment
    data: list[Row]

    @property
    def whole_since(self) -> datetime:
        """The first midnight from which on all days are told whole."""
        midnight = self.start_date.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight if midnight == self.start_date else midnight + DAY


class Quota(Answer):
    """What counts against the plan this calendar month, and how much the plan includes."""

    used: Told = None
    limit: Told = None


class Emails(Answer):
    monthly: Quota | None = None


class Usage(Answer):
    emails: Emails | None = None

    @property
    def monthly(self) -> Quota:
        return (self.emails and self.emails.monthly) or Quota()
