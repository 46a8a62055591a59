"""What Neon's consumption history and lists of projects look like: shapes, checked.

Source: neon.com/docs/reference/api (consumption, projects, organizations). Values are whole numbers.
"""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from reconciler.connectors.reading import Answer, Number


def _or_none(value: object) -> object:
    return value or None


Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Text = Annotated[str | None, BeforeValidator(_or_none)]


class Metric(Answer):
    """How much of a metric was used, in the metric's own unit."""

    metric_name: str = Field(min_length=1)
    value: Number


class Timeframe(Answer):
    """A day or a month of a project."""

    timeframe_start: Moment
    timeframe_end: Moment
    metrics: list[Metric]

    @property
    def hours(self) -> int:
        return round((self.timeframe_end - self.timeframe_start).total_seconds() / 3600)


class Period(Answer):
    """A stretch of time on one plan; a change of plan begins another."""

    period_plan: Text = None
    consumption: list[Timeframe]


class Usage(Answer):
    """What one project used."""

    project_id: str = Field(min_length=1)
    periods: list[Period]


class Pagination(Answer):
    cursor: Text = None


class Listing(Answer):
    """A page of a list. Its cursor is the last project's id, and stays what it was on an empty page, or is absent."""

    pagination: Pagination | None = None

    @property
    def following(self) -> str | None:
        return self.pagination.cursor if self.pagination else None


class History(Listing):
    projects: list[Usage]

    @property
    def ids(self) -> list[str]:
        return [project.project_id for project in self.projects]


class Project(Answer):
    id: str = Field(min_length=1)
    name: Text = None
    region_id: Text = None


class Projects(Listing):
    projects: list[Project]

    @property
    def ids(self) -> list[str]:
        return [project.id for project in self.projects]


class Organization(Answer):
    id: str
    name: Text = None
