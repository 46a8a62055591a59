"""What clients ask with: periods, filters, groupings; turned into the ledger's own words."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Final

import strawberry

from api.graphql.errors import Code, PublicError
from ledger.charge import MAX_TEXT
from ledger.reads import filters, periods, questions
from ledger.reads.filters import NO_TEXT
from ledger.reads.periods import Comparison, Granularity

MAX_VALUES: Final = 200
"""Values one list of a filter may hold."""
MAX_NOT: Final = 3
"""Filters inside one another."""

for _enum in (Comparison, Granularity, questions.Dimension):
    strawberry.enum(_enum)
strawberry.enum(questions.Metric, description="Which of FOCUS's costs is added up.")


@strawberry.enum(description="Where a figure comes from.")
class Origin(Enum):
    API = "api"
    FILE = "file"
    MANUAL = "manual"
    ESTIMATE = "estimate"


@strawberry.enum(description="What becomes of providers whose charges are parts of what others bill.")
class Attribution(Enum):
    EXCLUDED = "excluded"
    INCLUDED = "included"
    ONLY = "only"


@strawberry.input(description="Half-open: `to` is the first day that is not part of it. Days are UTC.")
class Period:
    from_: date = strawberry.field(name="from")
    to: date

    def meant(self) -> periods.Period:
        return periods.Period(self.from_, self.to)


@strawberry.input(description="A key and the values it may have; without values, the key only has to be there.")
class LabelMatch:
    key: str
    values: list[str] | None = None

    def meant(self) -> filters.Match:
        return filters.Match(text(self.key, "key"), None if self.values is None else texts(self.values, "values"))


@strawberry.input(
    description="Every list means any of; several fields mean all of. An empty list matches nothing; a null in a "
    "list stands for charges without a value. Labels are those of the provider, tags those of the charge."
)
class ChargeFilter:
    namespaces: list[str] | None = None
    providers: list[str] | None = None
    labels: list[LabelMatch] | None = None
    services: list[str] | None = None
    service_categories: list[str | None] | None = None
    sub_accounts: list[str | None] | None = None
    models: list[str | None] | None = None
    token_types: list[str | None] | None = None
    regions: list[str | None] | None = None
    resources: list[str | None] | None = None
    skus: list[str | None] | None = None
    currencies: list[str] | None = None
    origins: list[Origin] | None = None
    charge_categories: list[str] | None = None
    tags: list[LabelMatch] | None = None
    attribution: Attribution | None = strawberry.field(
        default=None,
        description="EXCLUDED unless `providers` names whom to count, so that nothing is counted twice.",
    )
    not_: ChargeFilter | None = strawberry.field(
        name="not", default=None, description="Charges that match this are left out."
    )

    def meant(self, depth: int = 0) -> filters.ChargeFilter:
        if depth > MAX_NOT:
            raise PublicError(Code.BAD_INPUT, f"A filter holds at most {MAX_NOT} others inside.", field="filter")
        lists = {name: _values(getattr(self, name), name) for name in filters.COLUMNS if name != "origins"}
        return filters.ChargeFilter(
            **lists,
            origins=None if self.origins is None else tuple(origin.value for origin in self.origins[:MAX_VALUES]),
            labels=matches(self.labels, "labels"),
            tags=matches(self.tags, "tags"),
            attribution=None if self.attribution is None else self.attribution.value,
            none_of=None if self.not_ is None else self.not_.meant(depth + 1),
        )


@strawberry.input(
    one_of=True,
    description="By a fixed dimension, a tag of the charge, a label of the provider, or what an Allocation makes of "
    "the charge: exactly one.",
)
class Grouping:
    dimension: questions.Dimension | None = strawberry.UNSET
    tag: str | None = strawberry.UNSET
    label: str | None = strawberry.UNSET
    allocation: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="The dimension of an Allocation, such as team. Each charge goes by the Allocation of its own "
        "namespace; the value is null for what is unallocated. One of these in a question.",
    )

    def meant(self) -> questions.Grouping:
        if isinstance(self.dimension, questions.Dimension):
            return self.dimension
        if isinstance(self.allocation, str):
            return questions.ByAllocation(text(self.allocation, "allocation"))
        if isinstance(self.tag, str):
            return questions.ByTag(text(self.tag, "tag"))
        return questions.ByLabel(text(self.label or "", "label"))


def meant(chosen: ChargeFilter | None) -> filters.ChargeFilter:
    """The filter in the ledger's words; none means everything."""
    return filters.EVERYTHING if chosen is None else chosen.meant()


def matches(given: list[LabelMatch] | None, name: str) -> tuple[filters.Match, ...]:
    """Matches in the ledger's words. Raises PublicError."""
    if given is not None and len(given) > MAX_VALUES:
        raise PublicError(Code.BAD_INPUT, f"At most {MAX_VALUES} values.", field=name)
    return tuple(match.meant() for match in given or ())


def texts(values: list[str], name: str) -> tuple[str, ...]:
    """The values, when they are not too many and not too long. Raises PublicError."""
    if len(values) > MAX_VALUES:
        raise PublicError(Code.BAD_INPUT, f"At most {MAX_VALUES} values.", field=name)
    return tuple(text(value, name) for value in values)


def text(value: str, name: str) -> str:
    """The value, when the ledger can hold it. Raises PublicError."""
    if NO_TEXT.search(value):
        raise PublicError(Code.BAD_INPUT, "This holds a character that no text of the ledger can hold.", field=name)
    if len(value) > MAX_TEXT:
        raise PublicError(Code.BAD_INPUT, f"At most {MAX_TEXT} characters.", field=name)
    return value


def _values(values: list[str | None] | None, name: str) -> filters.Values:
    if values is None:
        return None
    stated = texts([value for value in values if value is not None], name)
    return (*stated, None) if None in values else stated
