"""Connectors that only say what they are; none of them is ever asked for charges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

from ledger.charge import Charge
from ledger.window import Window
from reconciler.connectors.base import Account, Connector, CredentialKey, Settings, Traits


def traits(type_: str, *keys: CredentialKey) -> Traits:
    return Traits(
        type=type_,
        title=type_.title(),
        origin="api",
        gives="nothing",
        grain="Day",
        reach=None,
        settling=timedelta(0),
        moving=timedelta(0),
        credentials=keys,
    )


class Vendor(Connector[Any]):
    """Stands for a vendor."""

    async def check(self) -> Account:
        return Account()

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        yield ()


class KeyedSettings(Settings):
    base_url: str = Field(default="https://keyed.example/v1", alias="baseURL", description="Address of the API.")


class Keyed(Vendor):
    """Needs a key; its settings have defaults."""

    Settings = KeyedSettings
    traits: ClassVar[Traits] = traits("keyed", CredentialKey("apiKey", "A key from the console."))


class ListedSettings(Settings):
    files: tuple[str, ...] = Field(description="What to read.", min_length=1)
    weights: dict[str, int] = Field(default_factory=dict, description="By file.")


class Listed(Vendor):
    """Needs settings and no key."""

    Settings = ListedSettings
    traits: ClassVar[Traits] = traits("listed")


OFFERED = {"keyed": Keyed, "listed": Listed}
