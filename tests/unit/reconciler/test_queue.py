"""The work queue: one key in flight once, nothing lost, failures later and later."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from reconciler.queue import WorkQueue

NEVER = timedelta(hours=1)


async def test_a_key_waits_once() -> None:
    """Adding a key that waits already changes nothing."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")

    assert await queue.get() == "a"
    assert len(queue) == 1


async def test_a_key_in_flight_comes_again_after() -> None:
    """Changes seen while it is worked on are not lost, and it is never worked on twice at a time."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("b")
    assert await queue.get() == "b"

    queue.done("a")

    assert await queue.get() == "a"


async def test_failures_come_back_later_and_later() -> None:
    """The delay doubles up to its limit, and starts anew after a success."""
    queue: WorkQueue[str] = WorkQueue(timedelta(minutes=1), timedelta(minutes=5))

    waits = [queue.failed("a") for _ in range(4)]
    queue.succeeded("a")

    assert waits == [timedelta(minutes=n) for n in (1, 2, 4, 5)]
    assert queue.failed("a") == timedelta(minutes=1)
    assert queue.failed("a", timedelta(minutes=30)) == timedelta(minutes=30)
    queue.close()
    assert queue.later == 0


async def test_a_key_comes_back_by_itself() -> None:
    """One added for later is worked on then."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", timedelta())

    async with asyncio.timeout(5):
        assert await queue.get() == "a"


async def test_adding_now_replaces_later() -> None:
    """A key that is due later and changes now is worked on once, now."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", NEVER)
    queue.add("a")

    assert await queue.get() == "a"
    assert queue.later == 0


async def test_idle_waits_for_work_under_way() -> None:
    """Idle means that nothing waits and nothing is being worked on."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    idle = asyncio.create_task(queue.idle())
    await asyncio.sleep(0)
    assert not idle.done()

    queue.add("a")
    queue.done("a")
    await queue.get()
    await asyncio.sleep(0)
    assert not idle.done()
    queue.done("a")

    async with asyncio.timeout(5):
        await idle
