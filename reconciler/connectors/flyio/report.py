"""What Fly.io's Machines API tells of apps, machines and volumes: shapes, checked.

Source: fly.io/docs/machines/api. Lists of machines and volumes are bare arrays and come whole.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from reconciler.connectors.inventory import Moment
from reconciler.connectors.reading import Answer, Number


def _or_none(value: object) -> object:
    return value or None


Text = Annotated[str | None, BeforeValidator(_or_none)]
Stated = Annotated[Moment | None, BeforeValidator(_or_none)]


class App(Answer):
    id: Text = None
    name: str = Field(min_length=1)


class Apps(Answer):
    """All apps of an organisation."""

    apps: list[App]
    total_apps: int | None = None


class Guest(Answer):
    """The size of a machine."""

    cpu_kind: str = Field(min_length=1)
    cpus: Number
    memory_mb: Number
    gpu_kind: Text = None


class Config(Answer):
    guest: Guest | None = None


class Machine(Answer):
    id: str = Field(min_length=1)
    name: Text = None
    state: str
    region: Text = None
    created_at: Stated = None
    config: Config | None = None


class Machines(Answer):
    """The machines of an app, under a name that Fly.io does not give them."""

    rows: list[Machine]


class Volume(Answer):
    id: str = Field(min_length=1)
    name: Text = None
    state: Text = None
    region: Text = None
    size_gb: Number
    created_at: Stated = None


class Volumes(Answer):
    """The volumes of an app, under a name that Fly.io does not give them."""

    rows: list[Volume]
