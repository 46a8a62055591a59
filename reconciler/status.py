"""What a resource's status says: kstatus conditions, computed whole from a verdict and what was said before.

`Ready` is always there; `Reconciling` and `Stalled` only while true. A condition's transition time moves only
when its status, reason or message do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

Truth = Literal["True", "False", "Unknown"]

MAX_MESSAGE: Final = 1024
SUCCEEDED: Final = "Succeeded"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a resource stands: the `Ready` condition, and what is abnormal about it now.

    `progressing` means that work goes on or will be tried again; `stalled` that only a person can mend it.
    """

    ready: Truth
    reason: str
    message: str
    progressing: bool = False
    stalled: bool = False


def withheld(verdict: Verdict, wrong: str | None) -> Verdict:
    """The verdict on a resource that still is as it was last good, because its manifest is `wrong` now."""
    if wrong is None:
        return verdict
    message = f"{wrong}; until that is mended, what was last good stays in effect"
    return Verdict("False", "InvalidSettings", message, progressing=verdict.progressing, stalled=True)


def compose(
    before: Mapping[str, Any], verdict: Verdict, generation: int, now: datetime, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole status after `verdict`: `fields` replace those of `before`, a field of None goes away."""
    conditions = _conditions(before.get("conditions", ()), verdict, generation, now)
    kept = {**before, **fields, "observedGeneration": generation, "conditions": conditions}
    return {name: value for name, value in kept.items() if value is not None}


def ready(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The `Ready` condition of a status, or None before the first."""
    return next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), None)


def is_ready(status: Mapping[str, Any]) -> bool:
    """Whether a status says Ready=True."""
    said = ready(status)
    return said is not None and said["status"] == "True"


def moment(at: datetime | None) -> str | None:
    """A time as Kubernetes writes it."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _conditions(
    before: Sequence[Mapping[str, Any]], verdict: Verdict, generation: int, now: datetime
) -> list[dict[str, Any]]:
    wanted: list[tuple[str, Truth]] = [("Ready", verdict.ready)]
    if verdict.progressing:
        wanted.append(("Reconciling", "True"))
    if verdict.stalled:
        wanted.append(("Stalled", "True"))
    known = {condition["type"]: condition for condition in before}
    conditions = []
    for kind, truth in wanted:
        said = {"type": kind, "status": truth, "reason": verdict.reason, "message": verdict.message[:MAX_MESSAGE]}
        since = _since(known.get(kind), said) or moment(now)
        conditions.append({**said, "lastTransitionTime": since, "observedGeneration": generation})
    return conditions


def _since(before: Mapping[str, Any] | None, said: Mapping[str, str]) -> str | None:
    if before is None or any(before.get(name) != value for name, value in said.items()):
        return None
    return str(before["lastTransitionTime"])
