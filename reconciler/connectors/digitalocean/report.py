"""What DigitalOcean's billing API answers: shapes, checked.

Source: the published specification (github.com/digitalocean/openapi, specification/resources/billing). Money is a
decimal text in US dollars. Items may lack most of their fields; what is needed to count them they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from decimal import Decimal
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from ledger.money import InvalidAmount, amount
from reconciler.connectors.reading import Answer, Number
from reconciler.errors import Bug


def _quantity(value: object) -> Decimal | None:
    """A duration, which DigitalOcean writes as text; None where it is no number, since no money depends on it."""
    try:
        return amount(value) if isinstance(value, str | Decimal | int) else None
    except InvalidAmount:
        return None


def _or_none(value: object) -> object:
    return value or None


Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Stated = Annotated[Moment | None, BeforeValidator(_or_none)]
Text = Annotated[str | None, BeforeValidator(_or_none)]


class Pages(Answer):
    next: Text = None


class Links(Answer):
    pages: Pages | None = None


class Meta(Answer):
    total: int | None = None


class Listing(Answer):
    """A page of a list that links to the next one."""

    links: Links | None = None
    meta: Meta | None = None

    @property
    def total(self) -> int | None:
        """How many rows the whole list has, where the page says."""
        return self.meta.total if self.meta else None

    @property
    def following(self) -> int | None:
        """The number of the next page; None at the end. Raises Bug where the link names none."""
        pages = self.links.pages if self.links else None
        if pages is None or pages.next is None:
            return None
        number = parse_qs(urlsplit(pages.next).query).get("page", [""])[0]
        if not number.isdecimal():
            raise Bug("DigitalOcean's link to the next page names no page")
        return int(number)


class Invoice(Answer):
    """An invoice in the list of them; `invoice_period` is the month that it bills, such as 2026-10."""

    invoice_uuid: str = Field(min_length=1)
    invoice_period: str = Field(pattern=r"^\d{4}-\d{2}$")


class Invoices(Listing):
    invoices: tuple[Invoice, ...]

    @property
    def rows(self) -> Sequence[Invoice]:
        return self.invoices


class Item(Answer):
    """A line of an invoice."""

    amount: Number
    product: Text = None
    category: Text = None
    resource_uuid: Text = None
    resource_id: Text = None
    group_description: Text = None
    description: Text = None
    project_name: Text = None
    duration: Annotated[Decimal | None, BeforeValidator(_quantity)] = None
    duration_unit: Text = None
    start_time: Stated = None
    end_time: Stated = None


class Items(Listing):
    invoice_items: tuple[Item, ...]

    @property
    def rows(self) -> Sequence[Item]:
        return self.invoice_items


class Part(Answer):
    """A part of an invoice's total, in its summary."""

    amount: Number
    name: Text = None


class Summary(Answer):
    """An invoice's total, and the parts of it that items may lack; each counts with its sign."""

    amount: Number
    overages: Part | None = None
    taxes: Part | None = None
    credits_and_adjustments: Part | None = None


class Point(Answer):
    """What a day added to the nightly estimate of one item."""

    start_date: date
    total_amount: Number
    usage_team_urn: Text = None
    region: Text = None
    sku: Text = None
    description: Text = None
    group_description: Text = None


class Insights(Answer):
    """A page of daily estimates."""

    data_points: tuple[Point, ...]
    current_page: int
    total_pages: int
    total_items: int | None = None

    @property
    def rows(self) -> Sequence[Point]:
        return self.data_points

    @property
    def total(self) -> int | None:
        return self.total_items

    @property
    def following(self) -> int | None:
        return self.current_page + 1 if self.current_page < self.total_pages else None


class Team(Answer):
    uuid: Text = None
    name: Text = None


class Profile(Answer):
    team: Team | None = None


class Owner(Answer):
    """Whose the token is; the team is told where the token belongs to one."""

    account: Profile


class Balance(Answer):
    """What `check` asks for: reading it takes the same permission as reading invoices."""

    month_to_date_usage: Number
