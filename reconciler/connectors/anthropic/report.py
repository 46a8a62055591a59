"""What Anthropic's cost and usage reports say, and which token counts belong to which cost row.

Shapes and units: platform.claude.com/docs/en/api/admin/cost_report and .../usage_report. An amount is a decimal
string of the currency's smallest unit: "123.45" of USD is 1.2345 dollars. A field that is needed and missing
makes the whole answer invalid; a field that Anthropic adds one day is no error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PlainValidator

from ledger.money import EXACT, amount, currency, minor_digits

WEB_SEARCHES: Final = "server_tool_use.web_search_requests"
"""Where a usage row counts the searches that cost rows of type web_search bill."""

T = TypeVar("T")
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class Answer(BaseModel):
    """Base of everything Anthropic answers."""

    model_config = ConfigDict(frozen=True)


class Row(Answer):
    """What cost rows and usage rows are split by. None means: not split by it, or the default workspace."""

    workspace_id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    context_window: str | None = None
    inference_geo: str | None = None
    speed: str | None = None


class CostRow(Row):
    """One line of a day's bill; `amount` is in the currency's smallest unit, `cost` in its major one."""

    amount: Annotated[Decimal, PlainValidator(amount)]
    currency: Annotated[str, AfterValidator(currency)]
    cost_type: str | None = None
    description: str | None = None
    token_type: str | None = None

    @property
    def cost(self) -> Decimal:
        return EXACT.normalize(EXACT.scaleb(self.amount, -minor_digits(self.currency)))

    @property
    def measure(self) -> str | None:
        """The dotted path of the usage count that this row bills; None where usage has no such count.

        A negative row gives money back and bills nothing, whatever it names.
        """
        if self.amount < 0:
            return None
        return WEB_SEARCHES if self.cost_type == "web_search" else self.token_type

    @property
    def unit(self) -> str:
        """FOCUS ConsumedUnit of what the row's measure counts."""
        return "Requests" if self.measure == WEB_SEARCHES else "Tokens"

    def bills(self, usage: Row) -> bool:
        """Whether what `usage` counted can be what this row bills; the workspaces are known to be the same.

        Tokens are billed per model and tier, so those two must agree exactly: tokens of a Priority Tier have no
        cost row. A further dimension that one of the two reports is not split by rules nothing out.
        """
        if self.measure != WEB_SEARCHES and (self.model, self.service_tier) != (usage.model, usage.service_tier):
            return False
        return all(mine is None or theirs is None or mine == theirs for mine, theirs in self._beside(usage))

    def _beside(self, usage: Row) -> Iterator[tuple[str | None, str | None]]:
        for name in ("model", "service_tier", "context_window", "inference_geo", "speed"):
            yield getattr(self, name), getattr(usage, name)


_all_but_amount: Final = attrgetter(*(name for name in CostRow.model_fields if name != "amount"))


class UsageRow(Row):
    """What was used by one combination of a day's dimensions; the counts are in fields not declared here."""

    model_config = ConfigDict(extra="allow")

    def counts(self) -> Iterator[tuple[str, Decimal]]:
        """Every count above zero with its dotted path, which is also how cost rows write token types."""
        return ((path, count) for path, count in _numbers(self.model_extra or {}, "") if count > 0)


class Day(Answer, Generic[T]):
    """A UTC day of a report."""

    starting_at: Moment
    ending_at: Moment
    results: tuple[T, ...]


class Workspace(Answer):
    id: str
    name: str


class Organization(Answer):
    id: str
    name: str | None = None


class Page(Answer, Generic[T]):
    """One page of a list. Which page follows is asked of the raw answer: see reconciler.connectors.paging."""

    data: tuple[T, ...]
    has_more: bool


def consumed(costs: Sequence[CostRow], usages: Sequence[UsageRow]) -> list[Decimal | None]:
    """For each of one day's cost rows, how much of its unit was used; None where usage does not say for certain.

    A count is attached only to the one row that can bill it. Where several rows can, none of them gets a figure,
    so that nothing is counted twice and no figure is a part passed off as the whole; rows that are alike in all
    but the amount are one line of the bill, and its first row gets the figure.
    """
    rows = _first_of_alike(costs)
    found: dict[int, Decimal] = {}
    unclear: set[int] = set()
    for usage in usages:
        for measure, count in usage.counts():
            takers = [place for place in rows.get((usage.workspace_id, measure), ()) if costs[place].bills(usage)]
            for place in takers:
                found[place] = found.get(place, Decimal(0)) + count
            if len(takers) > 1:
                unclear.update(takers)
    return [None if place in unclear else found.get(place) for place in range(len(costs))]


def _first_of_alike(costs: Sequence[CostRow]) -> Mapping[tuple[str | None, str], Sequence[int]]:
    """Places of the rows that usage may belong to, by workspace and measure; of rows alike, the first."""
    places: dict[tuple[str | None, str], list[int]] = {}
    seen: set[tuple[str | None, ...]] = set()
    for place, row in enumerate(costs):
        alike = _all_but_amount(row)
        if row.measure is not None and alike not in seen:
            seen.add(alike)
            places.setdefault((row.workspace_id, row.measure), []).append(place)
    return places


def _numbers(fields: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Decimal]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, (int, Decimal)):
            yield prefix + name, Decimal(value)
