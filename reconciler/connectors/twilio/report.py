"""What Twilio's usage records and accounts look like: shapes, checked.

Source: twilio.com/docs/usage/api/usage-record and the specification, github.com/twilio/twilio-oai. Amounts are decimal
texts, or numbers as the specification has them.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from ledger.money import currency
from reconciler.connectors.reading import Answer, Number


def _or_none(value: object) -> object:
    return None if value == "" else value


def _currency(code: str | None) -> str | None:
    return None if code is None else currency(code)


Text = Annotated[str | None, BeforeValidator(_or_none)]
Stated = Annotated[Number | None, BeforeValidator(_or_none)]


class Record(Answer):
    """What a category came to on a day. `usage` and `count` are in units of the category's own.

    The specification allows a record without `price_unit`; it is then in the currency of the day's others.
    """

    category: str = Field(min_length=1)
    start_date: date
    price: Stated
    price_unit: Annotated[Text, AfterValidator(_currency)] = None
    description: Text = None
    account_sid: Text = None
    usage: Stated = None
    usage_unit: Text = None
    count: Stated = None
    count_unit: Text = None


class Listing(Answer):
    """A page of a list. `next_page_uri` begins with a slash, and is null at the end."""

    next_page_uri: str | None = Field(pattern=r"^/")


class Records(Listing):
    usage_records: list[Record]


class Customer(Answer):
    """An account, or a subaccount of it."""

    sid: str = Field(min_length=1)
    friendly_name: Text = None


class Customers(Listing):
    accounts: list[Customer]
