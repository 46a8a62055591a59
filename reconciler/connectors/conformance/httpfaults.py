"""Conformance: whatever a vendor's server does, a window is read whole or not at all, and the error says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.connectors.conformance.harness import Hooks, Stage
from reconciler.connectors.http import HttpLimits
from reconciler.connectors.scripted import Reply, Request
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater

HTML = Reply(body=b"<html>Please sign in</html>", headers={"Content-Type": "text/html"})
SHAPES = ("{}", "[]", "null", '"text"', "0", '{"data":null}', '{"data":[null]}', '{"data":[{"results":[{}]}]}')


def refusal(status: int) -> Callable[[Request], Reply]:
    """A refusal that repeats what it was sent, credentials and all, as careless servers do."""

    def reply(request: Request) -> Reply:
        said = f"refused {request.target} with {dict(request.headers)}"
        return Reply.json({"error": {"message": said, "type": "refused"}, "detail": said}, status=status)

    return reply


class HttpFaults(Hooks):
    """What holds for every connector that asks a server."""

    pytestmark = pytest.mark.asyncio

    async def test_pages_are_walked(self, tmp_path: Path) -> None:
        """The scripted vendor really answers in several pages, so that the sums above prove something."""
        if not self.paged:
            pytest.skip("this vendor does not page")
        async with self.stage(tmp_path, self.some_lines()) as stage:
            await stage.sync()
            asked = Counter(request.path for request in stage.server.requests)
            assert max(asked.values()) > 1, f"no path was asked for a second page: {asked}"

    async def test_check_of_a_good_key(self, tmp_path: Path) -> None:
        """`check` is content with a credential that the vendor accepts."""
        async with self.stage(tmp_path, []) as stage, stage.opened() as connector:
            await connector.check()

    @pytest.mark.parametrize("status", [401, 403])
    async def test_check_of_a_refused_key(self, status: int, tmp_path: Path) -> None:
        """`check` asks for a person when the vendor refuses the credential, and does not try again and again."""
        async with self.stage(tmp_path, []) as stage:
            stage.server.fail(refusal(status))
            async with stage.opened() as connector:
                with pytest.raises(NeedsPerson) as caught:
                    await connector.check()
            stage.inspect(caught.value)
            assert not stage.waits

    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    async def test_refused_at_any_request(self, status: int, tmp_path: Path) -> None:
        """A refusal of any single request leaves either no window or the whole window."""
        await self._whole_or_nothing(tmp_path, refusal(status))

    @pytest.mark.parametrize("status", [401, 403])
    async def test_refused_altogether(self, status: int, tmp_path: Path) -> None:
        """A credential that is refused for billing data needs a person."""
        async with self.stage(tmp_path, self.some_lines()) as stage:
            stage.server.fail(refusal(status))
            assert isinstance(await stage.failed_sync(), NeedsPerson)
            assert not stage.stored

    @pytest.mark.parametrize("after", [None, "7"])
    async def test_rate_limited_for_a_moment(self, after: str | None, tmp_path: Path) -> None:
        """After a 429 the connector waits, at least as long as it is told to, and goes on."""
        lines = self.some_lines()
        async with self.stage(tmp_path, lines) as stage:
            stage.server.fail(Reply(status=429, headers={"Retry-After": after} if after else {}), times=1)
            await stage.sync()
            assert stage.totals() == stage.expected(lines)
            assert stage.waits
            assert stage.waits[0] >= float(after or 0)

    async def test_rate_limited_for_long(self, tmp_path: Path) -> None:
        """A Retry-After of an hour is not waited for: the run ends and says when to come back."""
        async with self.stage(tmp_path, self.some_lines()) as stage:
            stage.server.fail(Reply(status=429, headers={"Retry-After": "3600"}))
            error = await stage.failed_sync()
            assert isinstance(error, RetryLater)
            assert error.after == timedelta(hours=1)
            assert error.reason == "RateLimited"
            assert not stage.waits

    @pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
    async def test_server_errors_pass(self, status: int, tmp_path: Path) -> None:
        """Two server errors in a row are waited out."""
        lines = self.some_lines()
        async with self.stage(tmp_path, lines) as stage:
            stage.server.fail(Reply(status=status), times=2)
            await stage.sync()
            assert stage.totals() == stage.expected(lines)
            assert len(stage.waits) == 2

    @pytest.mark.parametrize("status", [429, 500, 503])
    async def test_server_errors_for_ever(self, status: int, tmp_path: Path) -> None:
        """A server that never recovers is given up, until later, after a bounded number of attempts."""
        async with self.stage(tmp_path, self.some_lines()) as stage:
            stage.server.fail(refusal(status))
            assert isinstance(await stage.failed_sync(), RetryLater)
            assert 0 < len(stage.waits) < 20
            assert not stage.stored

    async def test_silence(self, tmp_path: Path) -> None:
        """A server that accepts requests and never answers is given up, until later."""
        async with self.stage(tmp_path, self.some_lines()) as stage:
            stage.server.fail(Reply(hold=True))
            stage.limits = HttpLimits(read=0.05, attempts=2)
            assert isinstance(await stage.failed_sync(), RetryLater)

    async def test_answers_that_break_off(self, tmp_path: Path) -> None:
        """A body that ends early, at any request, is asked for again; one that always does ends the run."""
        cut = Reply(body=b'{"data": [' + b" " * 1000, headers={"Content-Type": "application/json"}, cut=12)
        await self._whole_or_nothing(tmp_path, cut)
        async with self.stage(tmp_path, self.some_lines()) as stage:
            stage.server.fail(cut)
            assert isinstance(await stage.failed_sync(), RetryLater | Bug)

    async def test_not_json(self, tmp_path: Path) -> None:
        """A web page where JSON was due, at any request, is not read as an empty answer."""
        await self._whole_or_nothing(tmp_path, HTML)

    @pytest.mark.parametrize("shape", SHAPES)
    async def test_json_of_another_shape(self, shape: str, tmp_path: Path) -> None:
        """JSON that is not the documented answer, at any request, is reported, and never read as no charges."""
        await self._whole_or_nothing(tmp_path, Reply(body=shape.encode(), headers={"Content-Type": "application/json"}))

    async def test_pages_without_end(self, tmp_path: Path) -> None:
        """A cursor that leads back to where it came from ends the run."""
        if not self.paged:
            pytest.skip("this vendor does not page")
        async with self.stage(tmp_path, self.some_lines()) as stage:
            stage.server.replay()
            error = await stage.failed_sync()
            assert isinstance(error, Bug)
            assert error.reason == "CursorLoop"
            assert not stage.stored

    async def test_the_call_budget_holds(self, tmp_path: Path) -> None:
        """When the day's calls are used up no further call is made, and the error says so."""
        async with self.stage(tmp_path, self.some_lines()) as whole:
            await whole.sync()
            needed = len(whole.server.requests)
            stage = Stage(self, whole.server, tmp_path, per_day=min(1, needed - 1))
            error = await stage.failed_sync()
            assert error.reason == "CallBudgetSpent"
            assert len(stage.server.requests) == needed + min(1, needed - 1)

    async def _whole_or_nothing(self, folder: Path, fault: Reply | Callable[[Request], Reply]) -> None:
        """Put `fault` in place of each request of a sync in turn: all windows stored are whole, or there are none."""
        lines = self.some_lines()
        async with self.stage(folder, lines) as first:
            await first.sync()
            requests = len(first.server.requests)
            for number in range(1, requests + 1):
                stage = Stage(self, first.server, folder)
                first.server.fail(fault, nth=number)
                if await self._ended_well(stage):
                    assert stage.totals() == stage.expected(lines), f"figures are missing after request {number} failed"
                else:
                    whole = stage.expected(lines)
                    assert stage.totals().items() <= whole.items(), f"a part was stored; request {number} failed"

    @staticmethod
    async def _ended_well(stage: Stage) -> bool:
        try:
            await stage.sync()
        except ReconcilerError as error:
            stage.inspect(error)
            return False
        return True
