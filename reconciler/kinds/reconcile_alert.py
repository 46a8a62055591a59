"""Reconciling an Alert: its rule compiled with the Budget that it names, and its levels shown as they stand.

Judging is not done here: the judge does it for all alerts at once, and names those that turned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ledger import resources
from ledger.alerts import book, evaluation
from ledger.alerts.book import Name, Standing
from ledger.alerts.rule import Rule
from ledger.resources import Ref
from reconciler.case import Case, Outcome
from reconciler.deps import Deps
from reconciler.kinds.alert import AlertSpec
from reconciler.kinds.budget import BudgetSpec
from reconciler.kinds.reading import read
from reconciler.status import Verdict, moment

SHOWN: Final = 64
ORDER: Final = ("Firing", "Pending", "NoData", "Retracted", "Resolved", "Ok")
"""States from the gravest on."""


async def reconcile(case: Case, deps: Deps) -> Outcome:
    """Keep the rule for the judge, and show how the levels stand. Raises what the spec is wrong in."""
    spec = read(deps.kinds["Alert"], case.resource.spec)
    assert isinstance(spec, AlertSpec)
    name = Name(case.ref.namespace, case.ref.name)
    if spec.kind == "Anomaly":
        await evaluation.retire(deps.db, name, deps.now(), "RuleChanged")
        return Outcome(Verdict("False", "NotYetSupported", "anomalies are not judged yet; use Spend or Forecast"))
    budget, missing = await _budget(spec, case.ref, deps)
    if missing is not None:
        await evaluation.retire(deps.db, name, deps.now(), "RuleChanged")
        return Outcome(missing, {"state": None, "firing": None, "levelStates": None})
    rule = spec.compiled(budget)
    async with deps.db.transaction() as connection:
        await book.keep(connection, name, case.generation, rule, deps.now())
        standings = await book.standings(connection, [book.Due(name, case.generation, rule)])
        unknown = await resources.unknown(connection, name.namespace, "Channel", rule.channels)
    return Outcome(_verdict(rule, unknown), _fields(standings))


async def leave(ref: Ref, _spec: Mapping[str, Any], deps: Deps) -> bool:
    """The Alert is gone: what fires has ended, and is told so."""
    await evaluation.retire(deps.db, Name(ref.namespace, ref.name), deps.now())
    return True


async def _budget(spec: AlertSpec, ref: Ref, deps: Deps) -> tuple[BudgetSpec | None, Verdict | None]:
    if spec.budget_ref is None:
        return None, None
    name = spec.budget_ref.name
    seen = await resources.find(deps.db, Ref(ref.namespace, "Budget", name))
    if seen is None:
        message = f"there is no Budget {name} in namespace {ref.namespace}; create it, or correct spec.budgetRef"
        return None, Verdict("False", "BudgetNotFound", message, stalled=True)
    budget = read(deps.kinds["Budget"], seen.spec)
    assert isinstance(budget, BudgetSpec)
    return budget, None


def _verdict(rule: Rule, unknown: Sequence[str]) -> Verdict:
    if unknown:
        names = ", ".join(unknown)
        message = f"there is no Channel {names} in the namespace; what it is to tell waits for it for a day"
        return Verdict("False", "ChannelNotFound", message, stalled=True)
    if not rule.channels:
        return Verdict("True", "Judged", "judged and shown; spec.channels names nobody to tell")
    return Verdict("True", "Judged", "judged after every sync that touches it")


def _fields(standings: Sequence[Standing]) -> dict[str, Any]:
    ordered = sorted(standings, key=lambda each: (ORDER.index(each.held.state), -each.period_first.toordinal()))
    firing = [_name(each) for each in ordered if each.held.state == "Firing"]
    shown = {_name(each): each for each in reversed(ordered) if each.held.state != "Ok"}
    return {
        "state": ordered[0].held.state if ordered else None,
        "firing": ", ".join(firing)[:4096] or None,
        "levelStates": [
            {
                "level": name,
                "state": each.held.state,
                "severity": each.held.level.severity,
                "since": moment(each.held.since),
            }
            for name, each in list(shown.items())[::-1][:SHOWN]
        ]
        or None,
    }


def _name(standing: Standing) -> str:
    level = standing.held.level.name
    return f"{level} {standing.subject}"[:512] if standing.subject else level
