"""What the reconciler tells of itself: every look counted by how it ended, and nothing that grows without end."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from prometheus_client import generate_latest

from ledger.resources import Ref
from reconciler.case import Case, Outcome
from reconciler.deps import Deps
from reconciler.engine import HANDLERS, Handler
from reconciler.errors import NeedsPerson, RetryLater
from reconciler.queue import WorkQueue
from reconciler.sources.base import Key
from reconciler.status import Verdict
from reconciler.vitals import OUTCOMES, Vitals

NOW = datetime(2026, 10, 2, tzinfo=UTC).timestamp()
UNUSED = cast(Any, None)


class Script:
    """A reconcile function that answers, or raises, what it is told."""

    def __init__(self) -> None:
        self.next: Outcome | Exception = Outcome(None)

    async def reconcile(self, _case: Case, _deps: Deps) -> Outcome:
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    async def leave(self, _ref: Ref, _spec: Any, _deps: Deps) -> bool:
        return True


def outcomes(vitals: Vitals) -> dict[str, float]:
    """How often each outcome of the kind Provider was counted; those that never were are left out."""
    said = {name: vitals.registry.get_sample_value("costhook_reconciles_total", _of(name)) for name in OUTCOMES}
    return {name: count for name, count in said.items() if count}


def _of(outcome: str) -> dict[str, str]:
    return {"kind": "Provider", "outcome": outcome}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Outcome(Verdict("True", "Succeeded", "")), "Ready"),
        (Outcome(Verdict("False", "Suspended", "")), "NotReady"),
        (Outcome(Verdict("False", "RateLimited", "", progressing=True)), "Retrying"),
        (Outcome(Verdict("False", "Unauthorized", "", stalled=True)), "Stalled"),
        (Outcome(None, again=timedelta(seconds=1)), "Deferred"),
        (Outcome(None, waits=True), "Deferred"),
        (RetryLater("soon"), "Retrying"),
        (NeedsPerson("mend it"), "Stalled"),
        (ZeroDivisionError(), "Crashed"),
    ],
)
async def test_every_look_is_counted_by_its_outcome(answer: Outcome | Exception, outcome: str) -> None:
    """An answer is passed on as it is, an error too; both are counted once, and timed."""
    vitals, script = Vitals(), Script()
    [handler] = vitals.counting({"Provider": Handler(script.reconcile, script.leave)}).values()
    script.next = answer

    if isinstance(answer, Exception):
        with pytest.raises(type(answer)):
            await handler.reconcile(UNUSED, UNUSED)
    else:
        assert await handler.reconcile(UNUSED, UNUSED) is answer

    assert outcomes(vitals) == {outcome: 1}
    timed = vitals.registry.get_sample_value("costhook_reconcile_duration_seconds_count", {"kind": "Provider"})
    assert timed == 1


async def test_what_goes_is_counted() -> None:
    """A resource that is deleted is one more look, and its answer is passed on."""
    vitals, script = Vitals(), Script()
    [handler] = vitals.counting({"Provider": Handler(script.reconcile, script.leave)}).values()

    assert await handler.leave(UNUSED, {}, UNUSED) is True
    assert outcomes(vitals) == {"Deleted": 1}


async def test_the_queue_is_told_as_it_is() -> None:
    """Who waits, who is being looked at and who comes back later are told apart."""
    vitals, queue = Vitals(), WorkQueue[Key]()
    vitals.watch(queue, lambda: {("Provider", "team-a"): NOW})
    for name in ("a", "b", "c"):
        queue.add(Key("Provider", "team-a", name))
    queue.add_after(Key("Provider", "team-a", "d"), timedelta(hours=1))
    await queue.get()

    read = vitals.registry.get_sample_value
    assert (read("costhook_queue_depth"), read("costhook_reconciles_in_flight"), read("costhook_queue_scheduled")) == (
        2,
        1,
        1,
    )
    labels = {"kind": "Provider", "watched_namespace": "team-a"}
    assert read("costhook_watch_begun_timestamp_seconds", labels) == NOW
    queue.close()


async def test_odd_methods_share_a_series() -> None:
    """Calls are counted by method and status; a method that is not ours does not make series."""
    vitals = Vitals()
    for method, status in (("GET", 200), ("GET", 200), ("PATCH", 0), ("BREW", 418), ("WHEN", 418)):
        vitals.called(method, status)

    read = vitals.registry.get_sample_value
    assert read("costhook_kubernetes_requests_total", {"method": "GET", "status": "200"}) == 2
    assert read("costhook_kubernetes_requests_total", {"method": "PATCH", "status": "0"}) == 1
    assert read("costhook_kubernetes_requests_total", {"method": "other", "status": "418"}) == 2


@pytest.mark.skipif(
    shutil.which("promtool") is None and "COSTHOOK_REQUIRE_PROGRAMS" not in os.environ,
    reason="promtool is missing: apt-get install prometheus",
)
def test_prometheus_own_checker_finds_no_fault() -> None:
    """`promtool check metrics` accepts names, help texts and format."""
    vitals = Vitals()
    vitals.counting(HANDLERS)
    vitals.called("GET", 200)
    vitals.watch(WorkQueue(), lambda: {("Provider", ""): NOW})

    done = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(vitals.registry), capture_output=True, check=False
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
