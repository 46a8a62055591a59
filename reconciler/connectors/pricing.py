"""Money for vendors that tell usage only: usage times a price list, and a plan's fixed fee. All of it is an estimate.

Settings of such a connector are a `PricedSettings`: the Provider may declare `prices`, which go before the default list
that ships for the vendor, and `plan`. `Tariff.priced` makes an estimate of a charge that says what was used, and names
the list and its date beside it; a SKU in no list stays an unpriced line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, Field

from ledger.charge import Charge
from ledger.money import amount, plain
from ledger.pricelist import Price, PriceList, Rate, shipped
from ledger.recurrence import Entry, Spread, parts
from ledger.units import NoConversion
from ledger.window import DAY, Span, midnight
from reconciler.connectors.base import Settings
from reconciler.connectors.rules import rules
from reconciler.errors import NeedsPerson

AMOUNT: Final = r"^-?[0-9]{1,15}([.][0-9]{1,12})?$"
PRICE: Final = r"^[0-9]{1,15}([.][0-9]{1,12})?$"
QUANTITY: Final = r"^[1-9][0-9]{0,14}$"
CURRENCY: Final = "^[A-Z]{3}$"
BY_SKU: Final[dict[str, Any]] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["sku"]}
Text = Annotated[str, Field(min_length=1, max_length=256)]


IS_DAY: Final = rules(("self >= timestamp('0001-01-01T00:00:00Z')", "must be a date such as 2026-01-31"))
"""True of every date: without a rule that looks at it, an API server takes a list where a date is due."""


class Item(Settings):
    """What a quantity of one SKU costs."""

    sku: Text = Field(description="The SKU, as the connector's guide names it.")
    unit: Text = Field(description="The unit that is counted, such as Tokens, Emails or GB-Hours.")
    per: str = Field(default="1", description="How many units the amount is for, as text.", pattern=QUANTITY)
    amount: str = Field(description='What they cost, as text, such as "0.40".', max_length=29, pattern=PRICE)
    currency: str = Field(description="ISO 4217 code of the amount.", max_length=3, pattern=CURRENCY)

    def price(self) -> Price:
        return Price(self.sku, self.unit, amount(self.amount), self.currency, amount(self.per))


def _named_apart(items: tuple[Item, ...]) -> tuple[Item, ...]:
    again = [sku for sku, count in Counter(item.sku for item in items).items() if count > 1]
    if again:
        raise ValueError(f"{again[0]} has two prices; keep one")
    return items


class Prices(Settings):
    """A price list of one's own, which goes before the one that ships."""

    as_of: date = Field(
        alias="asOf",
        description="The day on which these prices were looked up; estimates name it.",
        json_schema_extra=IS_DAY,
    )
    items: Annotated[tuple[Item, ...], AfterValidator(_named_apart)] = Field(
        description="One price for each SKU.", min_length=1, max_length=256, json_schema_extra=BY_SKU
    )

    def list(self, vendor: str) -> PriceList:
        return PriceList(vendor, self.as_of, tuple(item.price() for item in self.items))


class Plan(Settings):
    """A plan's fixed monthly fee."""

    name: Text = Field(description="What the plan is called, such as Pro.")
    amount: str = Field(description='The fee of one month, as text, such as "20.00".', max_length=29, pattern=AMOUNT)
    currency: str = Field(description="ISO 4217 code of the fee.", max_length=3, pattern=CURRENCY)
    start: date | None = Field(
        default=None,
        description="First day of the plan; months are counted from it. If absent, the plan is as old as the history "
        "and its months begin on the first.",
        json_schema_extra=IS_DAY,
    )
    spread: Spread = Field(
        default="Whole",
        description="Whole puts the fee on the first day of each month, Daily in equal parts on every day of it.",
    )


class PricedSettings(Settings):
    """Base of the settings of a connector that prices usage."""

    prices: Prices | None = Field(
        default=None, description="Prices that go before the default list; they are not looked up anywhere."
    )
    plan: Plan | None = Field(default=None, description="The fixed fee that is paid whatever is used; none if absent.")

    def tariff(self, vendor: str) -> Tariff:
        """The prices in force for `vendor` (the connector's type): the Provider's own, then the shipped ones."""
        own = self.prices.list(vendor) if self.prices else None
        return Tariff(vendor, tuple(known for known in (own, shipped(vendor)) if known is not None))


