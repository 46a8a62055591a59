"""Reconciling a Budget: how it stands by what the ledger holds now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ledger import budgets, resources
from ledger.budgets import BudgetStanding, Terms
from ledger.money import plain
from ledger.resources import Ref
from ledger.window import DAY, midnight
from reconciler.case import Case, Outcome
from reconciler.deps import Deps
from reconciler.kinds.reading import read
from reconciler.sources.base import Key
from reconciler.status import Verdict


async def reconcile(case: Case, deps: Deps) -> Outcome:
    """Work out how the Budget stands; a changed one has its alerts compiled anew. Looked at again at midnight, UTC."""
    read(deps.kinds["Budget"], case.resource.spec)
    if case.changed:
        await _tell_alerts(case.ref, deps)
    now = deps.now()
    terms = Terms.of_spec(case.resource.spec)
    async with deps.db.transaction() as connection:
        (stood,) = await budgets.standings(connection, [(case.ref.namespace, terms)], now.date())
    return Outcome(_verdict(stood, terms), _fields(stood, terms), again=_until_midnight(now))


async def leave(ref: Ref, _spec: Mapping[str, Any], deps: Deps) -> bool:
    """The Budget is gone: alerts that name it are told."""
    await _tell_alerts(ref, deps)
    return True


async def _tell_alerts(ref: Ref, deps: Deps) -> None:
    for name in await resources.naming(deps.db, ref.namespace, "Alert", {"budgetRef": {"name": ref.name}}):
        deps.desks.wake(Key("Alert", ref.namespace, name))


def _verdict(stood: BudgetStanding, terms: Terms) -> Verdict:
    if not stood.providers:
        return Verdict("True", "NoProviders", "no Provider or ManualCost matches spec.scope; nothing counts")
    if stood.others:
        others = ", ".join(f"{plain(amount)} {currency}" for currency, amount in stood.others.items())
        return Verdict("True", "OtherCurrencies", f"{others} of the scope are not in {terms.currency} and do not count")
    return Verdict("True", "Current", f"all of the scope is in {terms.currency}")


def _fields(stood: BudgetStanding, terms: Terms) -> dict[str, Any]:
    standing = stood.standing
    share = standing.share
    return {
        "periodStart": standing.period.first.isoformat(),
        "periodEnd": standing.period.after_last.isoformat(),
        "spent": plain(standing.spent),
        "remaining": plain(standing.remaining),
        "share": None if share is None else plain(share),
        "used": None if share is None else f"{share * 100:.1f}%",
        "burnRate": None if standing.burn_rate is None else plain(standing.burn_rate),
        "projected": None if standing.projected is None else plain(standing.projected),
        "exhaustedOn": None if standing.exhausted_on is None else standing.exhausted_on.isoformat(),
        "completeThrough": None if standing.complete_through is None else standing.complete_through.isoformat(),
        "otherCurrencies": [{"amount": plain(a), "currency": c} for c, a in stood.others.items()] or None,
    }


def _until_midnight(now: datetime) -> timedelta:
    return midnight(now.date() + DAY) - now
