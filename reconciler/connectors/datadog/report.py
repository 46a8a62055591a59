"""What Datadog's cost endpoints answer: shapes, checked.

Source: docs.datadoghq.com/api/latest/usage-metering and the models of github.com/DataDog/datadog-api-client-python.
Money is a JSON number in US dollars. That a charge `total` stands beside the charges that it adds up was seen by
others, and is not documented: it counts only where it stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from decimal import Decimal
from typing import Annotated, Final, Self

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, model_validator

from ledger.money import EXACT, ZERO, amount
from reconciler.connectors.reading import Answer, Number

TOTAL: Final = "total"
REST: Final = "Not itemised by Datadog"
CENT: Final = Decimal("0.01")
"""Sums that differ by less are the vendor's floating point, not money."""


def _or_none(value: object) -> object:
    return value or None


Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Text = Annotated[str | None, BeforeValidator(_or_none)]


class Item(Answer):
    """What a product costs as `committed` or `on_demand`."""

    product_name: str = Field(min_length=1)
    charge_type: Text = None
    cost: Number


class Cost(Answer):
    """What an organisation costs: in a month, or from the first of the month to the end of the day `at`."""

    at: Moment = Field(alias="date")
    public_id: Text = None
    org_name: Text = None
    region: Text = None
    account_name: Text = None
    account_public_id: Text = None
    total_cost: Number | None = None
    charges: tuple[Item, ...] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.total_cost is None and self.charges is None:
            raise ValueError("neither charges nor total_cost")
        return self

    @property
    def day(self) -> date:
        return self.at.date()

    @property
    def owner(self) -> tuple[str | None, ...]:
        """Whose cost it is, apart from all others."""
        return self.account_public_id, self.public_id, self.region

    @property
    def items(self) -> Sequence[Item]:
        """Every charge once; what the organisation's total has beyond them is one more."""
        charges = self.charges or ()
        split = {item.product_name for item in charges if item.charge_type != TOTAL}
        items = [item for item in charges if item.charge_type != TOTAL or item.product_name not in split]
        rest = self._rest(items)
        return [*items, Item(product_name=REST, cost=rest)] if rest else items

    def _rest(self, items: Sequence[Item]) -> Decimal:
        if self.total_cost is None:
            return ZERO
        rest = self.total_cost
        for item in items:
            rest = EXACT.subtract(rest, item.cost)
        return amount(rest) if abs(rest) >= CENT else ZERO


class Row(Answer):
    """A row of a cost report; `attributes` hold all that it says."""

    attributes: Cost


class Report(Answer):
    data: tuple[Row, ...]

    @property
    def costs(self) -> Sequence[Cost]:
        return [row.attributes for row in self.data]


class Validity(Answer):
    """What Datadog answers to the question whether an API key is one of its own."""

    valid: bool
