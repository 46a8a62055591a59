"""What Render's lists look like: shapes, checked.

Source: api-docs.render.com, as generated in github.com/render-oss/cli. Lists are bare arrays; each element has the
cursor after it beside the thing itself.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from reconciler.connectors.inventory import Moment
from reconciler.connectors.reading import Answer, Number


def _or_none(value: object) -> object:
    return value or None


def _or_empty(value: object) -> object:
    return [] if value is None else value


def _or_bare(value: object) -> object:
    return {} if value is None else value


Text = Annotated[str | None, BeforeValidator(_or_none)]
Stated = Annotated[Moment | None, BeforeValidator(_or_none)]


class Owner(Answer):
    """A workspace: a user or a team."""

    wrapper: ClassVar[str] = "owner"
    id: str = Field(min_length=1)
    name: Text = None


class Project(Answer):
    wrapper: ClassVar[str] = "project"
    id: str = Field(min_length=1)
    name: Text = None
    environment_ids: Annotated[list[str], BeforeValidator(_or_empty)] = Field(
        default_factory=list, alias="environmentIds"
    )


class Disk(Answer):
    id: Text = None
    name: Text = None
    size_gb: Number | None = Field(default=None, alias="sizeGB")


class Autoscaling(Answer):
    enabled: bool = False


class Details(Answer):
    """What a service runs on. Static sites have no plan, cron jobs no number of instances."""

    plan: Text = None
    region: Text = None
    num_instances: Number | None = Field(default=None, alias="numInstances")
    disk: Disk | None = None
    autoscaling: Autoscaling | None = None


class Service(Answer):
    """A web service, private service, background worker, cron job or static site."""

    wrapper: ClassVar[str] = "service"
    id: str = Field(min_length=1)
    name: Text = None
    type: str
    owner_id: Text = Field(default=None, alias="ownerId")
    environment_id: Text = Field(default=None, alias="environmentId")
    suspended: Text = None
    created_at: Stated = Field(default=None, alias="createdAt")
    details: Annotated[Details, BeforeValidator(_or_bare)] = Field(default_factory=Details, alias="serviceDetails")


class Store(Answer):
    """What databases and key values have in common."""

    id: str = Field(min_length=1)
    name: Text = None
    plan: str = Field(min_length=1)
    region: Text = None
    owner: Owner | None = None
    environment_id: Text = Field(default=None, alias="environmentId")
    status: Text = None
    suspended: Text = None
    created_at: Stated = Field(default=None, alias="createdAt")

    @property
    def rests(self) -> bool:
        """Whether it is suspended: key values say so in their status."""
        return "suspended" in (self.suspended, self.status)


class Postgres(Store):
    """A database; a read replica is one of its own."""

    wrapper: ClassVar[str] = "postgres"
    disk_gb: Number | None = Field(default=None, alias="diskSizeGB")
    highly_available: bool = Field(default=False, alias="highAvailabilityEnabled")


class KeyValue(Store):
    wrapper: ClassVar[str] = "keyValue"


class Page(Answer):
    """A page of any list, under a name that Render does not give it."""

    rows: list[dict[str, Any]]

    @property
    def following(self) -> object:
        """The cursor after the last element; None on a page without elements, which is the end."""
        return self.rows[-1].get("cursor") if self.rows else None
