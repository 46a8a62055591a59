"""The block `spec.http` of a Provider: how to ask, how to page, where the rows are, and what their fields are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from reconciler.connectors.base import Settings
from reconciler.connectors.declared.expressions import Expression
from reconciler.connectors.declared.templates import SECRET, Template, names, secrets


class Part(Settings):
    """A group of settings: camelCase in manifests."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class Pair(Part):
    """A header, or a parameter of the query."""

    name: str = Field(description="Its name.", min_length=1, max_length=128, pattern=r"^[^\s:]+$")
    value: Template = Field(
        description="Its value, with places such as ${start.date}, ${cursor} or ${secret.apiKey} in it."
    )


class Basic(Part):
    """HTTP basic authentication."""

    user: Template = Field(description="User name, mostly ${secret.KEY}.")
    password: Template = Field(default="", description="Password, mostly ${secret.KEY}; none if absent.")


class Request(Part):
    """What is asked for each period and page."""

    method: Literal["GET", "POST"] = Field(default="GET", description="GET, or POST for an API that reads by POST.")
    path: Template = Field(default="", description="Path below baseURL, with places such as ${start.month} in it.")
    query: tuple[Pair, ...] = Field(
        default=(), description="The query; one that names ${cursor} is left out of the first request.", max_length=32
    )
    headers: tuple[Pair, ...] = Field(default=(), description="Headers, such as Authorization.", max_length=32)
    basic: Basic | None = Field(default=None, description="HTTP basic authentication, if the vendor wants it.")
    body: str | None = Field(
        default=None,
        description="JSON of a POST. Places are filled in its texts; a text that is nothing but ${page}, ${offset}, "
        "${start.unix} or the like becomes a number, and one that is nothing but ${cursor} null at first.",
        max_length=16384,
    )

    @field_validator("body")
    @classmethod
    def _json(cls, text: str | None) -> str | None:
        for leaf in leaves(_parsed(text)) if text is not None else ():
            Pair(name="body", value=leaf)
        return text

    @model_validator(mode="after")
    def _sound(self) -> Request:
        if self.body is not None and self.method == "GET":
            raise ValueError("a body is sent with method: POST alone")
        for text in (self.path, *(leaves(_parsed(self.body)) if self.body is not None else ())):
            if any(secrets(text)):
                raise ValueError("a place ${secret.KEY} belongs into headers, query or basic, and nowhere else")
        for header in self.headers:
            if any(secrets(header.value)) and any(not name.startswith(SECRET) for name in names(header.value)):
                raise ValueError(f"header {header.name}: what changes and what is secret belong into different headers")
        return self

    def texts(self) -> Iterator[str]:
        """Every text with places, but the body's."""
        yield self.path
        yield from (pair.value for pair in (*self.query, *self.headers))
        yield from (self.basic.user, self.basic.password) if self.basic else ()

    def places(self) -> set[str]:
        """The names of all places."""
        texts = (*self.texts(), *(leaves(_parsed(self.body)) if self.body is not None else ()))
        return {name for text in texts for name in names(text)}


class Paging(Part):
    """How the vendor cuts long answers."""

    type: Literal["None", "Cursor", "Page", "Offset", "Link"] = Field(
        default="None",
        description="None: one answer holds all. Cursor: each names the next in ${cursor}. Page: ${page} counts pages. "
        "Offset: ${offset} counts rows. Link: each gives the next one's URL, in its header Link or in `next`.",
    )
    next: Expression | None = Field(
        default=None, description="JMESPath over the answer: the next cursor, or with Link the next URL; null ends."
    )
    more: Expression | None = Field(default=None, description="JMESPath over the answer: true while there is more.")
    last: Expression | None = Field(
        default=None, description="JMESPath over the answer: how many pages there are, or with Offset how many rows."
    )
    first: int = Field(default=1, description="With Page: the number of the first page.", ge=0, le=1)

    @model_validator(mode="after")
    def _sound(self) -> Paging:
        if self.type == "Cursor" and self.next is None:
            raise ValueError("type Cursor needs next: an expression for the next cursor")
        if self.more is not None and self.last is not None:
            raise ValueError("give more or last, not both")
        return self


