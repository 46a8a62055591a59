"""/metrics of budgets, alerts and messages. They are for watching; who is to be told is told by alerts themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ledger.reads.alert_metrics import AlertFigures

BUDGET: Final = ("namespace", "budget", "currency")
LEVEL: Final = ("namespace", "alert", "severity", "level")
CHANNEL: Final = ("namespace", "channel")


class AlertScrape(Collector):
    """One reading of the figures, at `now`."""

    def __init__(self, found: AlertFigures, now: datetime) -> None:
        self._found, self._now = found, now

    def collect(self) -> Iterator[Metric]:
        yield from self._budgets()
        firing = GaugeMetricFamily(
            "costhook_alerts_firing", "Levels that fire, for how many providers or periods.", labels=LEVEL
        )
        for row in self._found.firing:
            firing.add_metric((row.namespace, row.alert, row.severity, row.level), row.levels)
        yield firing
        yield from self._outbox()

    def _budgets(self) -> Iterator[Metric]:
        amount, spent, share, projected = (
            GaugeMetricFamily(f"costhook_budget_{name}", says, labels=BUDGET)
            for name, says in (
                ("amount", "What the budget is, in the currency of the label."),
                ("spent", "What was billed so far in the budget's period."),
                ("used_share", "The part of the budget that is spent: 1 is all of it."),
                ("projected", "What the budget's period will have cost at its end, as projected."),
            )
        )
        for each in self._found.budgets:
            if each.terms is None or each.stood is None:
                continue
            held, key = each.stood.standing, (each.namespace, each.name, each.terms.currency)
            _add(amount, key, each.terms.amount)
            _add(spent, key, held.spent)
            _add(share, key, held.share)
            _add(projected, key, held.projected)
        yield from (amount, spent, share, projected)

    def _outbox(self) -> Iterator[Metric]:
        waiting, dead, oldest = (
            GaugeMetricFamily(f"costhook_notifications_{name}", says, labels=CHANNEL)
            for name, says in (
                ("waiting", "Messages that wait to be delivered."),
                ("dead", "Messages that were given up, and that somebody has to look at."),
                ("oldest_waiting_seconds", "How long the oldest message that waits has waited; 0 where none does."),
            )
        )
        for row in self._found.outbox:
            key = (row.namespace, row.channel)
            waiting.add_metric(key, row.waiting)
            dead.add_metric(key, row.dead)
            oldest.add_metric(key, 0 if row.oldest is None else max(0, (self._now - row.oldest).total_seconds()))
        yield from (waiting, dead, oldest)


def _add(family: GaugeMetricFamily, key: tuple[str, ...], value: Decimal | None) -> None:
    if value is not None:
        family.add_metric(key, float(value))
