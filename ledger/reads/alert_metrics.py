"""Figures of budgets, alerts and messages for monitoring, read at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.budgets import Budget, BudgetFilter, budgets

TOP: Final = 500
"""Budgets shown, those that are used up most; levels that fire, the gravest; channels, those with most to send."""
OTHER: Final = "other"
"""Stands for the alerts and levels of a namespace and severity beyond the gravest TOP; none is left uncounted."""

_FIRING: Final = text("""
    with firing as (
        select namespace, alert, severity, level, count(*) as levels, row_number() over (
            order by array_position(array['critical', 'warning', 'info'], severity), namespace, alert, level
        ) as place
        from alert_state where state = 'Firing' group by 1, 2, 3, 4
    )
    select namespace, case when place <= :top then alert else :other end as alert, severity,
        case when place <= :top then level else :other end as level, sum(levels)::bigint as levels
    from firing group by 1, 2, 3, 4 order by 1, 2, 3, 4
""")

# Channels that were removed are there as long as something waits for them.
_OUTBOX: Final = text("""
    with counted as (
        select namespace, channel, count(*) filter (where state = 'Waiting') as waiting,
            count(*) filter (where state = 'Dead') as dead,
            min(created_at) filter (where state = 'Waiting') as oldest
        from notification where state in ('Waiting', 'Dead') group by 1, 2
    ), declared as (
        select namespace, name as channel from resource where kind = 'Channel' and deleted_at is null
    )
    select coalesce(d.namespace, c.namespace) as namespace, coalesce(d.channel, c.channel) as channel,
        coalesce(c.waiting, 0) as waiting, coalesce(c.dead, 0) as dead, c.oldest
    from declared d full join counted c on c.namespace = d.namespace and c.channel = d.channel
    where d.channel is not null or c.waiting > 0
    order by coalesce(c.waiting, 0) + coalesce(c.dead, 0) desc, 1, 2 limit :top
""")


@dataclass(frozen=True, slots=True)
class Firing:
    """How many levels of this name fire: one for each provider or period that the alert looks at."""

    namespace: str
    alert: str
    severity: str
    level: str
    levels: int


@dataclass(frozen=True, slots=True)
class Outbox:
    """What waits for a channel, since when, and what was given up."""

    namespace: str
    channel: str
    waiting: int
    dead: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class AlertFigures:
    """Budgets that stand somehow, levels that fire, and channels."""

    budgets: Sequence[Budget]
    firing: Sequence[Firing]
    outbox: Sequence[Outbox]


async def alert_figures(connection: AsyncConnection, now: datetime) -> AlertFigures:
    """The figures of what the connection may see."""
    stood = [each for each in await budgets(connection, BudgetFilter(), now.date()) if each.stood is not None]
    firing = await connection.execute(_FIRING, {"top": TOP, "other": OTHER})
    outbox = await connection.execute(_OUTBOX, {"top": TOP})
    shown = sorted(stood, key=_share, reverse=True)[:TOP]
    return AlertFigures(shown, [Firing(*row) for row in firing], [Outbox(*row) for row in outbox])


def _share(budget: Budget) -> Decimal:
    share = None if budget.stood is None else budget.stood.standing.share
    return Decimal(0) if share is None else share
