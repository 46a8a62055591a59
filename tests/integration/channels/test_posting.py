"""What every receiver reached over HTTP has in common: one attempt, faults in words, and no secret in them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from reconciler.channels.opening import credentials_of, opened
from reconciler.channels.registry import CHANNELS
from reconciler.connectors.http import HttpLimits
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.channels.receivers import SECRET, plain
from tests.integration.channels.talk import HERE, deliver, refused
from tests.unit.channels.messages import FIRING, NOW

KEY = "key-0123456789-abcdef"
QUICK = HttpLimits(connect=1, read=0.2, total=0.3, attempts=1)


@dataclass(frozen=True)
class Way:
    """How one type of channel is told of a server: its Secret and its block."""

    type: str
    secret: Callable[[str], Mapping[str, str]]
    block: Callable[[str], Mapping[str, Any]] = lambda url: {}

    def quoted(self, url: str) -> str:
        """What a receiver says that quotes all it was told in confidence, whole and in parts."""
        values = self.secret(url).values()
        parts = [part for value in values for part in value.split("?")[0].split("/")[4:]]
        return " ".join(["no_service for", *values, *parts])

    async def error(self, server: ScriptedServer, **named: Any) -> ReconcilerError:
        return await refused(self.type, [FIRING], self.secret(server.url), self.block(server.url), **named)


def in_secret(url: str) -> Mapping[str, str]:
    return {"url": f"{url}/services/{SECRET}?sig={KEY}"}


def mail(via: str, **more: Any) -> Callable[[str], Mapping[str, Any]]:
    return lambda url: {"from": "a@example.com", "to": ["b@example.com"], "via": via, "baseURL": url, **more}


def api_key(url: str) -> Mapping[str, str]:
    return {"apiKey": KEY}


WAYS = {
    "slack": Way("slack", in_secret),
    "discord": Way("discord", in_secret),
    "teams": Way("teams", in_secret),
    "webhook": Way("webhook", lambda url: {**in_secret(url), "signingKey": KEY, "token": KEY}),
    "resend": Way("email", api_key, mail("resend")),
    "sendgrid": Way("email", api_key, mail("sendgrid")),
    "mailgun": Way("email", api_key, mail("mailgun", mailgun={"domain": "mg.example.com"})),
    "alertmanager": Way("alertmanager", lambda url: {"token": KEY}, lambda url: {"url": url}),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def assert_silent(error: BaseException) -> None:
    """No part of the error, as programs and people see it, holds a secret."""
    seen = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    assert not [part for part in (KEY, *SECRET.split("/")) if part in seen]


@pytest.mark.parametrize("status", [500, 502, 503, 408])
async def test_faults_of_the_receiver_are_for_later(way: Way, status: int) -> None:
    """A receiver's own fault is worth another try, which is not made within this delivery."""
    async with ScriptedServer() as server:
        server.fail(plain(way.quoted(server.url), status))
        error = await way.error(server)

        assert isinstance(error, RetryLater)
        assert len(server.requests) == 1
        assert_silent(error)


async def test_a_rate_limit_says_how_long_to_wait(way: Way) -> None:
    """429 with Retry-After keeps what the receiver asks for."""
    async with ScriptedServer() as server:
        server.fail(Reply.json({"message": "rate limited", "retry_after": 7.0}, 429, {"Retry-After": "7"}))
        error = await way.error(server)

    assert isinstance(error, RetryLater)
    assert (error.reason, error.after) == ("RateLimited", timedelta(seconds=7))


@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, "MessageRefused"), (401, "Unauthorized"), (403, "Forbidden"), (404, "ReceiverGone"), (410, "ReceiverGone")],
)
async def test_refusals_need_a_person(way: Way, status: int, reason: str) -> None:
    """What would be refused again says why, in the receiver's words and without its address."""
    async with ScriptedServer() as server:
        server.fail(plain(way.quoted(server.url), status))
        error = await way.error(server)

    assert isinstance(error, NeedsPerson)
    assert error.reason == reason
    assert "no_service" in str(error)
    assert_silent(error)


async def test_slowness_is_for_later(way: Way) -> None:
    """A receiver that never answers is given up within the bounds of a delivery."""
    async with ScriptedServer() as server:
        server.fail(Reply(hold=True))
        error = await way.error(server, limits=QUICK)

    assert isinstance(error, RetryLater)
    assert_silent(error)


async def test_an_answer_that_breaks_off_is_for_later(way: Way) -> None:
    """A connection that ends before the answer does is worth another try."""
    async with ScriptedServer() as server:
        server.fail(Reply(503, b"trouble", cut=2))
        error = await way.error(server)

    assert isinstance(error, RetryLater)


