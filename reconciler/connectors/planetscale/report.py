"""What PlanetScale's invoice API answers: shapes, checked.

Source: the OpenAPI in github.com/planetscale/terraform-provider-planetscale. Money is in US dollars, no field says so.
A total is a decimal text; a line's subtotal is documented as a number and was seen as text. The form of an invoice's
period is not documented: moments with an exclusive end and dates with an inclusive one have both been seen.
"""

from __future__ import annotations

import re
from datetime import UTC, date
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from ledger.window import DAY, midnight
from reconciler.connectors.reading import Answer, Number


def _or_none(value: object) -> object:
    return value or None


def _start(value: object) -> object:
    return midnight(day) if (day := _date(value)) else value


def _end(value: object) -> object:
    """The exclusive end: a plain date is the last day of the period."""
    return midnight(day) + DAY if (day := _date(value)) else value


def _date(value: object) -> date | None:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return date.fromisoformat(value)
    return None


Text = Annotated[str | None, BeforeValidator(_or_none)]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class Invoice(Answer):
    """An invoice of the list, open or closed."""

    id: str = Field(min_length=1)
    total: Number
    billing_period_start: Annotated[Moment, BeforeValidator(_start)]
    billing_period_end: Annotated[Moment, BeforeValidator(_end)]


class Resource(Answer):
    """What a line is for, inside a database: a branch, mostly."""

    id: Text = None
    name: Text = None


class Item(Answer):
    """A line of an invoice; one that is `cloudflare_billed` stands on Cloudflare's bill, too."""

    id: Text = None
    subtotal: Number
    description: Text = None
    metric_name: Text = None
    cloudflare_billed: bool | None = None
    database_id: Text = None
    database_name: Text = None
    resource: Resource | None = None


class Listing(Answer):
    """A page of a list, which names the next one; None at the end."""

    next_page: int | None


class Invoices(Listing):
    data: tuple[Invoice, ...]


class Items(Listing):
    data: tuple[Item, ...]
