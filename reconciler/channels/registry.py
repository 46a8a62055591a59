"""Which types of channels there are. What has no module of its own here goes through the type `apprise`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.channels.alertmanager import Alertmanager
from reconciler.channels.apprise import AppriseChannel
from reconciler.channels.base import Channel
from reconciler.channels.discord import Discord
from reconciler.channels.email import Email
from reconciler.channels.slack import Slack
from reconciler.channels.teams import Teams
from reconciler.channels.webhook import Webhook

AnyChannel = type[Channel[Any]]

CHANNELS: Final[Mapping[str, AnyChannel]] = {
    found.traits.type: found for found in (Alertmanager, AppriseChannel, Discord, Email, Slack, Teams, Webhook)
}
"""Every type, by name."""
