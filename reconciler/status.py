"""What a resource's status says: kstatus conditions, computed whole from a verdict and what was said before.

`Ready` is always there; `Reconciling`, `Stalled` and remarks only while true. A condition's transition time moves only
when its status, reason or message do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

Truth = Literal["True", "False", "Unknown"]
Said = tuple[str, Truth, str, str]
"""Type, status, reason and message of a condition."""

MAX_MESSAGE: Final = 1024
SUCCEEDED: Final = "Succeeded"
DOUBLE_COUNTED: Final = "DoubleCounted"


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


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is so whatever `Ready` says: a condition of its own, there only while it is true."""

    type: str
    reason: str
    message: str


def withheld(verdict: Verdict, wrong: str | None) -> Verdict:
    """The verdict on a resource that still is as it was last good, because its manifest is `wrong` now."""
    if wrong is None:
        return verdict
    message = f"{wrong}; until that is mended, what was last good stays in effect"
    return Verdict("False", "InvalidSettings", message, progressing=verdict.progressing, stalled=True)


def compose(
    before: Mapping[str, Any],
    verdict: Verdict,
    generation: int,
    now: datetime,
    fields: Mapping[str, Any],
    remarks: Sequence[Remark] | None = None,
) -> dict[str, Any]:
    """The whole status after `verdict`: `fields` replace those of `before`, a field of None goes away.

    `remarks` replace those of before; None leaves them.
    """
    known = before.get("conditions", ())
    beside = _kept(known) if remarks is None else remarks
    conditions = _conditions(known, [*_said(verdict), *map(_remarked, beside)], generation, now)
    kept = {**before, **fields, "observedGeneration": generation, "conditions": conditions}
    return {name: value for name, value in kept.items() if value is not None}


def ready(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The `Ready` condition of a status, or None before the first."""
    return next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), None)


def is_ready(status: Mapping[str, Any]) -> bool:
    """Whether a status says Ready=True."""
    said = ready(status)
    return said is not None and said["status"] == "True"


def new_remarks(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Remark]:
    """What is remarked on in `after`, and was not in `before`."""
    known = {remark.type for remark in _kept(before.get("conditions", ()))}
    return [remark for remark in _kept(after.get("conditions", ())) if remark.type not in known]


def moment(at: datetime | None) -> str | None:
    """A time as Kubernetes writes it."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _said(verdict: Verdict) -> Iterator[Said]:
    yield "Ready", verdict.ready, verdict.reason, verdict.message
    if verdict.progressing:
        yield "Reconciling", "True", verdict.reason, verdict.message
    if verdict.stalled:
        yield "Stalled", "True", verdict.reason, verdict.message


def _remarked(remark: Remark) -> Said:
    return remark.type, "True", remark.reason, remark.message


def _kept(before: Sequence[Mapping[str, Any]]) -> list[Remark]:
    return [Remark(each["type"], each["reason"], each["message"]) for each in before if each["type"] == DOUBLE_COUNTED]


def _conditions(
    before: Sequence[Mapping[str, Any]], wanted: Iterable[Said], generation: int, now: datetime
) -> list[dict[str, Any]]:
    known = {condition["type"]: condition for condition in before}
    conditions = []
    for kind, truth, reason, message in wanted:
        said = {"type": kind, "status": truth, "reason": reason, "message": message[:MAX_MESSAGE]}
        since = _since(known.get(kind), said) or moment(now)
        conditions.append({**said, "lastTransitionTime": since, "observedGeneration": generation})
    return conditions


def _since(before: Mapping[str, Any] | None, said: Mapping[str, str]) -> str | None:
    if before is None or any(before.get(name) != value for name, value in said.items()):
        return None
    return str(before["lastTransitionTime"])
