"""The kind Channel: where messages go, with a block of settings named after its type, and how many of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from functools import cache
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, create_model
from pydantic_core import PydanticCustomError

from reconciler.channels.base import Settings
from reconciler.channels.message import SEVERITIES, Severity
from reconciler.channels.registry import CHANNELS, AnyChannel
from reconciler.kinds.base import Block, Condition, SecretRef, listed_by
from reconciler.kinds.durations import PATTERN, seconds_in_cel
from reconciler.kinds.forms import Duration, Form
from reconciler.kinds.rules import Rule

ChannelType = Literal["alertmanager", "apprise", "discord", "email", "slack", "teams", "webhook"]


def _known(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        text = f'"{zone}" is no time zone; write an IANA name, like Europe/Berlin'
        raise PydanticCustomError("form", "{text}", {"text": text}) from None
    return zone


TimeOfDay = Annotated[
    time,
    Form("([01][0-9]|2[0-3]):[0-5][0-9]", 'a time of day; write it in quotes, like "22:00"', 5, time.fromisoformat),
]
TimeZone = Annotated[
    str,
    Form(
        "[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", "a time zone; write an IANA name, like Europe/Berlin", 64, _known
    ),
]


def _between(field: str, least: int, most: int) -> str:
    """A rule on a duration's length that keeps quiet where it is none: its form has a rule of its own."""
    length = seconds_in_cel(f"self.{field}")
    return f"!self.{field}.matches('^({PATTERN})$') || ({length} >= {least} && {length} <= {most})"


class RateLimit(Block):
    """How many messages go out at most; what is over the limit waits, and nothing is lost."""

    rules: ClassVar[tuple[Rule, ...]] = (Rule(_between("per", 1, 86400), "out of range; write 1s to 1d", "per"),)

    messages: int = Field(description="Messages within `per`, at most.", ge=1, le=10_000)
    per: Duration = Field(default=timedelta(hours=1), description="The length of time they are counted over; 1s to 1d.")


class QuietHours(Block):
    """When only grave messages go out; the others wait for the end."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.start != self.end", "the same as start; hours that never end are what suspend is for", "end"),
    )

    start: TimeOfDay = Field(description='When they begin, such as "22:00".')
    end: TimeOfDay = Field(description='When they end, such as "07:00"; before start, it is the next day\'s.')
    time_zone: TimeZone = Field(default="UTC", description="Whose clock, as an IANA name: Europe/Berlin.")
    allow: Literal["warning", "critical", "none"] = Field(
        default="critical", alias="except", description="The least severity that goes out all the same; none for none."
    )

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class Digest(Block):
    """Gathers a burst into one message."""

    rules: ClassVar[tuple[Rule, ...]] = (Rule(_between("wait", 1, 86400), "out of range; write 1s to 1d", "wait"),)

    wait: Duration = Field(
        default=timedelta(minutes=1), description="How long after the first message others are waited for; 1s to 1d."
    )
    most: int = Field(default=50, description="Messages in one digest, at most; it goes out when full.", ge=2, le=200)


class ChannelSpec(Block):
    """Where messages go. This class has what all types share; see `channel_spec`."""

    type: ChannelType = Field(description="What kind of receiver it is.")
    secret_ref: SecretRef | None = Field(
        default=None, description="Where URLs and keys are that nobody else may know; docs/channels.md says which."
    )
    minimum_severity: Severity = Field(
        default="info", description="The least severity that is told here: info, warning or critical."
    )
    rate_limit: RateLimit | None = Field(
        default=None, description="How many messages go out at most; no limit if absent."
    )
    quiet_hours: QuietHours | None = Field(
        default=None, description="When only grave messages go out; at all times if absent."
    )
    digest: Digest | None = Field(
        default=None, description="Gathers what comes in a burst into one message; each by itself if absent."
    )
    suspend: bool = Field(default=False, description="true delivers nothing until it is false again.")

    def wants(self, severity: Severity) -> bool:
        """Whether messages of `severity` are told here."""
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.minimum_severity)


class ChannelStatus(Block):
    """What became of the messages for a Channel; it is written by Costhook alone."""

    observed_generation: int = Field(
        default=-1, description="The generation of the spec that this status is about.", ge=-1
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Ready says whether the last delivery went well; Reconciling that it is tried again; Stalled that "
        "only a person can help.",
        max_length=16,
        json_schema_extra=listed_by("type"),
    )
    last_delivery_time: datetime | None = Field(
        default=None, description="When the receiver last took a message (UTC)."
    )
    last_error: str | None = Field(
        default=None, description="Why the last failed delivery failed; absent once one goes well.", max_length=4096
    )
    delivered: int = Field(default=0, description="Messages the receiver took.", ge=0)
    failed: int = Field(default=0, description="Attempts that failed.", ge=0)
    dead: int = Field(default=0, description="Messages that were given up and wait for a person.", ge=0)
    last_handled_test_at: str | None = Field(
        default=None,
        description="The value of the annotation costhook.io/test-at that was last obeyed.",
        max_length=256,
    )


@cache
def channel_spec() -> type[ChannelSpec]:
    """The spec model with a block for each type that has settings."""
    blocks: dict[str, Any] = {_attribute(name): _block(name, CHANNELS[name]) for name in _with_settings()}
    model = create_model("ChannelSpec", __base__=ChannelSpec, __doc__="Where messages go.", **blocks)
    model.rules = (*ChannelSpec.rules, *(rule for name in CHANNELS for rule in _rules(name, CHANNELS[name])))
    return model


def settings_of(spec: ChannelSpec) -> Settings:
    """The settings that the spec's type reads: its block's, or the defaults."""
    block = getattr(spec, _attribute(spec.type), None)
    return block if block is not None else CHANNELS[spec.type].Settings()


def _attribute(type_: str) -> str:
    return f"{type_}_block"


def _with_settings() -> list[str]:
    return sorted(name for name, kind in CHANNELS.items() if kind.Settings.model_fields)


def _block(name: str, kind: AnyChannel) -> tuple[object, object]:
    says = f"Settings of type {name}: {kind.traits.title}. Guide: {kind.traits.guide}"
    return kind.Settings | None, Field(default=None, alias=name, description=says)


def _rules(name: str, kind: AnyChannel) -> Iterator[Rule]:
    if kind.Settings.model_fields:
        yield Rule(
            f"!has(self.{name}) || self.type == '{name}'",
            f"settings of type {name}; leave them out, or set spec.type to {name}",
            name,
        )
    if kind.traits.needs:
        yield Rule(
            f"self.type != '{name}' || has(self.{name})", f"type {name} needs it, with {kind.traits.needs}", name
        )
    keys = [key.name for key in kind.traits.credentials if key.required]
    if keys:
        yield Rule(
            f"self.type != '{name}' || has(self.secretRef)",
            f"type {name} needs a credential; name the v1 Secret that holds it in its key {' and '.join(keys)}",
            "secretRef",
        )
