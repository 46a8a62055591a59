"""Which types of channels there are. What has no module of its own here goes through the type `apprise`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.channels.alertmanager import Alertmanager
from reconciler.channels.base import Channel

AnyChannel = type[Channel[Any]]

CHANNELS: Final[Mapping[str, AnyChannel]] = {found.traits.type: found for found in (Alertmanager,)}
"""Every type, by name."""
