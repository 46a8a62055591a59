"""Which charges a Budget or an Alert is about."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ledger.alerts.rule import Scope
from reconciler.kinds.base import Block
from reconciler.kinds.forms import SUBDOMAIN, Form

ResourceName = Annotated[str, Form(SUBDOMAIN, "a name; use lower-case letters, digits, - and ., like openai", 253)]
Word = Annotated[str, Field(min_length=1, max_length=256)]
Words = dict[str, Annotated[str, Field(max_length=256)]]


class Selector(Block):
    """Providers by their labels."""

    match_labels: Words = Field(
        description="Labels that a Provider must have, all of them, with these values.", max_length=32
    )


class ScopeBlock(Block):
    """Everything in the namespace, unless a field narrows it; several fields mean all of them."""

    providers: tuple[ResourceName, ...] = Field(
        default=(), description="Names of Providers and ManualCosts: any of these; all if empty.", max_length=256
    )
    selector: Selector | None = Field(default=None, description="Providers by label; all if absent.")
    services: tuple[Word, ...] = Field(
        default=(), description="FOCUS ServiceName: any of these; all if empty.", max_length=256
    )
    sub_accounts: tuple[Word, ...] = Field(
        default=(), description="FOCUS SubAccountId: any of these; all if empty.", max_length=256
    )
    tags: Words = Field(
        default_factory=dict,
        description="Tags that a charge must have, all of them, with these values; any charge if empty.",
        max_length=32,
    )

    def meant(self) -> Scope:
        """In the ledger's own terms."""
        return Scope(
            providers=self.providers or None,
            labels=dict(self.selector.match_labels) if self.selector is not None else {},
            services=self.services or None,
            sub_accounts=self.sub_accounts or None,
            tags=dict(self.tags),
        )
