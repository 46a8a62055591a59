"""/metrics: the ledger's figures for Prometheus, read when they are scraped.

Amounts are floats here and nowhere else: Prometheus knows nothing else. Alerts on money belong to Costhook's own
rules; these are for watching.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from itertools import chain
from typing import Final

from prometheus_client.core import InfoMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.alert_metrics import AlertScrape
from api.export_question import refusal
from api.exposition import Gauge, Labels, exposition
from api.graphql.errors import Code
from api.graphql.http import Refusal, refused
from api.settings import ApiSettings
from ledger.database import ReaderDB
from ledger.errors import LedgerError
from ledger.reads.alert_metrics import alert_figures
from ledger.reads.metrics import Figures, figures

WHOSE: Final = Labels("namespace", "provider")
SPENT_ON: Final = Labels("namespace", "provider", "service", "currency")
ENDED: Final = Labels("namespace", "provider", "outcome")
RESTATED: Final = Labels("namespace", "provider", "currency")


def route(settings: ApiSettings, db: ReaderDB) -> Route:
    """GET /metrics, for callers with the scope."""

    async def metrics(request: Request) -> Response:
        principal = request.state.principal
        if not principal.may("metrics"):
            return refused(Refusal(403, "This takes the scope metrics.", Code.FORBIDDEN))
        now = settings.clock()
        try:
            async with db.transaction(principal.namespaces) as connection:
                found, alerting = await figures(connection, now), await alert_figures(connection, now)
        except LedgerError as error:
            return refused(refusal(error))
        scrape = Scrape(found, now, whole_house=principal.namespaces is None)
        families = chain(scrape.families(), AlertScrape(alerting, now).families())
        text, kind = exposition(families, request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    return Route("/metrics", metrics)


class Scrape:
    """One reading of the figures. The database's own are for callers who see the whole house."""

    def __init__(self, found: Figures, now: datetime, *, whole_house: bool) -> None:
        self._found, self._now, self._whole_house = found, now, whole_house

    def families(self) -> Iterator[Gauge | Metric]:
        yield InfoMetricFamily("costhook", "What answers.", {"version": version("costhook")})
        yield from self._spend()
        yield from self._providers()
        yield from self._lately()
        if self._whole_house:
            yield from self._house()

    def _spend(self) -> Iterator[Gauge]:
        rows = self._found.spend
        labels = [SPENT_ON.written((row.namespace, row.provider, row.service, row.currency)) for row in rows]
        yield Gauge(
            "costhook_spend_month_to_date",
            "Billed cost of this UTC month through today, in the currency of the label.",
            zip(labels, (float(row.month) for row in rows), strict=True),
        )
        yield Gauge(
            "costhook_spend_last_complete_day",
            "Billed cost of the last day whose figures are whole, in the currency of the label.",
            zip(labels, (float(row.last_day) for row in rows), strict=True),
        )
        yield Gauge(
            "costhook_unpriced_charges",
            "Charges of this UTC month that have no billed cost.",
            zip(labels, (row.unpriced for row in rows), strict=True),
        )

    def _providers(self) -> Iterator[Gauge]:
        rows = self._found.providers
        labels = [WHOSE.written((row.namespace, row.provider)) for row in rows]
        readings: tuple[tuple[str, str, list[float | None]], ...] = (
            ("provider_ready", "1 where the condition Ready is true, else 0.", [float(bool(r.ready)) for r in rows]),
            ("provider_suspended", "1 where the provider is suspended, else 0.", [float(r.suspended) for r in rows]),
            ("provider_created_timestamp_seconds", "When it was first seen.", [r.created_at.timestamp() for r in rows]),
            (
                "complete_through_timestamp_seconds",
                "Everything before this moment is whole.",
                [_day_after(row.complete_through) for row in rows],
            ),
            (
                "data_due_timestamp_seconds",
                "When the first day that is not whole should be whole.",
                [_moment(row.data_due) for row in rows],
            ),
            (
                "last_successful_sync_timestamp_seconds",
                "End of the last sync that succeeded.",
                [_moment(row.last_sync_at) for row in rows],
            ),
            (
                "next_sync_timestamp_seconds",
                "When the next sync is due.",
                [_moment(row.next_sync_at) for row in rows],
            ),
            ("last_sync_duration_seconds", "How long the last sync took.", [row.seconds for row in rows]),
            ("vendor_calls_today", "Requests made to the vendor on this UTC day.", [float(row.calls) for row in rows]),
            (
                "call_budget_used_share",
                "The part of the day's call budget that is spent, where one is declared: 1 is all of it.",
                [None if row.call_budget is None else row.calls / row.call_budget for row in rows],
            ),
        )
        for name, says, values in readings:
            yield Gauge(f"costhook_{name}", says, zip(labels, values, strict=True))

    def _lately(self) -> Iterator[Gauge]:
        yield Gauge(
            "costhook_syncs_last_day",
            "Syncs begun within the last 24 hours, by how they ended.",
            ((ENDED.written((row.namespace, row.provider, row.outcome)), row.runs) for row in self._found.outcomes),
        )
        yield Gauge(
            "costhook_restated_amount_last_day",
            "By how much vendors changed days that had been whole, within the last 24 hours.",
            (
                (RESTATED.written((row.namespace, row.provider, row.currency)), float(row.net))
                for row in self._found.restated
            ),
        )

    def _house(self) -> Iterator[Gauge]:
        house = self._found.house
        waited = 0.0 if house.oldest is None else (self._now - house.oldest).total_seconds()
        for name, says, value in (
            ("sync_requests_waiting", "Syncs asked for by hand that nobody has begun.", house.waiting),
            ("sync_requests_oldest_seconds", "How long the oldest of them has waited.", max(0.0, waited)),
            ("database_size_bytes", "Size of the database.", house.bytes),
            ("charges_estimated", "Charges held, as Postgres estimates.", house.rows),
        ):
            yield Gauge(f"costhook_{name}", says, [("", float(value))])


def _moment(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _day_after(day: date | None) -> float | None:
    return None if day is None else datetime.combine(day + timedelta(days=1), time.min, UTC).timestamp()