class ChargeFields(Part):
    """JMESPath over a row for each field of a charge, by its FOCUS name. A fixed text is written 'in quotes'."""

    billed_cost: Expression = Field(description="What is billed: a number, or a text that is one.")
    billing_currency: Expression = Field(description="ISO 4217 code, such as currency or the fixed 'USD'.")
    charge_period_start: Expression = Field(description="A day, month or time, as ISO 8601 or as Unix seconds or ms.")
    charge_period_end: Expression | None = Field(default=None, description="Its end, not part of it; else by grain.")
    service_name: Expression | None = Field(default=None, description="The service; vendor if absent.")
    service_provider_name: Expression | None = Field(default=None, description="Who sells it; vendor if absent.")
    service_category: Expression | None = Field(default=None, description="FOCUS category of the service.")
    charge_category: Expression | None = Field(
        default=None, description="Usage, Purchase, Tax, Credit or Adjustment; by default Credit below 0, else Usage."
    )
    charge_class: Expression | None = Field(default=None, description="Correction, or nothing.")
    charge_frequency: Expression | None = Field(default=None, description="One-Time, Recurring or Usage-Based.")
    charge_description: Expression | None = Field(default=None, description="What it is, in words.")
    billing_account_id: Expression | None = Field(default=None, description="Id of the account that is billed.")
    sub_account_id: Expression | None = Field(default=None, description="Id of the project, team or workspace.")
    sub_account_name: Expression | None = Field(default=None, description="Its name.")
    region_id: Expression | None = Field(default=None, description="Region.")
    resource_id: Expression | None = Field(default=None, description="Id of the resource.")
    resource_name: Expression | None = Field(default=None, description="Its name.")
    sku_id: Expression | None = Field(default=None, description="What was sold.")
    x_model: Expression | None = Field(default=None, description="The AI model.")
    x_token_type: Expression | None = Field(
        default=None, description="input, cached_input, cache_write or output, in these words."
    )
    effective_cost: Expression | None = Field(default=None, description="As billed, if absent.")
    list_cost: Expression | None = Field(default=None, description="At list prices.")
    contracted_cost: Expression | None = Field(default=None, description="At contracted prices.")
    consumed_quantity: Expression | None = Field(default=None, description="How much was used.")
    consumed_unit: Expression | None = Field(default=None, description="In which unit.")
    pricing_quantity: Expression | None = Field(default=None, description="How much is priced.")
    pricing_unit: Expression | None = Field(default=None, description="In which unit.")
    tags: dict[str, Expression] = Field(default_factory=dict, description="Tags by name.", max_length=32)
    extra: dict[str, Expression] = Field(
        default_factory=dict, description="Further columns; their names begin with x_.", max_length=32
    )

    @field_validator("extra")
    @classmethod
    def _named(cls, extra: dict[str, str]) -> dict[str, str]:
        for name in extra:
            if not name.startswith("x_"):
                raise ValueError(f"{name[:80]}: names of further columns begin with x_")
        return extra


class HttpSettings(Part):
    """The block `spec.http` of a Provider."""

    base_url: str = Field(
        alias="baseURL",
        description="Address of the API. Headers with secrets go to its host and nowhere else.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
    vendor: str = Field(description="The vendor's name as people write it.", min_length=1, max_length=128)
    request: Request = Field(default_factory=Request, description="What is asked for each period and page.")
    paging: Paging = Field(default_factory=Paging, description="How long answers are cut.")
    rows: Expression = Field(description="JMESPath over the answer: the list of rows.")
    lines: Expression | None = Field(
        default=None,
        description="JMESPath over a row: the list of its lines, where a row holds several. The fields of charge are "
        "then read on a line, and row() is what it lies in.",
    )
    charge: ChargeFields = Field(description="JMESPath over a row, or a line, for each field of a charge.")
    amount_unit: Literal["Major", "Minor", "Scaled"] = Field(
        default="Major",
        description="Unit of every cost: Major (dollars), Minor (cents, as the currency has them) or Scaled.",
    )
    amount_scale: int = Field(
        default=0,
        description="With Scaled: how many places the point moves to the left; 6 for millionths.",
        ge=0,
        le=18,
    )
    time_zone: str = Field(
        default="UTC", description="Whose days the vendor bills by, such as Europe/Berlin.", min_length=1, max_length=64
    )
    time_format: str | None = Field(
        default=None,
        description="How the vendor writes times, as strptime has it, where not as ISO 8601.",
        max_length=64,
    )
    grain: Literal["Hour", "Day", "Month", "Line"] = Field(
        default="Day", description="How long a charge is if chargePeriodEnd is absent; Line is a moment."
    )
    window_days: int = Field(
        default=31, description="Days asked for at once, at most; with grain Month it is always a month.", ge=1, le=31
    )
    outside_window: Literal["Refuse", "Skip"] = Field(
        default="Refuse",
        description="What becomes of rows that start outside the period asked for: Refuse takes them for a mistake, "
        "Skip is for an API that always tells all.",
    )
    settle_days: int = Field(
        default=1, description="Days after a day's end until its figures are all there.", ge=0, le=62
    )

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no time zone; write one like UTC or Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _sound(self) -> HttpSettings:
        place = {"Cursor": "cursor", "Page": "page", "Offset": "offset"}.get(self.paging.type)
        if place is not None and place not in self.request.places():
            raise ValueError(f"paging of type {self.paging.type} needs a place ${{{place}}} in request")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


def leaves(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
