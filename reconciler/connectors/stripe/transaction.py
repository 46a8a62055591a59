"""What Stripe's balance transactions say, and which of it is a cost.

Fields: docs.stripe.com/api/balance_transactions and the official SDK (github.com/stripe/stripe-python). Amounts are
whole numbers of the currency's minor unit, as Stripe counts it (docs.stripe.com/currencies). `net` is `amount` less
`fee`: what the balance changes by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from ledger.money import EXACT, amount, currency, minor_digits
from ledger.window import EPOCH
from reconciler.connectors.reading import Answer
from reconciler.errors import Bug

OWN_DIGITS: Final = {"ISK": 2, "MGA": 0, "UGX": 2}
"""Currencies whose minor unit Stripe counts otherwise than ISO 4217; HUF and TWD have two digits in both."""
FEE_TYPES: Final = frozenset({"network_cost", "stripe_fee", "stripe_fx_fee", "tax_fee"})
"""Types of the transactions that are fees themselves; network_cost occurs, though the SDK's list lacks it."""
FEE_CATEGORIES: Final = frozenset({"fee", "network_cost"})
"""Reporting categories that say the same of types which came later."""
PLATFORM: Final = "application_fee"
"""The fee that a Connect platform takes: it goes to the platform, not to Stripe."""


def _moment(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 36:
        raise ValueError("not a moment in Unix seconds")
    return EPOCH + timedelta(seconds=value)


Minor = Annotated[int, Field(strict=True)]
"""A whole number of a currency's minor unit."""
Code = Annotated[str, AfterValidator(currency)]


class Part(NamedTuple):
    """A part of what a transaction costs, in the minor unit; negative where Stripe gives it back."""

    amount: int
    kind: str
    text: str | None


class FeeDetail(Answer):
    """One of the fees that make up a transaction's fee."""

    amount: Minor
    currency: Code
    type: str
    description: str | None = None


class Transaction(Answer):
    """A change of the account's balance."""

    id: str = Field(min_length=1)
    amount: Minor
    fee: Minor
    net: Minor
    currency: Code
    created: Annotated[datetime, BeforeValidator(_moment)]
    type: str = Field(min_length=1)
    reporting_category: str | None = None
    description: str | None = None
    source: str | None = None
    fee_details: tuple[FeeDetail, ...] | None = None

    @property
    def is_fee(self) -> bool:
        """Whether the transaction is a fee itself, and does not only carry one."""
        return self.type in FEE_TYPES or self.reporting_category in FEE_CATEGORIES

    def costs(self) -> Iterator[Part]:
        """What the transaction costs, in parts: -net of a fee, and of any other the fee without the platform's part.

        Raises Bug where the platform's part is in another currency than the fee.
        """
        parts = self._details()
        rest = Part(self.fee - sum(part.amount for part in parts), "fee", None)
        if self.is_fee:
            yield Part(-self.net - self.fee, self.type, self.description)
        else:
            parts = [part for part in parts if part.kind != PLATFORM]
        yield from (part for part in (*parts, rest) if part.amount)

    def _details(self) -> Sequence[Part]:
        """The parts that the fee is told in; none where they are told in another currency."""
        details = self.fee_details or ()
        if all(detail.currency == self.currency for detail in details):
            return [Part(detail.amount, detail.type, detail.description) for detail in details]
        if any(detail.type == PLATFORM for detail in details):
            raise Bug(f"transaction {self.id} is in {self.currency}, and the platform's part of its fee is not")
        return ()


class Page(Answer):
    """One page of transactions, newest first."""

    data: tuple[Transaction, ...]
    has_more: bool = Field(strict=True)


def major(minor: int, code: str) -> Decimal:
    """`minor` of Stripe's minor unit as an amount of `code`."""
    return amount(EXACT.scaleb(Decimal(minor), -OWN_DIGITS.get(code, minor_digits(code))))
