"""The kind Provider: a vendor account to sync, with a block of settings named after its type.

Built-in connectors have a block of their own, `spec.<type>`; other packages' connectors keep their settings in
`spec.settings`, so that installing one needs no new CRD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, JsonValue, create_model

from reconciler.connectors.base import Connector
from reconciler.connectors.registry import BUILT_IN, connectors
from reconciler.kinds.base import Block, DeletionPolicy, Money, SecretRef, Status
from reconciler.kinds.durations import PATTERN, seconds_in_cel
from reconciler.kinds.forms import Duration, Form
from reconciler.kinds.rules import Rule
from reconciler.kinds.structural import Unsayable

AnyConnector = type[Connector[Any]]

MAX_NAME: Final = 256
MAX_NOTE: Final = 512
MAX_NOTES: Final = 8

TypeName = Annotated[
    str, Form("[a-z][a-z0-9]*(-[a-z0-9]+)*", "a type of connector; `costhook connectors` lists them", 63)
]


def _lengths(comparison: str, *fields: str) -> str:
    """A rule on durations that keeps quiet where one is none: the form of a duration has a rule of its own."""
    unsound = [f"!self.{name}.matches('^({PATTERN})$')" for name in fields]
    return " || ".join([*unsound, comparison.format(*(seconds_in_cel(f"self.{name}") for name in fields))])


class CallBudget(Block):
    """How often the vendor may be asked."""

    per_day: int = Field(
        description="Calls in a UTC day, at most; a sync that would need more goes on the day after.",
        ge=1,
        le=1_000_000,
    )


class ProviderSpec(Block):
    """A vendor account to sync. This class has what all types share; see `provider_spec`."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.type == oldSelf.type",
            "cannot be changed: the history under this name is another vendor's; make a Provider of another name",
            "type",
        ),
        Rule(_lengths("{} >= 300", "interval"), "too short; write 5m or more", "interval"),
        Rule(
            _lengths("({0} >= 86400 && {0} <= 3660 * 86400)", "history"),
            "out of range; write 1d to 3660d (ten years)",
            "history",
        ),
        Rule(
            "!has(self.restate) || " + _lengths("{} <= {}", "restate", "history"),
            "longer than spec.history; days before the history are never read",
            "restate",
        ),
    )

    type: TypeName = Field(description="Which connector reads it, such as openai or focus. It cannot be changed later.")
    secret_ref: SecretRef | None = Field(
        default=None, description="Where the credential is; types that need none leave it out."
    )
    interval: Duration = Field(
        default=timedelta(hours=6),
        description="How long from one sync to the next, such as 30m, 6h or 1d; at least 5m.",
    )
    history: Duration = Field(
        default=timedelta(days=90), description="How far back the first sync reads, such as 90d; 1d to 3660d."
    )
    restate: Duration | None = Field(
        default=None,
        description="How many trailing days each sync reads again, because vendors change past figures, such as 7d; "
        "the connector's own default if absent.",
    )
    suspend: bool = Field(default=False, description="true stops syncing; what was read stays and is shown.")
    deletion_policy: DeletionPolicy = Field(
        default="Retain",
        description="What happens to the charges when the resource is deleted: Retain keeps them, Delete removes them "
        "and their history for good.",
    )
    attribution_only: bool | None = Field(
        default=None,
        description="true: its charges only attribute what other Providers bill, as a proxy's do, so that totals leave "
        "them out; the connector's own default if absent.",
    )
    call_budget: CallBudget | None = Field(
        default=None, description="Limits what asking the vendor may cost; no limit if absent."
    )
    settings: dict[str, JsonValue] | None = Field(
        default=None, description="Settings of a connector that is not built in; its own guide describes them."
    )


class Account(Block):
    """The account that the credential opens."""

    id: str | None = Field(default=None, description="The vendor's id of it.", max_length=MAX_NAME)
    name: str | None = Field(default=None, description="Its name.", max_length=MAX_NAME)
    notes: tuple[Annotated[str, Field(max_length=MAX_NOTE)], ...] = Field(
        default=(), description="What else is worth telling of it: scopes, plans, expiry.", max_length=MAX_NOTES
    )
    checked_at: datetime | None = Field(default=None, description="When the vendor was asked for this (UTC).")


