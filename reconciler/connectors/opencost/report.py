"""What OpenCost answers to /allocation: a map of allocations for the window asked for.

Amounts are rounded to five decimals, each by itself; what OpenCost could not work out is null.
Facts: opencost.io/docs/integrations/api and github.com/opencost/opencost, core/pkg/opencost/allocation_json.go.
"""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from ledger.money import ZERO
from reconciler.connectors.reading import Answer, Number

Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class Properties(Answer):
    """What all pods of a row have in common."""

    cluster: str | None = None


class Period(Answer):
    start: Moment | None = None


class Allocation(Answer):
    """What one controller, or idle capacity, cost. The total holds all parts; null is what could not be worked out."""

    total: Number | None = Field(alias="totalCost")
    shared: Number | None = Field(default=ZERO, alias="sharedCost")
    cpu: Number | None = Field(default=None, alias="cpuCost")
    gpu: Number | None = Field(default=None, alias="gpuCost")
    ram: Number | None = Field(default=None, alias="ramCost")
    volumes: Number | None = Field(default=None, alias="pvCost")
    network: Number | None = Field(default=None, alias="networkCost")
    load_balancers: Number | None = Field(default=None, alias="loadBalancerCost")
    properties: Properties | None = None
    window: Period | None = None


class Allocations(Answer):
    """The answer: a set of allocations by key, for each step; there is one step."""

    code: int
    message: str = ""
    data: list[dict[str, Allocation] | None] | None = None
