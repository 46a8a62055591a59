"""What the kinds share: how a spec is read, references to Secrets, and what a status holds."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from reconciler.kinds.forms import SecretKey, SecretName
from reconciler.kinds.rules import VALIDATIONS, Rule


class Block(BaseModel):
    """A group of fields as manifests write them: camelCase, unknown fields refused, no value guessed from another.

    `rules` hold between its fields; they go into the CRD and are evaluated by reconciler.kinds.reading.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        reference = handler(core)
        schema = handler.resolve_ref_schema(reference)
        if cls.rules:
            schema[VALIDATIONS] = [rule.schema() for rule in cls.rules]
        return reference


class SecretRef(Block):
    """A v1 Secret in the resource's own namespace."""

    name: SecretName = Field(description="Name of a v1 Secret in the resource's own namespace.")
    key: SecretKey | None = Field(
        default=None, description="Key in the Secret that holds the credential; the connector's own (apiKey) if absent."
    )


class Condition(Block):
    """One aspect of how the resource stands, as Kubernetes writes conditions."""

    type: str = Field(description="Ready always; Reconciling and Stalled only while true.", max_length=316)
    status: Literal["True", "False", "Unknown"] = Field(description="Whether the condition holds.")
    reason: str = Field(description="Why, in one stable word; docs/reasons.md has a section for each.", max_length=1024)
    message: str = Field(description="Why, for people; what to do where something is wrong.", max_length=32768)
    last_transition_time: datetime = Field(description="When status, reason or message last changed.")
    observed_generation: int | None = Field(
        default=None, description="The generation of the spec that this was said of.", ge=0
    )


class Money(Block):
    """An amount in one currency."""

    amount: str = Field(description="Exact decimal in plain notation.", max_length=128)
    currency: str = Field(description="ISO 4217 code.", max_length=3)


DeletionPolicy = Literal["Retain", "Delete"]
"""What becomes of the charges when the resource that brought them goes."""


def listed_by(key: str) -> dict[str, Any]:
    """For Field(json_schema_extra=...): Kubernetes merges the list item by item, by the field `key`."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


class Status(Block):
    """What Costhook last saw; it is written by Costhook alone."""

    observed_generation: int = Field(
        default=-1, description="The generation of the spec that this status is about.", ge=-1
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Ready says whether the last sync went well; Reconciling that one goes on or will be tried "
        "again; Stalled that only a person can help; DoubleCounted that another Provider counts the same costs.",
        max_length=16,
        json_schema_extra=listed_by("type"),
    )
    last_handled_reconcile_at: str | None = Field(
        default=None,
        description="The value of the annotation costhook.io/requested-at that was last obeyed.",
        max_length=256,
    )
    last_sync_time: datetime | None = Field(default=None, description="When a sync last ended well (UTC).")
    next_sync_time: datetime | None = Field(default=None, description="When the next sync is due (UTC).")
    complete_through: date | None = Field(
        default=None, description="The last UTC day such that it and every day before it are whole."
    )
    month_to_date: tuple[Money, ...] = Field(
        default=(),
        description="Billed cost of this UTC month so far, one amount for each currency.",
        max_length=32,
        json_schema_extra=listed_by("currency"),
    )
    spend: str | None = Field(
        default=None, description="monthToDate in one text, for tables: 12.34 USD, 5 EUR.", max_length=4096
    )
