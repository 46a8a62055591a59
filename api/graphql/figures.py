"""The figures that a level of an alert was judged on; which of them there are depends on what the alert is on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import strawberry

from api.graphql.scalars import BigInt


@strawberry.type(description="What a level was judged on. What does not belong to the kind of its alert is null.")
class AlertFigures:
    currency: str | None
    amount: Decimal | None = strawberry.field(
        description="What was billed so far in the period; on RESTATEMENT, by how much the day moved that moved most."
    )
    limit: Decimal | None = strawberry.field(description="The amount that the level stands for.")
    on_whole_days: Decimal | None = strawberry.field(description="The part of `amount` on days that are whole.")
    projected: Decimal | None = strawberry.field(description="On FORECAST: what the period will have cost at its end.")
    previous: Decimal | None = strawberry.field(description="The same days of the period before.")
    change_percent: Decimal | None = strawberry.field(description="`amount` against `previous`.")
    limit_percent: Decimal | None
    complete_through: date | None = strawberry.field(description="The last day whose data was whole.")
    as_of: date | None = strawberry.field(description="The last day of which anything was looked at.")
    failures: int | None = strawberry.field(description="On SYNC_FAILURE: syncs that failed in a row.")
    reason: str | None = strawberry.field(description="Of the last failure.")
    last_success: datetime | None = strawberry.field(description="End of the last sync that went well.")
    expected_at: datetime | None = strawberry.field(description="On MISSING_DATA: when the data was due.")
    lines: BigInt | None = strawberry.field(description="On UNPRICED_LINES: charges without a price.")
    limit_lines: BigInt | None


def figures_of(held: Mapping[str, Any]) -> AlertFigures:
    """The figures as clients see them, from the JSON values that judging left (see ledger.alerts.judging)."""
    limit, lines = held.get("limit"), held.get("lines")
    names = {"on_whole_days": "onWholeDays", "change_percent": "changePercent", "limit_percent": "limitPercent"}
    return AlertFigures(
        **{name: _decimal(held.get(name)) for name in ("amount", "projected", "previous")},
        **{name: _decimal(held.get(key)) for name, key in names.items()},
        limit=None if isinstance(limit, int) else _decimal(limit),
        limit_lines=BigInt(limit) if isinstance(limit, int) else None,
        lines=None if lines is None else BigInt(lines),
        currency=held.get("currency"),
        complete_through=_day(held.get("completeThrough")),
        as_of=_day(held.get("asOf")),
        failures=held.get("failures"),
        reason=held.get("reason"),
        last_success=_moment(held.get("lastSuccess")),
        expected_at=_moment(held.get("expectedAt")),
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