Known = tuple[Price, Rate, Mapping[str, object]]


@dataclass(frozen=True)
class Tariff:
    """Price lists of `vendor`, of which the first that has a price for a SKU decides."""

    vendor: str
    lists: tuple[PriceList, ...]
    default_currency: ClassVar[str] = "USD"
    _held: dict[tuple[str, str, date, int | None], Known | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def currency(self) -> str:
        """The currency for lines without a price: that of the first list's first price."""
        first = next((price for known in self.lists for price in known.prices), None)
        return first.currency if first else self.default_currency

    def find(self, sku: str, day: date) -> tuple[Price, PriceList] | None:
        """The price of `sku` on `day`, and the list that it is of; None if no list has one."""
        for known in self.lists:
            price = known.price(sku, day)
            if price is not None:
                return price, known
        return None

    def priced(
        self, charge: Charge, quantity: Decimal | Fraction | None = None, *, hours_per_month: int | None = None
    ) -> Charge:
        """`charge` with what its quantity costs, by its SKU on the day on which it starts.

        It says `sku_id`, `consumed_quantity` and `consumed_unit`, and has origin `estimate`. `quantity`, if given, is
        what is charged for: the exact quantity where it never ends as a decimal, or the part beyond an allowance.
        `billed_cost` is None where no list has a price, and the currency then `self.currency`. Raises NeedsPerson
        if the price is by another unit.
        """
        used = charge.consumed_quantity if quantity is None else quantity
        known = self._known(charge, hours_per_month)
        if known is None or used is None:
            return charge._replace(billed_cost=None, billing_currency=self.currency)
        price, rate, told = known
        cost, units = rate.priced(used)
        return charge._replace(
            billed_cost=cost,
            billing_currency=price.currency,
            pricing_quantity=units,
            pricing_unit=price.pricing_unit,
            extra={**charge.extra, **told} if charge.extra else told,
        )

    def _known(self, charge: Charge, hours_per_month: int | None) -> Known | None:
        """The price of a charge, its rate, and what estimates say of it; looked up once for a SKU, day and unit."""
        sku, unit, day = charge.sku_id or "", charge.consumed_unit or "", charge.charge_period_start.date()
        key = (sku, unit, day, hours_per_month)
        if key not in self._held:
            found = self.find(sku, day)
            self._held[key] = found and (found[0], self._rate(found[0], unit, hours_per_month), named(*found))
        return self._held[key]

    def _rate(self, price: Price, unit: str, hours_per_month: int | None) -> Rate:
        try:
            return Rate.of(price, unit, hours_per_month)
        except NoConversion as error:
            raise NeedsPerson(
                f"The price of {price.sku} cannot be used: {error}. Correct its unit in {self.vendor}.prices."
            ) from None


def named(price: Price, known: PriceList) -> Mapping[str, object]:
    """What an estimate says of its price: the amount, and the date and the source of the list it is from."""
    return {
        "ListUnitPrice": plain(price.amount),
        "x_price_list_date": known.as_of.isoformat(),
        "x_price_list": known.source or "the Provider's own prices",
    }


def fees(plan: Plan | None, span: Span, like: Charge) -> list[Charge]:
    """The plan's fees that start in `span`; `like` says what all charges of the vendor do."""
    if plan is None:
        return []
    start = plan.start or span.start.date().replace(day=1)
    entry = Entry(amount(plan.amount), plan.currency, start, recurrence="Monthly", spread=plan.spread)
    last = (span.end - DAY / 2).date()
    return [
        _fee(plan, like, part.start, part.end)._replace(billed_cost=part.amount)
        for part in parts(entry, last)
        if span.start <= midnight(part.start) < span.end
    ]


def _fee(plan: Plan, like: Charge, start: date, end: date) -> Charge:
    return like._replace(
        charge_period_start=midnight(start),
        charge_period_end=midnight(end),
        billing_currency=plan.currency,
        charge_category="Purchase",
        charge_frequency="Recurring",
        charge_description=f"{plan.name} plan, monthly fee",
        sku_id=plan.name,
        consumed_quantity=None,
        consumed_unit=None,
    )
