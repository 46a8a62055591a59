"""The history of alerts: every turn of every level, with the figures it was judged on."""

from __future__ import annotations

from datetime import date, datetime

import strawberry

from api.graphql.alerts import AlertState, Severity, listed, values
from api.graphql.context import Resolving
from api.graphql.figures import AlertFigures, figures_of
from api.graphql.inputs import Period
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from ledger.alerts.book import EPOCH
from ledger.reads import alerts as reading


@strawberry.type(description="A turn of one level, with the figures that it was judged on.")
class AlertTurn:
    id: strawberry.ID
    namespace: str
    alert: str
    budget: str | None
    level: str
    severity: Severity
    provider: str | None
    period_start: date | None
    before: AlertState
    after: AlertState
    reason: str
    at: datetime
    figures: AlertFigures


@strawberry.input(description="Every list means any of; several fields mean all of. `states`: what it turned into.")
class AlertHistoryFilter:
    namespaces: list[str] | None = None
    alerts: list[str] | None = None
    period: Period | None = strawberry.field(default=None, description="The UTC days on which it turned.")
    states: list[AlertState] | None = None

    def meant(self) -> reading.TurnFilter:
        return reading.TurnFilter(
            namespaces=listed(self.namespaces, "namespaces"),
            alerts=listed(self.alerts, "alerts"),
            period=None if self.period is None else self.period.meant(),
            states=values(self.states),
        )


async def alert_history(
    info: Resolving,
    *,
    filter: AlertHistoryFilter | None = None,  # noqa: A002  # the schema's word
    first: int = 50,
    after: str | None = None,
) -> Connection[AlertTurn]:
    chosen = (filter or AlertHistoryFilter()).meant()
    wanted = page_size(first)
    parts = read_cursor(after, "alertHistory", (int, str))
    place = None if parts is None else (parts[0], parts[1])
    async with info.context.ledger() as connection:
        rows = await reading.turns(connection, chosen, first=wanted + 1, after=place)

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await reading.count_turns(connection, chosen)

    return connection_of(
        rows, wanted, after, _turn, lambda row: write_cursor("alertHistory", (row.id, row.namespace)), count
    )


def _turn(row: reading.Turn) -> AlertTurn:
    return AlertTurn(
        id=strawberry.ID(write_cursor("AlertTurn", (row.id, row.namespace))),
        namespace=row.namespace,
        alert=row.alert,
        budget=row.budget,
        level=row.level,
        severity=Severity(row.severity),
        provider=row.subject or None,
        period_start=None if row.period_first == EPOCH else row.period_first,
        before=AlertState(row.from_state),
        after=AlertState(row.to_state),
        reason=row.reason,
        at=row.at,
        figures=figures_of(row.figures),
    )
