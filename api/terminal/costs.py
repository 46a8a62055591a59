"""Costs as a table: series by bucket where that fits, else a line for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from api.terminal.layout import NONE, Column, count, day, fitting, money, table
from ledger.database import ReaderDB
from ledger.errors import InvalidQuestion
from ledger.reads.costs import CostReport, CostSeries, costs
from ledger.reads.filters import ChargeFilter
from ledger.reads.periods import Granularity, Period
from ledger.reads.questions import ByAllocation, ByLabel, ByTag, CostQuestion, Dimension, Grouping, Metric
from ledger.window import DAY

KEYED: Final[Mapping[str, Callable[[str], Grouping]]] = {"tag": ByTag, "label": ByLabel, "allocation": ByAllocation}
"""What is grouped by with a key of one's own, as in tag:team."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked on the command line, in its words."""

    group_by: Sequence[str] = ()
    first: date | None = None
    after_last: date | None = None
    granularity: str = "total"
    metric: str = "billed"
    providers: Sequence[str] | None = None
    namespaces: Sequence[str] | None = None
    top: int = 20
    as_of: datetime | None = None


def question(asked: Asked, today: date) -> CostQuestion:
    """As the ledger understands it; of this month through `today` where no period is given. Raises InvalidQuestion."""
    last = today if asked.after_last is None else asked.after_last - DAY
    first = asked.first or last.replace(day=1)
    return CostQuestion(
        period=Period(first, asked.after_last or max(today, first) + DAY),
        group_by=tuple(_grouping(name.strip()) for part in asked.group_by for name in part.split(",")),
        granularity=Granularity(asked.granularity),
        metric=Metric(f"{asked.metric}_cost"),
        filter=ChargeFilter(providers=_values(asked.providers), namespaces=_values(asked.namespaces)),
        as_of=asked.as_of,
        top=asked.top,
    )


async def answer(db: ReaderDB, asked: CostQuestion) -> CostReport:
    """What the ledger says."""
    async with db.transaction(None) as connection:
        return await costs(connection, asked)


def _grouping(name: str) -> Grouping:
    kind, colon, key = name.partition(":")
    if colon and key and kind in KEYED:
        return KEYED[kind](key)
    try:
        return Dimension[name.upper().replace("-", "_")]
    except KeyError:
        known = ", ".join(title(dimension) for dimension in Dimension)
        raise InvalidQuestion(
            f"there is no dimension {name!r}; group by {known}, tag:KEY, label:KEY or allocation:DIMENSION"
        ) from None


