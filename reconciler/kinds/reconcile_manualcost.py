"""Reconciling a ManualCost: its entries laid out on the calendar, as charges of origin `manual`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from ledger.charge import Charge
from ledger.recurrence import Entry, parts
from ledger.resources import Ref
from ledger.window import DAY, Span, Window, midnight
from reconciler import feeding
from reconciler.case import Case, Outcome
from reconciler.connectors.base import BATCH
from reconciler.deps import Deps
from reconciler.feeding import Feed
from reconciler.kinds.manualcost import ManualCostSpec, ManualEntry
from reconciler.kinds.reading import read
from reconciler.kinds.reconcile_provider import leave as leave_provider
from reconciler.sync import Ending, Sync

TYPE: Final = "manual"
ALL_WELL: Final = "every entry is laid out up to its current period"


async def reconcile(case: Case, deps: Deps) -> Outcome:
    """Make the ledger hold what the entries say, up to the end of each entry's current period."""
    spec = read(deps.kinds["ManualCost"], case.resource.spec)
    assert isinstance(spec, ManualCostSpec)
    known = await feeding.register(case, deps, case.account(TYPE))
    now = deps.now()
    why = feeding.trigger(case, known, now)
    if why is None:
        return feeding.as_it_was(known, ALL_WELL, now)
    return await feeding.feed(case, deps, known, why, _feed(case, spec))


async def leave(ref: Ref, spec: Mapping[str, Any], deps: Deps) -> bool:
    """The ManualCost is gone; its history stays unless it said otherwise."""
    return await leave_provider(ref, {**spec, "type": TYPE}, deps)


def charges(spec: ManualCostSpec, today: date) -> Iterator[Charge]:
    """Every charge that the entries come to, as seen on `today`."""
    for entry in spec.entries:
        due = Entry(entry.amount, spec.currency, entry.start, entry.end, entry.recurrence, entry.spread)
        for part in parts(due, today):
            yield _charge(spec, entry, part.start, part.end)._replace(
                billed_cost=part.amount, effective_cost=part.amount
            )


def _charge(spec: ManualCostSpec, entry: ManualEntry, start: date, end: date) -> Charge:
    return Charge(
        midnight(start),
        midnight(end),
        spec.currency,
        None,
        "manual",
        entry.service_name,
        entry.service_name,
        charge_category=entry.charge_category,
        charge_frequency="One-Time" if entry.recurrence == "None" else "Recurring",
        charge_description=entry.note,
        service_category=entry.service_category,
        sub_account_id=entry.sub_account,
        sku_id=entry.name,
        tags=entry.tags,
    )


def _feed(case: Case, spec: ManualCostSpec) -> Feed:
    async def work(sync: Sync) -> Ending:
        await sync.requests()  # one asked for by hand is this one, whatever period it named: all is laid out anew
        laid_out = list(charges(spec, sync.clock().date()))
        window = await _window(sync, laid_out)

        async def batches(_window: Window) -> AsyncIterator[Sequence[Charge]]:
            for at in range(0, len(laid_out), BATCH):
                yield laid_out[at : at + BATCH]

        return await sync.read([window] if window else [], batches, timedelta())

    return Feed(case.account(TYPE), ALL_WELL, _next_midnight, work)


async def _window(sync: Sync, laid_out: Sequence[Charge]) -> Window | None:
    """One window over everything that is or was laid out, so that what an edit takes away leaves the ledger."""
    known = await sync.pieces()
    starts = [piece.span.start for piece in known] + [charge.charge_period_start for charge in laid_out]
    ends = [piece.span.end for piece in known] + [charge.charge_period_start + DAY for charge in laid_out]
    return Window(Span(min(starts), max(ends))) if starts else None


def _next_midnight(now: datetime) -> datetime:
    return midnight(now.astimezone(UTC).date()) + DAY
