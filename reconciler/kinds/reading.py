"""Reads specs into their models.

Every source goes through here, so that a manifest in a folder and an object in a cluster are refused for the
same reasons, in words that say what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.connectors.base import Settings
from reconciler.kinds.base import Block
from reconciler.kinds.catalogue import Kind
from reconciler.kinds.provider import AnyConnector, ProviderSpec, block_of
from reconciler.kinds.rules import Fault
from reconciler.kinds.shape import TextOf, faults, load, unknown_text


def read(kind: Kind, spec: Any, old: Mapping[str, Any] | None = None) -> Block:
    """The model of `spec`, of the class `kind.spec`. `old` is the spec it replaces. Raises InvalidSpec."""
    return load(kind.spec, spec, old)


def spec_faults(kind: Kind, spec: Any, old: Mapping[str, Any] | None, text_of: TextOf = unknown_text) -> list[Fault]:
    """Everything that is wrong with `spec`, by path within it."""
    return faults(kind.spec, spec, old, text_of)


def settings_of(spec: ProviderSpec, connector: AnyConnector) -> Settings:
    """The connector's settings: its block's, those in `spec.settings`, or its defaults. Raises InvalidSpec."""
    block = block_of(spec)
    if isinstance(block, connector.Settings):
        return block
    return load(connector.Settings, spec.settings or {}, under=("settings",))


def settings_faults(settings: Any, connector: AnyConnector, text_of: TextOf = unknown_text) -> list[Fault]:
    """What is wrong with the `spec.settings` of a connector that is not built in, by path within the spec."""
    found = faults(connector.Settings, settings or {}, None, lambda path: text_of(("settings", *path)))
    return [Fault(("settings", *fault.path), fault.message) for fault in found]
