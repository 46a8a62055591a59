"""Alerts: types and resolvers of how they stand, and of their history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from enum import Enum
from typing import Final

import strawberry

from api.graphql.budgets import BudgetPeriod
from api.graphql.context import Resolving
from api.graphql.figures import AlertFigures, figures_of
from api.graphql.inputs import MAX_VALUES, texts
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from api.graphql.providers import Condition, conditions_of
from ledger.alerts.book import Name
from ledger.reads import alerts as reading


@strawberry.enum(description="What an alert is on.")
class AlertKind(Enum):
    SPEND = "Spend"
    FORECAST = "Forecast"
    ANOMALY = "Anomaly"
    RESTATEMENT = "Restatement"
    SYNC_FAILURE = "SyncFailure"
    MISSING_DATA = "MissingData"
    UNPRICED_LINES = "UnpricedLines"


@strawberry.enum(
    description="How a level stands. PENDING: crossed, and not for long enough. RETRACTED: the vendor's correction "
    "took the reason away. NO_DATA: there is nothing to judge it by."
)
class AlertState(Enum):
    FIRING = "Firing"
    PENDING = "Pending"
    NO_DATA = "NoData"
    RETRACTED = "Retracted"
    RESOLVED = "Resolved"
    OK = "Ok"


@strawberry.enum
class Severity(Enum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@strawberry.type(description="Days, half-open: `to` is the first that is not part of it.")
class Days:
    from_: date = strawberry.field(name="from")
    to: date


@strawberry.type(description="Somebody has taken a level on: nobody is told of it again meanwhile.")
class Acknowledgement:
    at: datetime
    by: str
    until: datetime | None = strawberry.field(description="null: until the level ends.")
    note: str | None


@strawberry.type(description="How one level stands.")
class AlertLevel:
    level: str = strawberry.field(description="Such as 90%, 500 USD, +20%, 3, 24h.")
    severity: Severity
    provider: str | None = strawberry.field(description="Where the alert looks at each provider by itself: which.")
    period: Days | None = strawberry.field(description="Where the alert is judged for periods: which.")
    state: AlertState
    since: datetime
    judged_at: datetime = strawberry.field(description="When it last changed, or its figures did.")
    figures: AlertFigures = strawberry.field(description="What it was judged on last.")
    acknowledged: Acknowledgement | None = strawberry.field(description="null, too, once it has run out.")
    notified_at: datetime | None = strawberry.field(description="null: nobody was told of this time that it fires.")
    notices: int = strawberry.field(description="How often it was told, this time.")
    silenced_until: datetime | None = strawberry.field(description="null: no silence covers it now.")


@strawberry.type(description="When to tell whom, and how its levels stand.")
class Alert:
    id: strawberry.ID
    namespace: str
    name: str
    on: AlertKind | None
    budget: str | None = strawberry.field(description="The Budget whose amount, period and scope it watches.")
    period: BudgetPeriod | None = strawberry.field(description="null where it has no periods, or is not judged.")
    currency: str | None
    channels: list[str] = strawberry.field(description="Whom it tells.")
    conditions: list[Condition] = strawberry.field(description="Ready says whether it is judged.")
    place: str | None = strawberry.field(description="File and line of its manifest; null in a cluster.")

    async def standing(self, info: Resolving) -> AlertState | None:
        held = await self.standings(info)
        return held[0].state if held else None

    async def standings(self, info: Resolving) -> list[AlertLevel]:
        held = await info.context.levels.load(Name(self.namespace, self.name))
        return [level_of(each, info.context.now) for each in held]

    state: AlertState | None = strawberry.field(
        resolver=standing, description="The gravest state of its levels; null while it is not judged."
    )
    levels: list[AlertLevel] = strawberry.field(
        resolver=standings,
        description=f"The gravest first, at most {reading.MOST_LEVELS}; the last period stays until it is whole.",
    )


@strawberry.input(
    description="Every list means any of; several fields mean all of. `states` and `severities` ask for a level that "
    "has both."
)
class AlertFilter:
    namespaces: list[str] | None = None
    names: list[str] | None = None
    budgets: list[str] | None = None
    on: list[AlertKind] | None = None
    states: list[AlertState] | None = None
    severities: list[Severity] | None = None

    def meant(self) -> reading.AlertFilter:
        return reading.AlertFilter(
            **{name: listed(getattr(self, name), name) for name in ("namespaces", "names", "budgets")},
            kinds=values(self.on),
            states=values(self.states),
            severities=values(self.severities),
        )


_KINDS: Final = frozenset(kind.value for kind in AlertKind)


async def alerts(
    info: Resolving,
    *,
    filter: AlertFilter | None = None,  # noqa: A002  # the schema's word
    first: int = 50,
    after: str | None = None,
) -> Connection[Alert]:
    chosen = (filter or AlertFilter()).meant()
    wanted = page_size(first)
    parts = read_cursor(after, "alerts", (str, str))
    async with info.context.ledger() as connection:
        place = None if parts is None else Name(*parts)
        rows = await reading.alerts(connection, chosen, first=wanted + 1, after=place)

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await reading.count_alerts(connection, chosen)

    return connection_of(
        rows, wanted, after, alert_of, lambda row: write_cursor("alerts", (row.namespace, row.name)), count
    )


def alert_of(row: reading.Alert) -> Alert:
    """The alert as clients see it."""
    rule = row.rule
    return Alert(
        id=strawberry.ID(write_cursor("Alert", (row.namespace, row.name))),
        namespace=row.namespace,
        name=row.name,
        on=AlertKind(row.on) if row.on in _KINDS else None,
        budget=row.budget,
        period=BudgetPeriod(rule.period) if rule and rule.period and row.on in ("Spend", "Forecast") else None,
        currency=rule.currency if rule else None,
        channels=list(rule.channels) if rule else [],
        conditions=conditions_of(row.conditions),
        place=row.place,
    )


def level_of(row: reading.LevelStanding, now: datetime) -> AlertLevel:
    """The level as clients see it at `now`."""
    until = row.acknowledged_until
    holds = row.acknowledged_at is not None and (until is None or now < until)
    mark = None
    if holds and row.acknowledged_at is not None:
        by, note = row.acknowledged_by or "", row.acknowledged_note
        mark = Acknowledgement(at=row.acknowledged_at, by=by, until=until, note=note)
    return AlertLevel(
        level=row.level,
        severity=Severity(row.severity),
        provider=row.subject,
        period=None if row.period is None else Days(from_=row.period.first, to=row.period.after_last),
        state=AlertState(row.state),
        since=row.since,
        judged_at=row.judged_at,
        figures=figures_of(row.figures),
        acknowledged=mark,
        notified_at=row.notified_at,
        notices=row.notices,
        silenced_until=row.silent_until,
    )


def listed(given: list[str] | None, name: str) -> tuple[str, ...] | None:
    """A list of a filter, when it is not too long. Raises PublicError."""
    return None if given is None else texts(given, name)


def values(given: Sequence[Enum] | None) -> tuple[str, ...] | None:
    """What is meant by values of an enumeration."""
    return None if given is None else tuple(str(each.value) for each in given[:MAX_VALUES])