class SyncCost(Block):
    """What the vendor takes for being asked."""

    calls: int = Field(description="Calls of a sync that have a price, about.", ge=0)
    per_sync: Money = Field(description="The price of these.")
    per_month: Money = Field(description="What syncs cost in 30 days at spec.interval, to the cent.")


class ProviderStatus(Status):
    """What Costhook last saw of a Provider; it is written by Costhook alone."""

    account: Account | None = Field(default=None, description="The vendor's account that the credential opens.")
    sync_cost: SyncCost | None = Field(
        default=None, description="What the vendor takes for the syncs themselves; absent where calls are free."
    )
    unpriced_lines: int | None = Field(
        default=None, description="Lines without a known price; no amount includes them.", ge=0
    )


def built_in() -> Mapping[str, AnyConnector]:
    """The installed connectors that are part of Costhook, by type."""
    return {name: found for name, found in connectors().items() if found.__module__.startswith(BUILT_IN)}


def provider_spec(offered: Mapping[str, AnyConnector] | None = None) -> type[ProviderSpec]:
    """The spec model with a block for each connector of `offered`: the built-in ones, unless told otherwise."""
    return _provider_spec(tuple(sorted((built_in() if offered is None else offered).items())))


_WORDS: Final = frozenset(
    "as break const continue else false for function if import in let loop namespace null package return true var "
    "void while attributionOnly history interval restate settings suspend type".split()
)
"""What CEL keeps for itself, and what a spec holds already."""


def block_of(spec: ProviderSpec) -> Any:
    """The block named after the spec's type; None where there is none."""
    return getattr(spec, _attribute(spec.type), None)


def _attribute(type_: str) -> str:
    """A name that no attribute of a model has, whatever a connector is called."""
    return f"{type_}_block"


@cache
def _provider_spec(offered: tuple[tuple[str, AnyConnector], ...]) -> type[ProviderSpec]:
    blocks: dict[str, Any] = {_attribute(name): _block(name, connector) for name, connector in offered}
    model = create_model("ProviderSpec", __base__=ProviderSpec, __doc__="A vendor account to sync.", **blocks)
    model.rules = (*ProviderSpec.rules, *_rules(offered))
    return model


def _block(name: str, connector: AnyConnector) -> tuple[object, object]:
    if name in _WORDS or not re.fullmatch("[a-z][a-z0-9]*", name):
        raise Unsayable(f"{name!r} cannot name a block of spec: it takes one word that no other field and no CEL has")
    says = f"Settings of type {name}: {connector.traits.title}. Guide: {connector.traits.guide}"
    return connector.Settings | None, Field(default=None, alias=name, description=says)


def _rules(offered: tuple[tuple[str, AnyConnector], ...]) -> Iterator[Rule]:
    names = ", ".join(f"'{name}'" for name, _ in offered)
    yield Rule(
        f"!has(self.settings) || !(self.type in [{names}])",
        "only for connectors that are not built in; put these into the block named after spec.type",
        "settings",
    )
    for name, connector in offered:
        yield Rule(
            f"!has(self.{name}) || self.type == '{name}'",
            f"settings of type {name}; leave them out, or set spec.type to {name}",
            name,
        )
        yield from _needs(name, connector)


def _needs(name: str, connector: AnyConnector) -> Iterator[Rule]:
    fields = [field.alias or key for key, field in connector.Settings.model_fields.items() if field.is_required()]
    if fields:
        yield Rule(
            f"self.type != '{name}' || has(self.{name})", f"type {name} needs it, with {' and '.join(fields)}", name
        )
    keys = [key.name for key in connector.traits.credentials if key.required]
    if keys:
        yield Rule(
            f"self.type != '{name}' || has(self.secretRef)",
            f"type {name} needs a credential; name the v1 Secret that holds it in its key {' and '.join(keys)}",
            "secretRef",
        )
