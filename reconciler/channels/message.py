"""What a receiver is told: one transition of one level of an alert, with the figures that it was judged on.

A message is written once, when the transition is stored, and never changes: every delivery of it, and every
repetition, says the same. Its JSON form is what the outbox stores, what webhooks are sent, and what
docs/channels/message.schema.json describes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainSerializer, TypeAdapter
from pydantic.alias_generators import to_camel

from ledger.money import amount, plain

What = Literal["firing", "resolved", "retracted", "test"]
Severity = Literal["info", "warning", "critical"]

SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")
"""From the mildest to the gravest."""

Exact = Annotated[
    Decimal,
    AfterValidator(amount),
    PlainSerializer(plain, return_type=str),
    Field(json_schema_extra={"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}),
]
"""An exact decimal: text in plain notation in JSON, because a JSON number is a float to most who read it."""


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_utc)]

_CONFIG: Final = ConfigDict(
    alias_generator=to_camel,
    validate_by_name=True,
    validate_by_alias=True,
    use_attribute_docstrings=True,
    json_schema_serialization_defaults_required=True,
)


@dataclass(frozen=True, slots=True)
class Driver:
    """What much of the amount goes to: a provider, a service, a model."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    name: str
    amount: Exact
    currency: str


@dataclass(frozen=True, slots=True)
class Period:
    """UTC days from `start` to before `end`."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell. Times are UTC; amounts stand beside `currency`; None is what is not known or not meant.

    `alert`, `namespace`, `severity`, `budget`, `level`, `on` and `labels` tell an alert apart from others: they have
    to be the same when it fires and when it is resolved or retracted. `labels` must hold no name of these.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    key: str
    """The same for every attempt to deliver this message, and for no other message."""
    what: What
    namespace: str
    alert: str
    """The Alert's name."""
    on: str
    """What is judged: Spend, Forecast, Anomaly, Restatement, SyncFailure, MissingData, UnpricedLines."""
    level: str
    """The level as people say it, such as "90%" or "500.00 USD"."""
    severity: Severity
    summary: str
    """One line."""
    description: str
    """A paragraph."""
    scope_text: str
    """Whose spend it is about, for people."""
    starts_at: Moment
    """When it began to fire; the same in the message that ends it."""
    judged_at: Moment
    ends_at: Moment | None = None
    """When it was over; None while it fires."""
    budget: str | None = None
    """The Budget's name."""
    complete_through: date | None = None
    """The last UTC day that was whole when it was judged."""
    period: Period | None = None
    amount: Exact | None = None
    limit: Exact | None = None
    share: Exact | None = None
    """`amount` as a fraction of `limit`: 0.9 is 90 %."""
    currency: str | None = None
    drivers: tuple[Driver, ...] = ()
    """What most of `amount` goes to, largest first."""
    link: str | None = None
    """Where people see more."""
    labels: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The published JSON form: names in camelCase, exact decimals as text, times with Z, nothing left out."""
        shown: dict[str, Any] = _adapter().dump_python(self, mode="json", by_alias=True)
        return shown

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes the same message of."""
        return self.document()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Message:
        """The message that `to_json` gave `value` for; fields that a later version added are passed over.

        Raises ValueError when it is none.
        """
        return _adapter().validate_python(dict(value))


def schema() -> dict[str, Any]:
    """The JSON schema of `Message.document()`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_adapter().json_schema(by_alias=True, mode="serialization"),
    }


@cache
def _adapter() -> TypeAdapter[Message]:
    return TypeAdapter(Message)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
