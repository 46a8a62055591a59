"""/metrics of budgets, alerts and messages. They are for watching; who is to be told is told by alerts themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from api.exposition import Gauge, Labels
from ledger.reads.alert_metrics import AlertFigures

BUDGET: Final = Labels("namespace", "budget", "currency")
LEVEL: Final = Labels("namespace", "alert", "severity", "level")
CHANNEL: Final = Labels("namespace", "channel")


class AlertScrape:
    """One reading of the figures, at `now`."""

    def __init__(self, found: AlertFigures, now: datetime) -> None:
        self._found, self._now = found, now

    def families(self) -> Iterator[Gauge]:
        yield from self._budgets()
        yield Gauge(
            "costhook_alerts_firing",
            "Levels that fire, for how many providers or periods.",
            (
                (LEVEL.written((row.namespace, row.alert, row.severity, row.level)), row.levels)
                for row in self._found.firing
            ),
        )
        yield from self._outbox()

    def _budgets(self) -> Iterator[Gauge]:
        rows = [
            (BUDGET.written((each.namespace, each.name, each.terms.currency)), each.terms.amount, each.stood.standing)
            for each in self._found.budgets
            if each.terms is not None and each.stood is not None
        ]
        readings: tuple[tuple[str, str, list[Decimal | None]], ...] = (
            ("amount", "What the budget is, in the currency of the label.", [amount for _, amount, _ in rows]),
            ("spent", "What was billed so far in the budget's period.", [held.spent for *_, held in rows]),
            ("used_share", "The part of the budget that is spent: 1 is all of it.", [held.share for *_, held in rows]),
            (
                "projected",
                "What the budget's period will have cost at its end, as projected.",
                [held.projected for *_, held in rows],
            ),
        )
        for name, says, values in readings:
            floats = (None if value is None else float(value) for value in values)
            yield Gauge(f"costhook_budget_{name}", says, zip((labels for labels, *_ in rows), floats, strict=True))

    def _outbox(self) -> Iterator[Gauge]:
        rows = self._found.outbox
        labels = [CHANNEL.written((row.namespace, row.channel)) for row in rows]
        readings: tuple[tuple[str, str, list[float]], ...] = (
            ("waiting", "Messages that wait to be delivered.", [row.waiting for row in rows]),
            ("dead", "Messages that were given up, and that somebody has to look at.", [row.dead for row in rows]),
            (
                "oldest_waiting_seconds",
                "How long the oldest message that waits has waited; 0 where none does.",
                [0 if row.oldest is None else max(0, (self._now - row.oldest).total_seconds()) for row in rows],
            ),
        )
        for name, says, values in readings:
            yield Gauge(f"costhook_notifications_{name}", says, zip(labels, values, strict=True))
