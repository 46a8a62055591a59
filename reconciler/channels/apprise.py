"""Any of the services that the library Apprise knows, by its kind of URL: https://github.com/caronc/apprise/wiki.

Apprise's plugins bring their own ways to connect, and no URL says where they will: a mail plugin is told its server
by a parameter, others follow what a server answers. So each delivery runs in a process of its own
(reconciler.channels.apprise_process), in which every connection is judged by the egress policy as it is made, and
which is ended when it takes too long. docs/adr/0009-channels.md says why.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reconciler.channels.base import Channel, ChannelTraits, CredentialKey, Receipt, Settings
from reconciler.channels.message import Message
from reconciler.channels.posting import dumped
from reconciler.channels.rendering import subject, text
from reconciler.connectors.egress import EgressRefused
from reconciler.errors import Bug, NeedsPerson, RetryLater

PATIENCE: Final = 60.0
"""Seconds for a whole delivery."""
KEPT: Final = ("LANG", "LC_ALL", "PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ")
"""What of the environment the process is given: no proxies, which would connect for it, and no secrets."""
PROCESS: Final = (sys.executable, "-I", "-m", "reconciler.channels.apprise_process")
TYPES: Final = {"info": "info", "warning": "warning", "critical": "failure"}


class AppriseChannel(Channel[Settings]):
    """One notification by the plugin that the URL names."""

    traits = ChannelTraits(
        type="apprise",
        title="Apprise",
        credentials=(CredentialKey("url", "an Apprise URL, such as tgram://TOKEN/CHAT or ntfys://host/topic"),),
    )

    async def send(self, messages: Sequence[Message]) -> Receipt:
        url = self.context.credentials["url"]
        self.http.hide(url, *re.split(r"[/?&=@:#]+", url.partition("://")[2]))
        answer = await _run(self._asked(url, messages))
        self._judge(answer)
        return Receipt(text=f"delivered by {answer.get('service', 'Apprise')}")

    def _asked(self, url: str, messages: Sequence[Message]) -> dict[str, Any]:
        policy = self.context.policy
        firing = [TYPES[message.severity] for message in messages if message.what == "firing"]
        return {
            "url": url,
            "title": subject(messages),
            "body": text(messages),
            "type": next((type_ for type_ in ("failure", "warning", "info") if type_ in firing), "success"),
            "allowed_hosts": policy.allowed_hosts,
            "allow_loopback": policy.allow_loopback,
        }

    def _judge(self, answer: Mapping[str, Any]) -> None:
        """Raise unless it was delivered. Apprise tells statuses in its log alone."""
        if answer.get("refused"):
            raise EgressRefused(f"Apprise: {answer['refused']}")  # hosts and addresses, which the reader needs
        if not answer.get("service"):
            raise NeedsPerson("Apprise: it knows no service for the URL in the Secret", reason="InvalidSecret")
        if answer.get("ok"):
            return
        said = self.http.clean(f"{answer['service']}: {'; '.join(answer.get('said', ())) or 'not delivered'}")[:1000]
        status = re.search(r"error=([45]\d\d)", said)
        if status is not None and status[1][0] == "4" and status[1] not in ("408", "429"):
            raise NeedsPerson(said, reason="MessageRefused")
        raise RetryLater(said)


async def _run(asked: Mapping[str, Any]) -> dict[str, Any]:
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    process = await asyncio.create_subprocess_exec(*PROCESS, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=env)
    try:
        async with asyncio.timeout(PATIENCE):
            said, _ = await process.communicate(dumped(asked))
    except TimeoutError:
        raise RetryLater(f"Apprise: not delivered within {PATIENCE:.0f} s") from None
    finally:
        await _end(process)
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        raise Bug(f"Apprise: the process that delivers ended with {process.returncode} and without a word") from None
    return answer


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()
