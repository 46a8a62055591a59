"""What connectors there are, and what their vendors' data is like."""

from __future__ import annotations

import strawberry

from api.graphql.context import Resolving
from api.graphql.inputs import Origin


@strawberry.type(description="A kind of vendor that Costhook can sync; periods are in days.")
class Connector:
    type: str = strawberry.field(description="The value of spec.type.")
    title: str
    gives: str = strawberry.field(description="Which figures, by which dimensions.")
    grain: str = strawberry.field(description="The finest period of a charge.")
    origin: Origin
    reach_days: int | None = strawberry.field(description="How far back the vendor can be asked; null: without limit.")
    settling_days: float = strawberry.field(description="After a day, how long until its figures are all there.")
    moving_days: float = strawberry.field(description="After a day, how long its figures may still change.")
    rate_limit: str | None
    call_cost: str | None = strawberry.field(description="What one call costs; null where calls are free.")
    guide: str = strawberry.field(description="Path of its guide in the documentation.")


def connectors(info: Resolving) -> list[Connector]:
    return [
        Connector(
            type=held.type,
            title=held.title,
            gives=held.gives,
            grain=held.grain,
            origin=Origin(held.origin),
            reach_days=held.reach_days,
            settling_days=held.settling_days,
            moving_days=held.moving_days,
            rate_limit=held.rate_limit,
            call_cost=held.call_cost,
            guide=held.guide,
        )
        for held in info.context.connectors
    ]
