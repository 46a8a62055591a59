"""What Provider and ManualCost have in common: both feed the ledger under their name, by syncs that come due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from ledger import accounts, billed_accounts, turns
from ledger.accounts import Account
from ledger.errors import LedgerError
from ledger.errors import NeedsPerson as LedgerNeedsPerson
from ledger.errors import RetryLater as LedgerRetryLater
from ledger.money import plain
from ledger.runs import Trigger
from ledger.standing import Standing, standing
from ledger.turns import Missed, Wish
from reconciler.case import Case, Outcome
from reconciler.deps import Deps
from reconciler.doubles import remarks
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater
from reconciler.sources.base import SecretMissing
from reconciler.status import SUCCEEDED, Verdict, moment
from reconciler.sync import Canceled, Ending, Sync, under_lease

log = structlog.get_logger()

WRITING: Final = timedelta(seconds=3)
"""Within this time a process has surely shown the status of a sync that it ended."""
LOOK_AGAIN: Final = timedelta(seconds=1)
SUSPENDED: Final = Verdict("False", "Suspended", "spec.suspend is true: nothing is synced until it is false")


@dataclass(frozen=True, slots=True)
class Feed:
    """An account and how its syncs come due. `message` is said when all went well; `vendor` is who will be asked."""

    account: Account
    message: str
    next_after: Callable[[datetime], datetime]
    work: Callable[[Sync], Awaitable[Ending]]
    vendor: str | None = None


async def register(case: Case, deps: Deps, account: Account) -> Standing:
    """Make the account known to the ledger; its standing now. Raises NameTaken."""
    await accounts.register(deps.db, account, deps.now())
    found = await _standing(deps, account)
    assert found is not None
    return found


async def _standing(deps: Deps, account: Account) -> Standing | None:
    """How the account stands, once it is noted which of the vendors' accounts its charges are of."""
    today = deps.now().date()
    found = await standing(deps.db, account.namespace, account.name, today)
    if found is None or not found.is_unsorted:
        return found
    if not await billed_accounts.note(deps.db, account.namespace, account.name, today):
        return found
    return await standing(deps.db, account.namespace, account.name, today)


def trigger(case: Case, known: Standing, now: datetime) -> Trigger | None:
    """Why a sync is due now; None when none is."""
    if known.last_sync_at is None and case.changed:
        return "First"
    if case.changed:
        return "SpecChange"
    if case.forced or case.asked or known.asked:
        return "Manual"
    if known.next_sync_at is None or known.next_sync_at <= now:
        return "Schedule"
    return None


async def feed(case: Case, deps: Deps, known: Standing, why: Trigger, plan: Feed) -> Outcome:
    """Sync, as soon as there is a place at the vendor's desk; the key is named again when there is one."""
    if plan.vendor is None:
        return await _feed(case, deps, known, why, plan)
    if not deps.desks.take(plan.vendor, case.resource.key):
        return Outcome(None, waits=True)
    try:
        return await _feed(case, deps, known, why, plan)
    finally:
        deps.desks.leave(plan.vendor)


async def _feed(case: Case, deps: Deps, known: Standing, why: Trigger, plan: Feed) -> Outcome:
    """Sync under the provider's lease, and say how it went.

    Another process's sync is left to it, and one that ended since the resource was read is looked at first.
    """
    account = plan.account
    if not (case.forced or known.asked) and _may_be_news(known, account, deps):
        return Outcome(None, again=LOOK_AGAIN)
    wish = Wish(account.namespace, account.name, deps.holder, deps.lease_ttl, why, known.ended_at)
    turn = await turns.begin(deps.db, wish, deps.now())
    if isinstance(turn, Missed):
        return Outcome(None, again=deps.lease_ttl / 4 if turn is Missed.BUSY else LOOK_AGAIN)
    async with _told(case, deps):
        ending = await under_lease(deps.db, turn, deps.clock, plan.work, partial(_next, plan))
    now = deps.now()
    after = await _standing(deps, account)
    if after is not None and after.ended_at is not None:
        deps.syncs_ended[account.namespace, account.name] = after.ended_at
    fields = {**figures(after, ending.next_at), **ending.fields, "lastHandledReconcileAt": case.requested_at}
    again = None if ending.next_at is None else ending.next_at - now
    if ending.error is None:
        outcome = Outcome(Verdict("True", SUCCEEDED, plan.message), fields, again=again)
    else:
        outcome = failure(ending.error, fields, again)
    return replace(outcome, remarks=remarks(after))


