"""Things that cost by the time for which they stand: servers, disks, databases.

Vendors that tell no usage tell what there is now. Each day is charged what stands now for as long of the day as it has
stood: from its creation on, and up to now. A day that is over is read once more and then stays as it was: what is
deleted later keeps its past, and what changes is charged anew from the day of the change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

from ledger.charge import Charge
from ledger.units import decimal
from ledger.window import EPOCH, Span, month_start, next_month
from reconciler.connectors.pricing import Tariff

Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


@dataclass(frozen=True, slots=True)
class Standing:
    """`quantity` (in `unit`, such as GB or Instances) of one SKU, standing since `since`, or always.

    `charge` is what is said of it: names, project, region. `free` is how much of the quantity costs nothing.
    """

    sku: str
    charge: Charge
    quantity: Decimal = Decimal(1)
    unit: str = "Instances"
    since: datetime | None = None
    free: Decimal = Decimal(0)


def by_day(standing: Sequence[Standing], span: Span, now: datetime, tariff: Tariff, month: int | None) -> list[Charge]:
    """What `standing` costs on each UTC day of `span` up to `now`; without a price where `tariff` has none.

    `month` is how many hours the vendor's month has, None for as many as the day's month has.
    """
    return [charge for each in standing for charge in _days(each, span, now, tariff, month)]


def _days(each: Standing, span: Span, now: datetime, tariff: Tariff, month: int | None) -> Iterator[Charge]:
    for day in span.pieces():
        hours = _hours(day, each.since, now)
        if hours > 0:
            charge = each.charge._replace(
                charge_period_start=day.start,
                charge_period_end=day.end,
                billed_cost=None,
                x_origin="estimate",
                charge_frequency="Usage-Based",
                sku_id=each.sku,
                consumed_quantity=decimal(Fraction(each.quantity) * hours),
                consumed_unit=f"{each.unit}-Hours",
            )
            charged = max(Fraction(0), Fraction(each.quantity) - Fraction(each.free)) * hours
            yield tariff.priced(charge, charged, hours_per_month=month or hours_of_month(day.start))


def _hours(day: Span, since: datetime | None, now: datetime) -> Fraction:
    """For how many hours of the day something stood that has been there since `since`, to the second."""
    start = max(day.start, since) if since else day.start
    return Fraction(int((min(day.end, now) - start).total_seconds()), 3600)


def hours_of_month(moment: datetime) -> int:
    """How many hours the UTC month of `moment` has."""
    start = month_start(moment)
    return int((next_month(start) - start).total_seconds()) // 3600


def bare(provider: str) -> Charge:
    """A charge that says who provides it, and not yet what and when."""
    return Charge(
        charge_period_start=EPOCH,
        charge_period_end=EPOCH,
        billing_currency="USD",
        billed_cost=None,
        x_origin="estimate",
        service_name=provider,
        service_provider_name=provider,
    )
