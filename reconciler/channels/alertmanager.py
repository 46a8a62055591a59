"""Prometheus' Alertmanager: alerts of its API v2, firing until told otherwise.

Facts: https://prometheus.io/docs/alerting/latest/alerts_api/ and api/v2/openapi.yaml of prometheus/alertmanager. An
alert is known by its labels; one that is not sent again resolves at its endsAt, and a restarted Alertmanager knows
none at all, so what fires is sent again and again, as Prometheus does. Replicas gossip notifications and not alerts:
every one has to be told.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field

from reconciler.channels.base import Channel, ChannelTraits, CredentialKey, Receipt, Settings
from reconciler.channels.message import Message
from reconciler.channels.posting import basic, bearer, post_json
from reconciler.connectors.rules import rules
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater

LIFETIME: Final = timedelta(minutes=15)
"""How long an alert fires on without being sent again: longer than a restart or an update of Costhook takes."""
TEST_LIFETIME: Final = timedelta(minutes=1)
RESEND: Final = timedelta(minutes=1)
"""How often it is sent again: how long a restarted Alertmanager is without it."""

Address = Annotated[str, Field(max_length=2048, pattern=r"^https?://\S+$")]


class AlertmanagerSettings(Settings):
    """Where the Alertmanager is."""

    model_config = Settings.model_config | {
        "json_schema_extra": rules(
            ("has(self.url) != has(self.urls)", "give url, or urls with one address for each replica"), field="url"
        )
    }

    url: Address | None = Field(
        default=None,
        description="Address of the Alertmanager, without /api/v2, such as http://alertmanager.monitoring:9093.",
    )
    urls: list[Address] | None = Field(
        default=None,
        description="Addresses of all replicas of one Alertmanager; each is told. At most 8.",
        min_length=1,
        max_length=8,
    )

    @property
    def addresses(self) -> Sequence[str]:
        return self.urls or ([self.url] if self.url else [])


class Alertmanager(Channel[AlertmanagerSettings]):
    """Delivered as soon as one replica has taken it; all are tried."""

    traits = ChannelTraits(
        type="alertmanager",
        title="Alertmanager",
        credentials=(
            CredentialKey("token", "a bearer token, where the Alertmanager asks for one", required=False),
            CredentialKey("username", "the user name, where the Alertmanager asks for one", required=False),
            CredentialKey("password", "the password of that user", required=False),
        ),
        needs="url or urls",
        honours_key=True,
        resend_every=RESEND,
    )
    Settings = AlertmanagerSettings

    async def send(self, messages: Sequence[Message]) -> Receipt:
        alerts = [alert(message, self.context.now) for message in messages]
        addresses = self.settings.addresses
        told = await asyncio.gather(*(self._tell(address, alerts) for address in addresses))
        faults = [fault for fault in told if fault is not None]
        if len(faults) == len(addresses):
            raise next((fault for fault in faults if isinstance(fault, RetryLater)), faults[0])
        text = f"taken by {len(addresses) - len(faults)} of {len(addresses)}"
        return Receipt(text="; ".join([text, *map(str, faults)]))

    async def _tell(self, address: str, alerts: Sequence[Mapping[str, Any]]) -> ReconcilerError | None:
        try:
            url = f"{address.rstrip('/')}/api/v2/alerts"
            await post_json(self.http, "Alertmanager", url, alerts, headers=self._credentials())
        except (RetryLater, NeedsPerson) as error:
            return error
        return None

    def _credentials(self) -> dict[str, str]:
        token, user = self.context.credentials.get("token"), self.context.credentials.get("username")
        if token:
            return bearer(self.http, token)
        return basic(self.http, user, self.context.credentials.get("password") or "") if user else {}


def alert(message: Message, now: datetime) -> dict[str, Any]:
    """The PostableAlert of a message; its labels are the same whether it fires or is over."""
    shown = {
        "labels": labels(message),
        "annotations": notes(message),
        "startsAt": rfc3339(message.starts_at),
        "endsAt": rfc3339(_ends(message, now)),
    }
    return shown | ({"generatorURL": message.link} if message.link else {})


def labels(message: Message) -> dict[str, str]:
    """What routes and silences match on. Other labels of the message never replace these."""
    own = {
        "source": "costhook",
        "alertname": message.alert,
        "namespace": message.namespace,
        "severity": message.severity,
        "budget": message.budget or "",
        "level": message.level,
        "on": message.on,
    }
    others = {re.sub(r"^(?=[0-9])|[^a-zA-Z0-9_]", "_", name): value for name, value in message.labels.items()}
    return {name: value for name, value in (others | own).items() if name and value}


def notes(message: Message) -> dict[str, str]:
    """What people read. A retraction says so, since Alertmanager knows of resolved alerts only."""
    texts = {"summary": message.summary, "description": message.description, "scope": message.scope_text}
    return texts | ({"retracted": "true"} if message.what == "retracted" else {})


def rfc3339(moment: datetime) -> str:
    """A UTC time as the API reads it."""
    return moment.isoformat().replace("+00:00", "Z")


def _ends(message: Message, now: datetime) -> datetime:
    match message.what:
        case "firing":
            return now + LIFETIME
        case "test":
            return now + TEST_LIFETIME
        case _:
            return max(message.ends_at or now, message.starts_at)