def _next(plan: Feed, ending: Ending, now: datetime) -> datetime:
    return now if retries(ending.error) else plan.next_after(now)


@asynccontextmanager
async def _told(case: Case, deps: Deps) -> AsyncIterator[None]:
    """Show that the first sync is under way, unless the block ends before anybody would miss it."""
    if case.before.get("conditions") is not None:
        yield
        return
    ended = asyncio.Event()
    telling = asyncio.create_task(_tell(case, deps.patience, ended))
    try:
        yield
        ended.set()
        await telling
    finally:
        telling.cancel()


async def _tell(case: Case, patience: timedelta, ended: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(patience.total_seconds()):
            await ended.wait()
    except TimeoutError:
        try:
            await case.show(Verdict("Unknown", "Progressing", "the first sync is under way", progressing=True))
        except (ReconcilerError, LedgerError) as error:  # what the sync comes to is shown in any case
            log.warning("progress is not shown", key=str(case.resource.key), error=str(error))


def _may_be_news(known: Standing, account: Account, deps: Deps) -> bool:
    """Whether another process has just ended a sync, and may not have shown yet what it came to. True once a sync."""
    name = account.namespace, account.name
    if known.ended_at is None or known.ended_at == deps.syncs_ended.get(name):
        return False
    deps.syncs_ended[name] = known.ended_at
    return abs(deps.now() - known.ended_at) < WRITING


def as_it_was(known: Standing, message: str, now: datetime) -> Outcome:
    """How a resource stands when no sync is due: as its last one ended, also if nobody lived to write that down."""
    again = known.next_sync_at - now if known.next_sync_at is not None else None
    fields = figures(known, known.next_sync_at)
    said = Verdict("True", SUCCEEDED, message)
    if known.outcome != "Succeeded" or known.reason is not None:
        stalled = known.outcome in ("Failed", "Succeeded")
        said = Verdict("False", known.reason or "Failed", known.error or "", stalled=stalled)
    return Outcome(said, fields, remarks(known), again)


def failure(
    error: ReconcilerError | LedgerError, fields: Mapping[str, Any] | None = None, again: timedelta | None = None
) -> Outcome:
    """How a resource stands after an error: to be tried again soon, or stalled until a person mends it.

    A Secret that is missing is looked for again: no source tells when one appears that nothing was known of.
    """
    said = verdict(error)
    if retries(error) or isinstance(error, SecretMissing):
        return Outcome(said, fields or {}, again=getattr(error, "after", None), failed=True)
    return Outcome(said, fields or {}, again=again)


def verdict(error: ReconcilerError | LedgerError) -> Verdict:
    """The conditions that an error leads to."""
    needs_person = isinstance(error, NeedsPerson | LedgerNeedsPerson)
    return Verdict("False", error.reason, str(error), progressing=retries(error), stalled=needs_person)


def retries(error: ReconcilerError | LedgerError | None) -> bool:
    """Whether the same may succeed soon without anybody doing anything."""
    return isinstance(error, RetryLater | LedgerRetryLater) and not isinstance(error, Canceled)


def figures(known: Standing | None, next_at: datetime | None) -> dict[str, Any]:
    """Status fields of a standing."""
    if known is None:
        return {}
    through = known.complete_through
    return {
        "completeThrough": None if through is None else through.isoformat(),
        "lastSyncTime": moment(known.last_sync_at),
        "nextSyncTime": moment(next_at),
        "monthToDate": [{"amount": plain(a), "currency": c} for c, a in known.month_to_date.items()],
        "spend": ", ".join(f"{plain(a)} {c}" for c, a in known.month_to_date.items()) or None,
        "unpricedLines": known.unpriced or None,
    }
