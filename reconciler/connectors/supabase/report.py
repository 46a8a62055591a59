"""What Supabase's Management API tells of organisations, projects and add-ons: shapes, checked.

Source: the Management API's specification, as generated in github.com/supabase/cli. Prices are dollars: that is not
documented, and follows from what others saw ($0.01344 an hour for Micro).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from reconciler.connectors.inventory import Moment
from reconciler.connectors.reading import Answer, Number


def _or_none(value: object) -> object:
    return value or None


def _or_empty(value: object) -> object:
    return [] if value is None else value


def _known(value: object) -> object:
    """A price by the hour or the month; None for any other, which is then no price at all."""
    return value if isinstance(value, Mapping) and value.get("interval") in ("hourly", "monthly") else None


Text = Annotated[str | None, BeforeValidator(_or_none)]


class Organization(Answer):
    """Whose projects they are. `plan` is free, pro, team, enterprise or platform."""

    id: str
    name: Text = None
    plan: Text = None


class Database(Answer):
    """A primary database or a read replica."""

    identifier: Text = None
    type: Text = None
    region: Text = None
    infra_compute_size: Text = None
    disk_volume_size_gb: Number | None = None
    disk_type: Text = None

    @property
    def is_replica(self) -> bool:
        return self.type == "READ_REPLICA"


class Project(Answer):
    """A project, or a preview branch of one."""

    ref: str = Field(min_length=1)
    name: Text = None
    region: Text = None
    status: Text = None
    is_branch: bool = False
    inserted_at: Annotated[Moment | None, BeforeValidator(_or_none)] = None
    databases: Annotated[list[Database], BeforeValidator(_or_empty)] = Field(default_factory=list)


class Pagination(Answer):
    count: int
    limit: int
    offset: int


class Projects(Answer):
    """A page of projects; `count` is how many there are in all."""

    projects: list[Project]
    pagination: Pagination


class Price(Answer):
    amount: Number
    interval: Literal["hourly", "monthly"]


class Variant(Answer):
    """A size or kind of an add-on; ids of compute are `ci_` and the size."""

    id: str = Field(min_length=1)
    name: Text = None
    price: Annotated[Price | None, BeforeValidator(_known)] = None


class Selected(Answer):
    """An add-on that a project has."""

    type: str
    variant: Variant


class Available(Answer):
    """An add-on that a project could have."""

    type: str
    variants: Annotated[list[Variant], BeforeValidator(_or_empty)] = Field(default_factory=list)


class Addons(Answer):
    selected_addons: list[Selected]
    available_addons: list[Available] = Field(default_factory=list)

    @property
    def variants(self) -> list[Variant]:
        """Every variant whose price is told, those that are selected last."""
        offered = [variant for addon in self.available_addons for variant in addon.variants]
        return [*offered, *(addon.variant for addon in self.selected_addons)]
