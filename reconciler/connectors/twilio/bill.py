"""A day's usage records as charges that add up to Twilio's own total of the day.

Records of all categories are listed for every day, and many categories contain others: adding up all of them counts
money several times. Which contain which is not told. So a category whose name begins another's, or that is known to
contain others, is left out; whatever the total is more or less than the rest comes to, is a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ledger.charge import Charge, ChargeCategory
from ledger.money import EXACT, ZERO, amount, plain
from ledger.window import DAY, midnight
from reconciler.connectors.twilio.report import Customer, Record
from reconciler.errors import Bug

PROVIDER: Final = "Twilio"
TOTAL: Final = "totalprice"
CONTAINERS: Final = frozenset({TOTAL, "calls", "sms", "mms", "recordings", "lookups", "phonenumbers", "shortcodes"})
"""Categories that contain others whose names do not show it."""
REST: Final = "Not itemised by Twilio"


def of_day(records: Sequence[Record], customer: Customer) -> Iterator[Charge]:
    """The charges of one day's `records`, which are those of one account."""
    if len({record.category for record in records}) < len(records):
        raise Bug(f"Twilio answered with a category of {records[0].start_date} twice.", reason="CursorLoop")
    records = _in_one_currency(records)
    leaves = _leaves(records)
    yield from (_charge(record, customer) for record in leaves if _used(record))
    total = next((record for record in records if record.category == TOTAL and record.price is not None), None)
    if total is not None:  # Twilio's own, which decides; without one the categories are all there is
        yield from _rest(total, leaves, customer)


def _in_one_currency(records: Sequence[Record]) -> Sequence[Record]:
    """`records`, of which those that name no currency have that of the others. Raises Bug if none names one."""
    known = next((record.price_unit for record in records if record.price_unit), None)
    if known is None:
        raise Bug(f"Twilio names no currency on {records[0].start_date}: none of it was counted.")
    return [record if record.price_unit else record.model_copy(update={"price_unit": known}) for record in records]


def _leaves(records: Sequence[Record]) -> Sequence[Record]:
    """The records of categories that contain no others."""
    parts = [record.category.split("-") for record in records]
    containing = CONTAINERS | {"-".join(names[:count]) for names in parts for count in range(1, len(names))}
    return [record for record in records if record.category not in containing]


def _used(record: Record) -> bool:
    return bool(record.price or record.usage or record.count)


def _rest(total: Record, leaves: Sequence[Record], customer: Customer) -> Iterator[Charge]:
    """What the total has beyond the categories, or less than they."""
    rest = total.price or ZERO
    for record in leaves:
        if record.price_unit == total.price_unit:
            rest = EXACT.subtract(rest, record.price or ZERO)
    if rest:
        bare = {"price": amount(rest), "description": REST, "usage": None, "usage_unit": None}
        yield _charge(total.model_copy(update=bare), customer)._replace(charge_category="Adjustment")


def _charge(record: Record, customer: Customer) -> Charge:
    start = midnight(record.start_date)
    category: ChargeCategory = "Credit" if (record.price or 0) < 0 else "Usage"
    return Charge(
        charge_period_start=start,
        charge_period_end=start + DAY,
        billing_currency=record.price_unit or "",
        billed_cost=record.price,
        x_origin="api",
        service_name=PROVIDER,
        service_provider_name=PROVIDER,
        charge_category=category,
        charge_description=record.description or record.category,
        sub_account_id=record.account_sid or customer.sid,
        sub_account_name=customer.friendly_name,
        sku_id=record.category,
        consumed_quantity=record.usage if record.usage_unit else None,
        consumed_unit=record.usage_unit if record.usage is not None else None,
        extra=_extra(record),
    )


def _extra(record: Record) -> dict[str, object] | None:
    if record.count is None:
        return None
    return {"x_count": plain(record.count), **({"x_count_unit": record.count_unit} if record.count_unit else {})}