def _values(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(names) if names else None


def title(group: Grouping) -> str:
    """What a column of this grouping is called."""
    if isinstance(group, ByTag):
        return f"tag:{group.key}"
    if isinstance(group, ByLabel):
        return f"label:{group.key}"
    if isinstance(group, ByAllocation):
        return f"allocation:{group.dimension}"
    return group.name.lower().replace("_", "-")


def shown(report: CostReport, console: Console) -> RenderableType:
    """The report as a table, and under it how whole it is and what it lacks."""
    if not report.totals:
        return Group(Text("No charges in this period."), *_notes(report))
    layouts = [_listed(report)]
    if report.question.granularity is not Granularity.TOTAL:
        layouts.insert(0, _spread(report))
    return Group(fitting(console, *layouts), Text(""), *_notes(report))


def as_json(report: CostReport) -> dict[str, Any]:
    """The report as JSON values; amounts are Decimals."""
    question = report.question
    return {
        "from": question.period.first,
        "to": question.period.after_last,
        "metric": question.metric.name,
        "granularity": question.granularity.name,
        "asOf": question.as_of,
        "completeThrough": report.completeness.through,
        "buckets": report.buckets,
        "totals": [_json(report, series) for series in report.totals],
        "series": [_json(report, series) for series in report.series],
        "others": [_json(report, series) for series in report.others],
    }


def _lines(report: CostReport) -> Iterator[tuple[list[str], CostSeries]]:
    """Every line of the table: its key as text, and its amounts."""
    groups = len(report.question.group_by)
    if groups:
        for series in report.series:
            yield [NONE if value is None else value for value in series.key], series
        for series in report.others:
            yield ["(others)", *[""] * (groups - 1)], series
    for series in report.totals:
        yield ["(total)", *[""] * (groups - 1)] if groups else [], series


def _spread(report: CostReport) -> RenderableType:
    """A column for each bucket."""
    columns = [Column(title(group)) for group in report.question.group_by] or [Column("")]
    columns += [Column(_called(bucket, report.question.granularity), amount=True) for bucket in report.buckets]
    columns += [Column("total", amount=True), Column("", whole=True)]
    rows = []
    for key, series in _lines(report):
        amounts = [money(amount, series.currency) for amount in (*series.amounts, series.total)]
        rows.append([*_heading(key), *amounts, Text(series.currency)])
    return table(columns, rows)


def _listed(report: CostReport) -> RenderableType:
    """A line for each series and bucket; buckets in which nothing was charged are left out."""
    single = report.question.granularity is Granularity.TOTAL
    columns = [] if single else [Column("from", whole=True)]
    columns += [Column(title(group)) for group in report.question.group_by] or [Column("")]
    columns += [Column("amount", amount=True), Column("", whole=True), Column("share", amount=True), Column("origin")]
    rows: list[Sequence[RenderableType]] = []
    for key, series in _lines(report):
        for bucket, amount in zip(report.buckets, series.amounts, strict=True):
            if amount or single:
                start = [] if single else [Text(_called(bucket, report.question.granularity))]
                share = _share(series) if single else Text("")
                cells = [money(amount, series.currency), Text(series.currency), share, _origins(series)]
                rows.append([*start, *_heading(key), *cells])
    return table(columns, rows)


def _called(bucket: date, granularity: Granularity) -> str:
    """A whole month or year by its name; everything else by its first day, as the first bucket may begin later."""
    if granularity is Granularity.MONTH and bucket.day == 1:
        return f"{bucket:%Y-%m}"
    if granularity is Granularity.YEAR and (bucket.month, bucket.day) == (1, 1):
        return f"{bucket:%Y}"
    return day(bucket)


def _heading(key: Sequence[str]) -> list[Text]:
    return [Text(value) for value in key] or [Text("(total)")]


def _share(series: CostSeries) -> Text:
    return Text(NONE if series.share is None else f"{series.share:.1%}")


def _origins(series: CostSeries) -> Text:
    return Text(", ".join(sorted(series.origins)), style="dim")


def _notes(report: CostReport) -> Iterator[Text]:
    period, whole = report.question.period, report.completeness
    if whole.through is not None:
        behind = [held.provider for held in whole.providers if held.through == whole.through]
        by = f" ({', '.join(behind)}; others are further)" if len(behind) < len(whole.providers) else ""
        yield Text(f"Complete through {whole.through}{by}.", style="dim" if whole.through >= period.after_last else "")
    missing = [held.provider for held in whole.providers if held.through is None]
    if missing:
        yield Text(f"Not whole yet on any day: {', '.join(missing)}.", style="yellow")
    unpriced = sum(series.unpriced for series in report.totals)
    if unpriced:
        said = count(unpriced, "charge has no known price and is", "charges have no known price and are")
        yield Text(f"{said} in no sum.", style="yellow")


def _json(report: CostReport, series: CostSeries) -> dict[str, Any]:
    pairs = zip(report.question.group_by, series.key, strict=False)
    return {
        "key": [{"by": title(group), "value": value} for group, value in pairs],
        "currency": series.currency,
        "amounts": series.amounts,
        "total": series.total,
        "share": series.share,
        "origins": series.origins,
        "charges": series.charges,
        "unpriced": series.unpriced,
    }