@pytest.mark.parametrize("name", sorted(set(WAYS) - {"webhook", "sendgrid", "alertmanager"}))
async def test_a_web_page_is_no_receipt(name: str) -> None:
    """A page of a proxy or of a login, with 200, does not pass for a delivery."""
    async with ScriptedServer() as server:
        server.fail(Reply(200, b"<!doctype html><html>Sign in</html>", {"Content-Type": "text/html"}))
        error = await WAYS[name].error(server)

    assert isinstance(error, Bug)
    assert_silent(error)


async def test_redirects_are_not_followed_with_a_message(way: Way) -> None:
    """A message goes where it was meant to go, and not where an answer points to."""
    async with ScriptedServer() as elsewhere, ScriptedServer() as server:
        elsewhere.route("POST", "*", lambda request: plain("ok"))
        server.fail(Reply(302, headers={"Location": f"{elsewhere.url}/x"}))
        error = await way.error(server)

        assert isinstance(error, NeedsPerson)
        assert error.reason == "RedirectRefused"
        assert not elsewhere.requests
        assert_silent(error)


async def test_an_unreachable_receiver_is_for_later(way: Way) -> None:
    """A receiver that is down is worth another try."""
    async with ScriptedServer() as server:
        url = server.url
    error = await refused(way.type, [FIRING], way.secret(url), way.block(url))

    assert isinstance(error, RetryLater)
    assert_silent(error)


@pytest.mark.parametrize("address", ["http://10.0.0.1/x", "https://169.254.169.254/x", "https://2130706433/x"])
async def test_addresses_are_judged_before_anything_is_sent(address: str) -> None:
    """A Secret's URL is no way into the network that the program runs in."""
    error = await refused("webhook", [FIRING], {"url": address})

    assert isinstance(error, NeedsPerson)
    assert error.reason == "EgressRefused"


@pytest.mark.parametrize("name", ["slack", "discord", "teams", "webhook"])
@pytest.mark.parametrize(
    "url",
    [
        f"hooks.slack.com/services/{SECRET}",
        f"/services/{SECRET}?sig={KEY}",
        f"https://{'x' * 400}.example.com:99999/{SECRET}?sig={KEY}",
        f"https://[::1/{SECRET}",
        f"https:///{SECRET}",
        f"https://user:{KEY}@hooks.example.com/{SECRET}",
        f"ftp://hooks.example.com/{SECRET}",
        f"https://hooks.example.com/{SECRET}\n{KEY}",
    ],
    ids=["no scheme", "no host", "no port", "no address", "no name", "a password", "another scheme", "two lines"],
)
async def test_a_url_that_is_none_is_not_repeated(name: str, url: str) -> None:
    """A URL that was copied wrongly into the Secret needs a person, who is not shown it."""
    error = await refused(name, [FIRING], {"url": url})

    assert isinstance(error, NeedsPerson | RetryLater)
    assert_silent(error)


@pytest.mark.parametrize("name", ["slack", "discord", "teams", "webhook", "resend", "sendgrid", "mailgun"])
async def test_a_missing_key_of_the_secret_is_named(name: str) -> None:
    """The message says which key is missing and what belongs there."""
    way = WAYS[name]
    error = await refused(way.type, [FIRING], {}, way.block("https://example.com"))

    assert error.reason == "SecretNotFound"
    assert "has no key" in str(error)


async def test_no_log_and_no_repr_holds_a_secret(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    """At the finest level of every logger, and in what a debugger shows of a channel, there is no secret."""
    caplog.set_level(logging.DEBUG)
    kind = CHANNELS[way.type]
    async with ScriptedServer() as server:
        server.fail(plain("not today", 503))
        settings = kind.Settings.model_validate(way.block(server.url))
        credentials = credentials_of(kind, settings, way.secret(server.url))
        async with opened(kind, settings, credentials, policy=HERE, clock=lambda: NOW) as channel:
            with pytest.raises(RetryLater):
                await channel.send([FIRING])
            seen = caplog.text + repr(channel) + repr(vars(channel)) + repr(credentials)

    assert not [part for part in (KEY, *SECRET.split("/")) if part in seen]


async def test_the_secret_may_hold_line_breaks_around_its_values() -> None:
    """A URL that was put into the Secret with `echo` works."""
    async with ScriptedServer() as server:
        server.route("POST", "/x", lambda request: plain("ok"))

        receipt = await deliver("slack", [FIRING], {"url": f"{server.url}/x\n"})

    assert receipt.text == "ok"
