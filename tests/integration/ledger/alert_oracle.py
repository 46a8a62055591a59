"""What becomes of a Spend alert with percentages of a monthly budget, in plain lines: one judgement after another."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

Month = tuple[int, int]
DAY = timedelta(days=1)


def month_of(day: date) -> Month:
    return day.year, day.month


@dataclass
class Standing:
    """How one level stands in one month."""

    state: str = "Ok"
    told: bool = False
    told_at: datetime | None = None
    acknowledged: bool = False
    limit: Decimal = Decimal(0)
    through: date | None = None
    today: date | None = None


@dataclass
class Oracle:
    """`believed` are the amounts by day that the ledger holds, `through` the last whole day."""

    levels: list[int]
    amount: Decimal
    renotify: timedelta
    believed: dict[date, Decimal] = field(default_factory=dict)
    through: date | None = None
    months: dict[Month, dict[int, Standing]] = field(default_factory=dict)
    turns: list[tuple[str, str, str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def judge(self, now: datetime) -> None:
        """Everything that is to be said at `now`."""
        today = now.date()
        this, last = month_of(today), month_of(today.replace(day=1) - DAY)
        if last in self.months and (self.through is None or month_of(self.through + DAY) <= last):
            self._judge_month(last, now)
        self._judge_month(this, now)
        for month in [m for m in self.months if m != this and not self._open(m, last)]:
            self._end_month(month)

    def _open(self, month: Month, last: Month) -> bool:
        return month == last and (self.through is None or month_of(self.through + DAY) <= last)

    def _judge_month(self, month: Month, now: datetime) -> None:
        standings = self.months.setdefault(month, {})
        ended = []
        for level in self.levels:
            mine = standings.setdefault(level, Standing())
            before = mine.state
            self._judge_level(level, mine, month, now.date())
            if before == "Firing" and mine.state != "Firing":
                ended.append((level, mine))
        for level in sorted((each for each in standings if each not in self.levels), key=str):
            self._end_level(level, standings.pop(level), "LevelRemoved")
        for level, mine in ended:
            if mine.told:
                self.notes.append(("retracted" if mine.state == "Retracted" else "resolved", f"{level}%"))
                mine.told = False
        firing = [level for level in self.levels if standings[level].state == "Firing"]
        if firing:
            self._tell(standings[max(firing)], max(firing), now)

    def _judge_level(self, level: int, mine: Standing, month: Month, today: date) -> None:
        limit = self.amount * level / 100
        crossed = self._crossed(month, limit, self.through, today)
        before = mine.state
        if crossed and before != "Firing":
            mine.told = mine.acknowledged = False
            self._turn(level, mine, "Firing", "LimitCrossed")
        elif crossed is False and before == "Firing":
            self._cleared(level, mine, month, limit)
        elif crossed is False and before == "NoData":
            self._turn(level, mine, "Ok", "BelowLimit")
        elif crossed is None and before not in ("Firing", "NoData"):
            self._turn(level, mine, "NoData", "NoData")
        mine.limit, mine.through, mine.today = limit, self.through, today

    def _cleared(self, level: int, mine: Standing, month: Month, limit: Decimal) -> None:
        assert mine.today is not None
        if mine.limit != limit:
            self._turn(level, mine, "Resolved", "RuleChanged")
        elif self._crossed(month, limit, mine.through, mine.today):
            self._turn(level, mine, "Resolved", "BelowLimit")
        else:
            self._turn(level, mine, "Retracted", "Restated")

    def _tell(self, mine: Standing, level: int, now: datetime) -> None:
        again = mine.told_at is not None and now - mine.told_at >= self.renotify and not mine.acknowledged
        if not mine.told or again:
            self.notes.append(("firing", f"{level}%"))
            mine.told, mine.told_at = True, now

    def _end_month(self, month: Month) -> None:
        for level, mine in sorted(self.months.pop(month).items()):
            self._end_level(level, mine, "PeriodEnded")

    def _end_level(self, level: int, mine: Standing, reason: str) -> None:
        fired = mine.state == "Firing"
        if mine.state in ("Firing", "NoData"):
            self._turn(level, mine, "Resolved" if fired else "Ok", reason)
        if fired and mine.told:
            self.notes.append(("resolved", f"{level}%"))

    def _crossed(self, month: Month, limit: Decimal, through: date | None, today: date) -> bool | None:
        days = {day: cost for day, cost in self.believed.items() if month_of(day) == month}
        if sum((cost for day, cost in days.items() if day <= today), Decimal(0)) >= limit:
            return True
        if through is None:
            return None
        return sum((cost for day, cost in days.items() if day <= through), Decimal(0)) >= limit

    def _turn(self, level: int, mine: Standing, after: str, reason: str) -> None:
        self.turns.append((f"{level}%", mine.state, after, reason))
        mine.state = after
